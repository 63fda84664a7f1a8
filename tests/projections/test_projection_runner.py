"""The followed projections keep up with the log, whatever happens to their runners."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg
import msgspec
import pytest

from eventstore.connections import Connection, Pool, open_pool
from eventstore.notifier import Notifier
from projections.definitions import Definition
from projections.projection_runner import ProjectionRunner
from projections.rebuild import rebuild
from projections.status import projection_status
from tests.eventstore.building import Learner, add_account, append, append_steps, dialogue, messages
from tests.eventstore.waiting import eventually
from tests.projections.viewing import AT_THE_GATE, GATE, GATED, TALLY, Parts, catch_up

POISONED = msgspec.structs.replace(
    TALLY,
    name="poisoned",
    tables=("poisoned",),
    definition="CREATE TABLE poisoned (account_id bigint, position bigint)",
    statements=(
        """
        INSERT INTO poisoned (account_id, position)
        SELECT e.account_id, e.position / CASE e.conversation_id WHEN 666 THEN 0 ELSE 1 END
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position;
        """,
    ),
)
"""Cannot digest conversation 666."""

TALLIED = "SELECT array_agg(position ORDER BY position) FROM read.tally WHERE account_id = $1"
CHECKPOINT = """
SELECT (SELECT count(*) FROM read.tally) AS rows,
       (SELECT coalesce(sum(c.position), 0) FROM projection_checkpoints c JOIN projections p
          USING (name, generation) WHERE p.name = 'tally' AND p.state = 'live') AS position
