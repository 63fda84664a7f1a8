"""Appends read no more rows in an account that the planner's statistics do not know.

A new institution among large ones counts as empty until its tables are analyzed again. A join that
begins with all its rows would then read all of them.
"""

from eventstore.connections import Connection
from eventstore.running_log import running_log
from projections.definitions import definitions
from tests.eventstore.building import (
    Learner,
    Step,
    add_account,
    append_steps,
    dialogue,
)
from tests.eventstore.waiting import eventually

DIALOGUES = 25
READ = """
SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint
  FROM pg_stat_user_tables
 WHERE schemaname || '.' || relname = ANY ($1::text[])
"""
OTHERS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
TABLES = """
SELECT p.schema_name || '.' || t.name
  FROM projections p CROSS JOIN unnest(p.tables) AS t (name)
 WHERE p.state = 'live' AND p.mode = 'inline'
 UNION ALL SELECT 'public.event_content'
"""


async def freeze_statistics(owner: Connection) -> list[str]:
    """Freezes the planner's statistics; returns the tables that inline projections write."""
    tables = [row[0] for row in await owner.fetch(TABLES)]
    for table in (*tables, "public.events"):
        await owner.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    await owner.execute("ANALYZE")
    return tables


async def wait_for_statistics(owner: Connection) -> None:
    """Waits until other sessions are gone, since they report their statistics at their end."""

    async def look() -> bool:
        return not await owner.fetchval(OTHERS)

    await eventually(look)
    await owner.execute("SELECT pg_stat_clear_snapshot()")


async def read_by(
    owner: Connection, url: str, tables: list[str], steps: list[Step], account_id: int
) -> int:
    """The rows of these tables that appending the steps reads."""
    await wait_for_statistics(owner)
    before = await owner.fetchval(READ, tables)
    async with running_log(url) as (log, _, _):
        await append_steps(log, steps, account_id)
    await wait_for_statistics(owner)
    return int(await owner.fetchval(READ, tables) - before)


async def all_kinds(learner: Learner) -> list[Step]:
    """Steps that change every view, in a new dialogue."""
    steps = dialogue(learner, 2)
    steps += [learner.says(), learner.is_not_answered()]
    steps += [learner.says(), learner.is_answered_well()]
    said = learner.replies[-1]
    steps += [learner.gets_feedback(said), *learner.is_evaluated()]
    steps += [learner.loses_texts(said.conversation_id), learner.asks_to_open(), learner.opens()]
    return [*steps, learner.deletes()]


async def test_an_append_reads_no_more_in_an_account_that_statistics_do_not_know(
    database_url: str, owner: Connection
) -> None:
    await add_account(owner, 2)
    learners = [
        Learner(100 + n, conversation_ids=iter([n + 1, n + 1001])) for n in range(DIALOGUES)
    ]
    async with running_log(database_url) as (log, _, _):
        for learner in learners:
            await append_steps(log, dialogue(learner, 8))
        tables = await freeze_statistics(owner)
        for learner in learners:
            learner = Learner(learner.user_id, conversation_ids=iter([learner.user_id]))
            await append_steps(log, dialogue(learner, 8), account_id=2)
    steps = await all_kinds(Learner(999, conversation_ids=iter([5001, 5002])))
    read = await read_by(owner, database_url, tables, steps, account_id=2)
    assert len(tables) > len([d for d in definitions().values() if d.mode == "inline"])
    assert 0 < read < 20 * len(steps), read
