"""A rebuild makes the same rows from the log, while the service runs."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec
import pytest

from eventstore.connections import Connection, Pool, connect
from eventstore.log import EventLog
from projections import rebuild as rebuild_module
from projections.definitions import Definition, definition, definitions
from projections.errors import RebuildUnderWay, SwapTimedOut
from projections.generations import create
from projections.parallel_build import GENTLE, Pace
from projections.rebuild import rebuild, rebuild_all
from sql.loader import query
from tests.eventstore.building import (
    Learner,
    Step,
    add_account,
    append,
    append_steps,
    dialogue,
    history,
    message,
    messages,
)
from tests.eventstore.waiting import eventually
from tests.projections.viewing import (
    AT_THE_GATE,
    GATE,
    GATED,
    TALLY,
    Parts,
    all_rows,
    catch_up,
    generations,
    rows_of,
    schemas,
    with_version,
)

MESSAGES = definition("conversation_messages")
CONVERSATIONS = definition("conversations")
INLINE = [name for name, known in definitions().items() if known.mode == "inline"]
WAITS_FOR_VIEW = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::regclass"
A_SWAP_WAITS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock'
   AND query ~ '_generation_v'
"""


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[Connection]:
    connection = await connect(database_url, "colloquy_auditor")
    yield connection
    await connection.close()


@asynccontextmanager
async def closed_gate(owner: Connection) -> AsyncIterator[None]:
    """Holds the lock that `GATED` waits for."""
    await owner.execute("SELECT pg_advisory_lock($1)", GATE)
    try:
        yield
    finally:
        await owner.execute("SELECT pg_advisory_unlock($1)", GATE)


async def append_in_batches(log: EventLog, steps: list[Step], seed: int, account_id: int) -> None:
    """Appends in groups of random size that share a commit."""
    chance = random.Random(seed)
    while steps:
        size = chance.choice((1, 2, 3, 10, 40))
        group, steps = steps[:size], steps[size:]
        await asyncio.gather(
            *(append(log, step.stream, *step.events, account_id=account_id) for step in group)
        )


@pytest.mark.parametrize(("seed", "step"), [(1, 50_000), (2, 13), (6, 7), (4, 3), (5, 1)])
async def test_a_rebuild_makes_the_rows_that_were_made_event_by_event(
    log_parts: Parts,
    workers: Pool,
    database_url: str,
    owner: Connection,
    seed: int,
    step: int,
) -> None:
    """With any ranges."""
    log, _, notifier = log_parts
    await add_account(owner, 2)
    for account_id in (1, 2):
        await append_in_batches(log, history(seed + account_id * 10, steps=40), seed, account_id)
    await catch_up(workers, notifier)
    before = await all_rows(owner)
    for known in definitions().values():
        await rebuild(database_url, known, pace=Pace(GENTLE, step))
    assert await all_rows(owner) == before
    assert all(before.values()), "a view without rows proves nothing"


@pytest.mark.slow
async def test_a_rebuild_loses_nothing_that_is_appended_meanwhile(
    log_parts: Parts,
    workers: Pool,
    database_url: str,
    owner: Connection,
) -> None:
    log, _, notifier = log_parts
    rebuilt = asyncio.Event()

    async def produce(seed: int) -> None:
        for step in history(seed, steps=5000, learners=3):
            await append_steps(log, [step])
            if rebuilt.is_set():
                return

    producing = asyncio.gather(*(produce(seed) for seed in range(1, 5)))
    for name in (*INLINE, "conversation_facts", "turn_facts"):
        known, before = definition(name), await log.head(1)
        await rebuild(database_url, known, pace=Pace(GENTLE, 20))
        await eventually(lambda before=before: _has_grown(log, before))  # type: ignore[misc]
    rebuilt.set()
    await producing
    await catch_up(workers, notifier)
    after = await all_rows(owner)
    for known in definitions().values():
        await rebuild(database_url, known, pace=Pace(GENTLE, 20))
    assert await all_rows(owner) == after
    assert len(await generations(owner, "conversations")) == 1


async def _has_grown(log: EventLog, before: int) -> bool:
    return await log.head(1) > before