"""


@pytest.fixture
async def pools(database_url: str) -> AsyncIterator[list[Pool]]:
    """The pools of two processes."""
    pools = [await open_pool(database_url, "colloquy_worker", 4) for _ in range(2)]
    yield pools
    for pool in pools:
        await pool.close()


@asynccontextmanager
async def running(*runners: ProjectionRunner) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(runner.run()) for runner in runners]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def tallied(owner: Connection, number: int, account_id: int = 1) -> Callable[[], Awaitable[bool]]:
    """Whether so many positions were applied, each once."""

    async def look() -> bool:
        applied: list[int] | None = await owner.fetchval(TALLIED, account_id)
        return applied == list(range(1, number + 1))

    return look


async def install(database_url: str, *some: Definition) -> None:
    for definition in some:
        await rebuild(database_url, definition)


async def error_of(owner: Connection, name: str) -> str | None:
    (status,) = [s for s in await projection_status(owner) if s.name == name]
    return status.error


async def test_turn_facts_follow_the_log(
    log_parts: Parts, workers: Pool, owner: Connection
) -> None:
    log, _, notifier = log_parts
    async with running(ProjectionRunner(workers, notifier)):
        await append_steps(log, dialogue(Learner(), 3))

        async def all_there() -> bool:
            outcomes = await owner.fetch("SELECT outcome FROM analytics.turn_facts")
            return [row[0] for row in outcomes] == ["completed"] * 4

        await eventually(all_there)


@pytest.mark.parametrize("poll", [3600.0])
async def test_a_log_of_any_account_wakes_the_runner_at_once(
    log_parts: Parts,
    workers: Pool,
    database_url: str,
    owner: Connection,
) -> None:
    log, _, notifier = log_parts
    await add_account(owner, 2)
    await install(database_url, TALLY)
    async with running(ProjectionRunner(workers, notifier)):
        for number in range(1, 6):
            await append(log, "s", *messages(1), account_id=2)
            await eventually(tallied(owner, number, account_id=2))


async def test_what_came_before_the_runner_is_caught_up_with(
    log_parts: Parts,
    workers: Pool,
    database_url: str,
    owner: Connection,
) -> None:
    log, _, notifier = log_parts
    await install(database_url, TALLY)
    await append(log, "s", *messages(50))
    async with running(ProjectionRunner(workers, notifier, step=7)):
        await eventually(tallied(owner, 50))


async def test_one_step_covers_no_more_than_it_may(
    log_parts: Parts,
    workers: Pool,
    database_url: str,
    owner: Connection,
) -> None:
    log, _, notifier = log_parts
    await install(database_url, TALLY)
    await append(log, "s", *messages(10))
    runner = ProjectionRunner(workers, notifier, step=7)
    assert await runner.catch_up()
    assert await owner.fetchval(TALLIED, 1) == [1, 2, 3, 4, 5, 6, 7]
    assert await runner.catch_up()
    assert not await runner.catch_up()


async def test_two_runners_apply_every_event_once(
    log_parts: Parts,
    workers: Pool,
    database_url: str,
    owner: Connection,
    pools: list[Pool],
) -> None:
    """Rows and checkpoint, looked at all the while, agree: they change in one transaction."""
    notifier = log_parts[2]
    await install(database_url, TALLY)
    other_notifier = Notifier(database_url)
    await other_notifier.start()
    runners = [ProjectionRunner(workers, notifier, step=5) for pool in pools] + [
        ProjectionRunner(pools[1], other_notifier, step=5)
    ]
    async with running(*runners):
        producing = asyncio.gather(*(append_many(log_parts, f"s{n}") for n in range(4)))
        while not producing.done():
            row = await owner.fetchrow(CHECKPOINT)
            assert row is not None
            assert row["rows"] == row["position"]
        await producing
        await eventually(tallied(owner, 200))
    await other_notifier.close()


async def append_many(parts: Parts, stream: str) -> None:
    for _ in range(50):
        await append(parts[0], stream, *messages(1))


async def test_a_runner_killed_in_the_middle_of_a_batch_is_replaced_and_nothing_is_lost(
    log_parts: Parts, database_url: str, owner: Connection, pools: list[Pool]
) -> None:
    log, _, notifier = log_parts
    await install(database_url, GATED)
    await append(log, "s", *messages(20))
    await owner.execute("SELECT pg_advisory_lock($1)", GATE)
    async with running(ProjectionRunner(pools[0], notifier), ProjectionRunner(pools[1], notifier)):
        pid = await eventually(lambda: owner.fetchval(AT_THE_GATE, GATE))
        await owner.execute("SELECT pg_terminate_backend($1)", pid)
        another = f"{AT_THE_GATE} AND l.pid <> $2"
        await eventually(lambda: owner.fetchval(another, GATE, pid))
        assert await owner.fetchval(TALLIED, 1) is None
        await owner.execute("SELECT pg_advisory_unlock($1)", GATE)
        await eventually(tallied(owner, 20))


async def test_one_runner_does_not_wait_for_another(
    log_parts: Parts,
    database_url: str,
    owner: Connection,
    pools: list[Pool],
) -> None:
    """A projection that one process works at does not keep the other process from the rest."""
    log, _, notifier = log_parts
    await install(database_url, GATED)
    await append_steps(log, dialogue(Learner()))
    await owner.execute("SELECT pg_advisory_lock($1)", GATE)
    stuck = asyncio.create_task(ProjectionRunner(pools[0], notifier, max_concurrent=1).catch_up())
    await eventually(lambda: owner.fetchval(AT_THE_GATE, GATE))
    async with asyncio.timeout(10):
        await catch_up(pools[1], notifier)
    assert await owner.fetchval("SELECT count(*) FROM analytics.turn_facts") == 3
    await owner.execute("SELECT pg_advisory_unlock($1)", GATE)
    assert await stuck


async def test_an_event_that_cannot_be_applied_stops_its_projection_only_and_says_why(
    log_parts: Parts, workers: Pool, database_url: str, owner: Connection
) -> None:
    log, _, notifier = log_parts
    await install(database_url, POISONED, TALLY)
    async with running(ProjectionRunner(workers, notifier)):
        await append(log, "s", *messages(3))
        await eventually(lambda: owner.fetchval("SELECT count(*) = 3 FROM read.poisoned"))
        await append(log, "s", *messages(1, conversation_id=666))
        await append(log, "s", *messages(2))
        await eventually(tallied(owner, 6))
        assert await eventually(lambda: error_of(owner, "poisoned")) == "division by zero"
        assert await error_of(owner, "tally") is None
        assert await owner.fetchval("SELECT count(*) FROM read.poisoned") == 3


async def test_the_event_that_cannot_be_applied_is_named_and_all_before_it_are_applied(
    log_parts: Parts, workers: Pool, database_url: str, owner: Connection
) -> None:
    log, _, notifier = log_parts
    await install(database_url, POISONED)
    await append(log, "s", *messages(37), *messages(1, conversation_id=666), *messages(40))
    await catch_up(workers, notifier)
    (status,) = [s for s in await projection_status(owner) if s.name == "poisoned"]
    assert (status.position, status.error_position) == (37, 38)
    assert status.error_at is not None
    assert await owner.fetchval("SELECT count(*) FROM read.poisoned") == 37


async def test_a_paused_projection_stays_where_it_is_until_it_is_resumed(
    log_parts: Parts, workers: Pool, database_url: str, owner: Connection
) -> None:
    log, _, notifier = log_parts
    await install(database_url, TALLY)
    await append(log, "s", *messages(2))
    await catch_up(workers, notifier)
    await owner.execute("INSERT INTO projection_pauses VALUES ('tally')")
    await append(log, "s", *messages(2))
    await catch_up(workers, notifier)
    (status,) = [s for s in await projection_status(owner) if s.name == "tally"]
    assert (status.position, status.head, status.paused) == (2, 4, True)
    await owner.execute("DELETE FROM projection_pauses")
    await catch_up(workers, notifier)
    assert await tallied(owner, 4)()


@pytest.mark.parametrize("poll", [0.05])
async def test_a_projection_goes_on_where_it_stopped_when_the_cause_is_gone(
    log_parts: Parts,
    workers: Pool,
    database_url: str,
    owner: Connection,
) -> None:
    log, _, notifier = log_parts
    await install(database_url, TALLY)
    await append(log, "s", *messages(2))
    await catch_up(workers, notifier)
    full = "ALTER TABLE tally_v1_1.tally ADD CONSTRAINT full_up CHECK (position < 3)"
    await owner.execute(full)
    async with running(ProjectionRunner(workers, notifier, retry=0.05)):
        await append(log, "s", *messages(2))
        assert "full_up" in str(await eventually(lambda: error_of(owner, "tally")))
        await owner.execute("ALTER TABLE tally_v1_1.tally DROP CONSTRAINT full_up")
        await eventually(tallied(owner, 4))
    assert await error_of(owner, "tally") is None


async def test_a_projection_that_stopped_is_not_tried_again_at_every_append(
    log_parts: Parts,
    workers: Pool,
    database_url: str,
    owner: Connection,
) -> None:
    log, _, notifier = log_parts
    await install(database_url, POISONED)
    await append(log, "s", *messages(1, conversation_id=666))
    runner = ProjectionRunner(workers, notifier, retry=3600.0)
    await runner.catch_up()
    tried = "SELECT error_at FROM projection_checkpoints WHERE error IS NOT NULL"
    before = await owner.fetchval(tried)
    await append(log, "s", *messages(1))
    await runner.catch_up()
    assert await owner.fetchval(tried) == before is not None


@pytest.mark.parametrize("poll", [0.05])
async def test_the_runner_outlives_a_database_that_is_away(
    log_parts: Parts,
    workers: Pool,
    database_url: str,
    owner: Connection,
) -> None:
    log, _, notifier = log_parts
    await install(database_url, TALLY)
    kill = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
    """
    async with running(ProjectionRunner(workers, notifier)):
        for number in range(1, 6):
            await owner.execute(kill)
            await append(log, "s", *messages(1))
            await eventually(tallied(owner, number))


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("in the middle of an answer"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("got result for unknown protocol state"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("poll", [0.05])
async def test_the_runner_outlives_every_way_in_which_a_connection_breaks(
    log_parts: Parts,
    workers: Pool,
    database_url: str,
    owner: Connection,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """asyncpg has no base class for what a server that dies in mid-answer makes it raise."""
    log, _, notifier = log_parts
    await install(database_url, TALLY)
    runner = ProjectionRunner(workers, notifier)
    whole, broken = runner.catch_up, [error]

    async def catch_up() -> bool:
        if broken:
            raise broken.pop()
        return await whole()

    monkeypatch.setattr(runner, "catch_up", catch_up)
    async with running(runner):
        await append(log, "s", *messages(1))
        await eventually(tallied(owner, 1))
    assert not broken


async def test_a_rebuild_does_not_disturb_the_runner(
    log_parts: Parts, workers: Pool, database_url: str, owner: Connection
) -> None:
    log, _, notifier = log_parts
    await install(database_url, TALLY)
    async with running(ProjectionRunner(workers, notifier)):
        producing = asyncio.gather(*(append_many(log_parts, f"s{n}") for n in range(2)))
        while not producing.done():
            await rebuild(database_url, TALLY)
        await producing
        await eventually(tallied(owner, 100))
    assert await log.head(1) == 100
