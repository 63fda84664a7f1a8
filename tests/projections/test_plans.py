"""Steps that follow keep their plans, which must be right for tables that grow."""

import pytest

from eventstore.connections import Connection
from eventstore.log import EventLog
from projections.definitions import Definition
from projections.generations import create
from projections.rebuild import rebuild
from sql.loader import query
from tests.eventstore.building import ACCOUNT
from tests.projections.analysing import Analysis
from tests.projections.test_facts import FACTS, days_of
from tests.projections.viewing import TALLY

READ_WHOLE = """
SELECT s.relname FROM pg_stat_xact_user_tables s
 WHERE s.seq_scan > 0 AND (s.relname = 'events' OR s.schemaname = $1)
"""
READ = "SELECT sum(idx_scan)::int FROM pg_stat_xact_user_tables WHERE relname = 'events'"
MODE = "SELECT current_setting('plan_cache_mode')"


@pytest.mark.parametrize("known", FACTS, ids=lambda known: known.name)
async def test_a_step_that_follows_reads_no_table_whole(
    log: EventLog, analysis: Analysis, owner: Connection, known: Definition
) -> None:
    """However small the tables are, and whatever statistics say of them."""
    await days_of(analysis, seed=17)
    await owner.execute("ANALYZE")
    head = await log.head(ACCOUNT)
    for step in (head // 2, head - head // 2):
        async with owner.transaction():
            await owner.execute(query("advance_projection"), known.name, 1, ACCOUNT, step)
            assert await owner.fetch(READ_WHOLE, f"{known.name}_v{known.version}_1") == []
            assert await owner.fetchval(READ) > 0
            assert await owner.fetchval(MODE) == "force_generic_plan"


async def test_what_is_built_is_planned_for_the_tables_as_they_are(
    log: EventLog, analysis: Analysis, database_url: str, owner: Connection
) -> None:
    await rebuild(database_url, TALLY)
    await days_of(analysis, seed=17, steps=6)
    built = await create(owner, TALLY)
    async with owner.transaction():
        await owner.execute(query("advance_projection"), TALLY.name, built, ACCOUNT, 10)
        assert await owner.fetchval(MODE) == "force_custom_plan"