async def test_readers_see_whole_views_and_no_error_while_a_rebuild_takes_place(
    log: EventLog, database_url: str, reader: Connection
) -> None:
    """Conversations go well here, so that the number of messages can only grow."""
    await append_steps(log, dialogue(Learner(), 20))
    done = asyncio.Event()
    seen: list[int] = []

    async def read() -> None:
        while not done.is_set():
            seen.append(await reader.fetchval("SELECT count(*) FROM read.conversation_messages"))

    async def produce() -> None:
        learner = Learner(102, conversation_ids=iter([2]))
        await append_steps(log, dialogue(learner))
        while not done.is_set():
            await append_steps(log, [learner.says(), learner.is_answered()])

    working = asyncio.gather(read(), produce())
    for _ in range(4):
        await rebuild(database_url, MESSAGES, pace=Pace(GENTLE, 10))
    done.set()
    await working
    assert seen == sorted(seen)
    assert seen[0] >= 42
    assert len(seen) > 10


async def test_a_handlers_read_goes_on_while_a_rebuild_takes_place(
    log_parts: Parts, database_url: str
) -> None:
    """The pool's prepared statements survive the replacement of their views."""
    log, pool, _ = log_parts
    await append_steps(log, dialogue(Learner()))
    live = [definition("active_conversations"), CONVERSATIONS] * 3
    rebuilding = asyncio.create_task(_rebuild_each(database_url, live))

    async def read() -> int:
        number = 0
        while not rebuilding.done() or number < 20:
            row = await pool.fetchrow(1, "SELECT * FROM read.active_conversations")
            assert row is not None
            number += 1
        return number

    counts = await asyncio.gather(*(read() for _ in range(3)))
    await rebuilding
    assert min(counts) >= 20


async def _rebuild_each(database_url: str, some: list[Definition]) -> None:
    for known in some:
        await rebuild(database_url, known)


async def test_all_projections_can_be_rebuilt_at_once(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    await append_steps(log, history(1))
    await asyncio.gather(*(rebuild(database_url, known) for known in definitions().values()))
    await append_steps(log, history(2))
    before = await all_rows(owner)
    for known in definitions().values():
        if known.mode == "inline":
            await rebuild(database_url, known)
            assert await rows_of(owner, known) == before[known.name]


async def test_a_swap_waits_for_another_projections_swap(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    """Each swap records the generations that appends call; the second must see the first's."""
    first = await connect(database_url)
    async with first.transaction():
        generation = await create(first, CONVERSATIONS)
        await first.execute(query("lock_appends"))
        await first.execute(query("publish_generation"), CONVERSATIONS.name, generation)
        second = asyncio.create_task(rebuild(database_url, TALLY))
        await eventually(lambda: owner.fetchval(A_SWAP_WAITS))
    await first.close()
    await second
    await append_steps(log, dialogue(Learner()))
    assert len(await rows_of(owner, CONVERSATIONS)) == 1


async def test_a_rebuild_that_is_cancelled_leaves_the_live_views_as_they_were(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    await append_steps(log, dialogue(Learner()))
    before = await rows_of(owner, MESSAGES), await generations(owner, MESSAGES.name)
    task = asyncio.create_task(
        rebuild(database_url, MESSAGES, lambda *_: _cancel(task), pace=Pace(GENTLE, 1))
    )
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await rows_of(owner, MESSAGES), await generations(owner, MESSAGES.name)) == before
    assert len(await schemas(owner, MESSAGES.name)) == 1
    await append_steps(log, dialogue(Learner(102, conversation_ids=iter([2]))))
    assert len(await rows_of(owner, MESSAGES)) == 12


def _cancel(task: "asyncio.Task[int]") -> None:
    task.cancel()


@pytest.mark.parametrize("moment", ["create", "_swap"])
async def test_a_rebuild_that_is_cancelled_while_it_commits_leaves_one_whole_generation(
    log: EventLog,
    database_url: str,
    owner: Connection,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    """It does not learn that its commit succeeded, so it must not act on what it believes."""
    commit = getattr(rebuild_module, moment)

    async def commit_and_be_cancelled(*arguments: object) -> None:
        await commit(*arguments)
        raise asyncio.CancelledError

    await append_steps(log, dialogue(Learner()))
    before = await rows_of(owner, MESSAGES)
    monkeypatch.setattr(rebuild_module, moment, commit_and_be_cancelled)
    with pytest.raises(asyncio.CancelledError):
        await rebuild(database_url, MESSAGES)
    assert [state for _, state in await generations(owner, MESSAGES.name)] == ["live"]
    assert len(await schemas(owner, MESSAGES.name)) == 1
    assert await rows_of(owner, MESSAGES) == before
    await append(log, "s", message(conversation_id=9))
    assert len(await rows_of(owner, MESSAGES)) == len(before) + 1


async def test_a_rebuild_whose_connection_breaks_leaves_nothing_behind(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    await rebuild(database_url, GATED)
    await append(log, "s", *messages(3))
    async with closed_gate(owner):
        task = asyncio.create_task(rebuild(database_url, GATED))
        pid = await eventually(lambda: owner.fetchval(AT_THE_GATE, GATE))
        await owner.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            await task
    assert [state for _, state in await generations(owner, "tally")] == ["live"]
    assert len(await schemas(owner, "tally")) == 1


async def test_the_next_rebuild_drops_the_generations_of_a_killed_process(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    await rebuild(database_url, GATED)
    await append(log, "s", *messages(3))
    await create(owner, GATED)
    await create(owner, GATED)
    states = [state for _, state in await generations(owner, "tally")]
    assert states == ["live", "building", "building"]
    async with closed_gate(owner):
        rebuilding = asyncio.create_task(rebuild(database_url, GATED))
        await eventually(lambda: owner.fetchval(AT_THE_GATE, GATE))
        left = await generations(owner, "tally")
        assert [state for _, state in left] == ["live", "building"], "before it builds its own"
    await rebuilding
    assert [state for _, state in await generations(owner, "tally")] == ["live"]
    assert len(await schemas(owner, "tally")) == 1
    assert len(await rows_of(owner, GATED)) == 3


async def test_a_second_rebuild_of_the_same_projection_is_refused(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    await append(log, "s", *messages(3))
    async with closed_gate(owner):
        first = asyncio.create_task(rebuild(database_url, GATED))
        await eventually(lambda: owner.fetchval(AT_THE_GATE, GATE))
        with pytest.raises(RebuildUnderWay, match="tally"):
            await rebuild(database_url, GATED)
        await rebuild(database_url, MESSAGES)
    assert await first == 3
    assert await generations(owner, "tally") == [(1, "live")]
    assert len(await rows_of(owner, GATED)) == 3


async def test_a_rebuild_times_out_while_a_reader_holds_the_view_and_appends_continue(
    log: EventLog,
    database_url: str,
    reader: Connection,
    owner: Connection,
) -> None:
    await append_steps(log, dialogue(Learner()))
    async with reader.transaction():
        before = await rows_of(reader, MESSAGES)
        rebuilding = asyncio.create_task(rebuild(database_url, MESSAGES, swap_timeout=0.0))

        async def has_waited() -> bool:
            """Or has ended: the wait of 0.2 s may be missed."""
            waits = await owner.fetchval(WAITS_FOR_VIEW, f"read.{MESSAGES.name}")
            return rebuilding.done() or waits > 0

        await eventually(has_waited)
        appending = asyncio.create_task(append(log, "s", message(conversation_id=9)))
        with pytest.raises(SwapTimedOut, match=r"conversation_messages .* held by .* [(]process"):
            await rebuilding
        await appending
        assert len(await rows_of(reader, MESSAGES)) == len(before) + 1
    assert await generations(reader, MESSAGES.name) == [(1, "live")]
    await rebuild(database_url, MESSAGES)
    assert len(await rows_of(reader, MESSAGES)) == len(before) + 1


async def test_a_rebuild_waits_for_a_reader_that_holds_the_view(
    log: EventLog, database_url: str, reader: Connection, owner: Connection
) -> None:
    await append_steps(log, dialogue(Learner()))
    async with reader.transaction():
        before = await rows_of(reader, CONVERSATIONS)
        task = asyncio.create_task(rebuild(database_url, CONVERSATIONS))
        await eventually(lambda: owner.fetchval(WAITS_FOR_VIEW, "read.conversations"))
    await task
    assert await rows_of(reader, CONVERSATIONS) == before
    assert await generations(reader, "conversations") == [(2, "live")]


async def test_progress_is_reported_up_to_the_total(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    await add_account(owner, 2)
    await append(log, "s", *messages(9))
    await append(log, "s", *messages(2), account_id=2)
    reports: list[tuple[int, int]] = []
    assert (
        await rebuild(
            database_url, TALLY, lambda *progress: reports.append(progress), pace=Pace(GENTLE, 4)
        )
        == 11
    )
    assert reports == [(4, 11), (8, 11), (9, 11), (11, 11)]


async def test_an_empty_log_can_be_rebuilt_from(database_url: str, owner: Connection) -> None:
    assert await rebuild(database_url, MESSAGES) == 0
    assert await rows_of(owner, MESSAGES) == []


async def test_a_new_version_may_have_other_columns(
    log: EventLog, database_url: str, reader: Connection, owner: Connection
) -> None:
    await append(log, "s", *messages(2))
    await rebuild(database_url, _readable(TALLY))
    assert [tuple(row) for row in await reader.fetch("SELECT * FROM read.tally")] == [
        (1, 1),
        (1, 2),
    ]
    columns = "CREATE TABLE tally (account_id bigint, position bigint, twice bigint"
    wider = _readable(
        with_version(_changed(TALLY, columns + " GENERATED ALWAYS AS (position * 2) STORED)"), 2)
    )
    await rebuild(database_url, wider)
    assert [tuple(row) for row in await reader.fetch("SELECT * FROM read.tally")] == [
        (1, 1, 2),
        (1, 2, 4),
    ]
    assert await schemas(owner, "tally") == ["tally_v2_2"]


async def test_a_definition_that_does_not_work_leaves_nothing_behind(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    await rebuild(database_url, TALLY)
    await append(log, "s", message())
    for broken in (_changed(TALLY, "CREATE TABLE tally ("), _changed(TALLY, "SELECT 1")):
        with pytest.raises(asyncpg.PostgresError):
            await rebuild(database_url, broken)
    assert await generations(owner, "tally") == [(1, "live")]
    assert await schemas(owner, "tally") == ["tally_v1_1"]


async def test_the_views_stay_readable_to_their_readers_and_to_no_one_else(
    database_url: str, owner: Connection
) -> None:
    may = "SELECT has_table_privilege($1, $2, 'SELECT')"
    for known in definitions().values():
        await rebuild(database_url, known)
        for role in ("colloquy_service", "colloquy_auditor", "colloquy_analyst"):
            for table in known.tables:
                readable = await owner.fetchval(may, role, f"{known.schema}.{table}")
                assert readable == (role in known.readers), (role, table)


def _changed(known: Definition, tables: str) -> Definition:
    return msgspec.structs.replace(known, definition=tables)


def _readable(known: Definition) -> Definition:
    return msgspec.structs.replace(known, readers=("colloquy_auditor",))


async def test_several_projections_are_rebuilt_with_one_progress(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    await append(log, "s", *messages(5))
    chosen = [MESSAGES, CONVERSATIONS, definition("turn_facts")]
    reports: list[tuple[int, int]] = []
    done = [
        pair
        async for pair in rebuild_all(
            database_url, chosen, lambda *progress: reports.append(progress)
        )
    ]
    assert sorted(done) == sorted((known.name, 5) for known in chosen)
    assert reports[-1] == (15, 15)
    assert reports == sorted(reports)
    for known in chosen:
        assert await generations(owner, known.name) == [(2, "live")]


async def test_a_projection_that_fails_leaves_the_others_unchanged(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    await append(log, "s", *messages(5))
    broken = _changed(TALLY, "CREATE TABLE tally (")
    with pytest.raises(asyncpg.PostgresSyntaxError):
        async for _ in rebuild_all(database_url, [broken, MESSAGES, CONVERSATIONS]):
            pass
    for known in (MESSAGES, CONVERSATIONS):
        ((_, state),) = await generations(owner, known.name)
        assert state == "live"
    assert len(await rows_of(owner, MESSAGES)) == 5
