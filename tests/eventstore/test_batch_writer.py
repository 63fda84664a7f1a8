"""With broken connections, every append is stored exactly once and its caller gets the result."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from eventstore.append_batch import new_pending_append
from eventstore.connections import Connection, connect
from eventstore.envelope import NewEvent, RecordedEvent
from eventstore.errors import AppendRefused, DatabaseBusy, LogUnavailable, WrongExpectedRevision
from eventstore.group_commit import GroupCommit
from eventstore.log import EventLog
from tests.eventstore.building import (
    ACCOUNT,
    BY_LEARNER,
    append,
    message,
    messages,
    positions,
    whole_log,
)
from tests.eventstore.cutting_proxy import CuttingProxy
from tests.eventstore.waiting import appends_wait, eventually

KILL_LANES = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
   AND query ~ 'append_events_v2|Which of these events'
"""
LOCKS_ON_HEADS = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
 WHERE d.datname = current_database() AND l.relation = 'log_heads'::regclass
"""
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
TELLING = b"telling-stream"
STREAM = TELLING.decode()


@asynccontextmanager
async def commits_over(url: str, seconds: float = 20.0) -> AsyncIterator[GroupCommit]:
    commits = GroupCommit(url, lambda _: None, seconds)
    commits.start()
    try:
        yield commits
    finally:
        await commits.close()


@pytest.fixture
async def holder(database_url: str) -> AsyncIterator[Connection]:
    """A connection that can hold the account's head row."""
    connection = await connect(database_url)
    yield connection
    await connection.close()


async def submit(
    commits: GroupCommit, *events: NewEvent, expected: int | None = None, stream: str = STREAM
) -> list[RecordedEvent]:
    return await commits.submit(new_pending_append(ACCOUNT, stream, expected, events, BY_LEARNER))


async def extend(log: EventLog, stream: str, appends: int, seed: int) -> list[RecordedEvent]:
    """Appends to its own stream, each time at the expected revision."""
    chance = random.Random(seed)
    appended: list[RecordedEvent] = []
    for _ in range(appends):
        appended += await append(
            log, stream, *messages(chance.randint(1, 3)), expected=len(appended)
        )
    return appended


async def add_to(log: EventLog, stream: str, appends: int) -> list[RecordedEvent]:
    """Appends to a shared stream."""
    return [(await append(log, stream, message()))[0] for _ in range(appends)]


async def grows_or_ends(
    log: EventLog, producers: "asyncio.Future[list[list[RecordedEvent]]]"
) -> None:
    before = await log.head(ACCOUNT)

    async def look() -> bool:
        return producers.done() or await log.head(ACCOUNT) > before

    await eventually(look)


@pytest.mark.parametrize("seed", range(3))
async def test_appends_outlive_their_connections_and_are_stored_exactly_once(
    log: EventLog, owner: Connection, seed: int
) -> None:
    """Connections are killed after every step forward."""
    producers = asyncio.gather(
        *(extend(log, f"own-{n}", 12, seed * 100 + n) for n in range(6)),
        *(add_to(log, "common", 12) for _ in range(4)),
    )
    kills = 0
    while not producers.done():
        kills += len(await owner.fetch(KILL_LANES))
        await grows_or_ends(log, producers)
    appended = [event for events in await producers for event in events]
    assert kills >= 3
    stored = await whole_log(log)
    assert sorted(appended, key=lambda event: event.position) == stored
    assert positions(stored) == list(range(1, len(stored) + 1))

    async def nothing_is_locked() -> bool:
        """A terminated session frees its locks after its last message, and vacuum soon."""
        return bool(await owner.fetchval(LOCKS_ON_HEADS) == 0)

    await eventually(nothing_is_locked)


@pytest.mark.parametrize("expected", [None, 0], ids=["any revision", "an exact revision"])
async def test_an_append_whose_answer_was_lost_is_not_stored_again(
    log: EventLog, database_url: str, expected: int | None
) -> None:
    async with CuttingProxy(database_url, TELLING, cuts=3) as line, commits_over(line.url) as queue:
        appended = await submit(queue, *messages(2), expected=expected)
        assert line.cuts_left < 3
    assert appended == await whole_log(log)
    assert [event.revision for event in appended] == [1, 2]


@pytest.mark.parametrize("expected", [None, 0], ids=["any revision", "an exact revision"])
async def test_an_append_that_commits_only_after_it_was_sent_again_is_stored_once(
    log: EventLog, database_url: str, holder: Connection, owner: Connection, expected: int | None
) -> None:
    """The lost request and its repeat wait for the same lock in the server."""
    async with CuttingProxy(database_url, TELLING, cuts=1) as line, commits_over(line.url) as queue:
        async with holder.transaction():
            await holder.execute("SELECT FROM log_heads FOR UPDATE")
            appending = asyncio.create_task(submit(queue, *messages(2), expected=expected))
            await appends_wait(owner, 2)
        appended = await appending
    assert appended == await whole_log(log)
    assert [event.revision for event in appended] == [1, 2]


async def test_each_caller_of_a_batch_whose_answer_was_lost_gets_its_result(
    log: EventLog, database_url: str
) -> None:
    await append(log, "taken", message())
    async with CuttingProxy(database_url, TELLING, cuts=1) as line, commits_over(line.url) as queue:
        results = await asyncio.gather(
            submit(queue, *messages(2)),
            submit(queue, message(), stream="taken", expected=0),
            submit(queue, message(), stream="new", expected=0),
            submit(queue, message("\0"), stream="bad"),
            *(submit(queue, message()) for _ in range(5)),
            return_exceptions=True,
        )
        assert line.cuts_left == 0
    kinds = [type(result) for result in results]
    assert kinds == [list, WrongExpectedRevision, list, AppendRefused, *[list] * 5]
    appended = [event for result in results if isinstance(result, list) for event in result]
    stored = (await whole_log(log))[1:]
    assert sorted(appended, key=lambda event: event.position) == stored
    assert len(stored) == 8


async def test_an_append_lost_with_its_connection_is_sent_again(
    log: EventLog, database_url: str, holder: Connection, owner: Connection
) -> None:
    """The server was killed during the first request, which has no effect."""
    async with holder.transaction():
        await holder.execute("SELECT FROM log_heads FOR UPDATE")
        appending = asyncio.create_task(append(log, "s", message(), expected=0))
        await appends_wait(owner)
        assert await owner.fetch(KILL_LANES)
        await appends_wait(owner)
    assert await appending == await whole_log(log)


async def test_an_append_waits_for_a_restarting_database(log: EventLog, database_url: str) -> None:
    async with CuttingProxy(database_url, refusals=4) as line, commits_over(line.url) as queue:
        appended = await submit(queue, message())
        assert line.refusals_left == 0
    assert appended == await whole_log(log)


async def test_a_batch_that_keeps_the_database_busy_is_stored_except_for_the_bad_append(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    await owner.execute(
        "CREATE FUNCTION refuse_bad() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.stream = "
        "'bad' THEN RAISE EXCEPTION 'locked' USING ERRCODE = '55P03'; END IF; RETURN NEW; END$$;"
        "CREATE TRIGGER bad BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse_bad()"
    )
    async with commits_over(database_url, seconds=0.3) as queue:
        results = await asyncio.gather(
            *(submit(queue, message(), stream=stream) for stream in ("one", "bad", "two", "three")),
            return_exceptions=True,
        )
    assert [type(result) for result in results] == [list, DatabaseBusy, list, list]
    assert {event.stream for event in await whole_log(log)} == {"one", "two", "three"}


async def test_an_append_fails_after_its_timeout() -> None:
    async with commits_over(NOWHERE, seconds=0.2) as queue:
        results = await asyncio.gather(
            *(submit(queue, message()) for _ in range(3)), return_exceptions=True
        )
    assert [type(result) for result in results] == [LogUnavailable] * 3


async def test_the_queue_works_again_after_the_database_was_away_for_too_long(
    log: EventLog, database_url: str
) -> None:
    async with (
        CuttingProxy(database_url, refusals=1000) as line,
        commits_over(line.url, seconds=0.1) as queue,
    ):
        with pytest.raises(LogUnavailable):
            await submit(queue, message())
        line.refusals_left = 0
        queue._timeout = 20.0  # a slow machine may take longer than the first append waited
        appended = await submit(queue, message())
    assert appended == await whole_log(log)


async def test_a_statement_that_an_operator_cancels_is_sent_again(
    log: EventLog, holder: Connection, owner: Connection
) -> None:
    cancel = KILL_LANES.replace("pg_terminate_backend", "pg_cancel_backend")
    async with holder.transaction():
        await holder.execute("SELECT FROM log_heads FOR UPDATE")
        appending = asyncio.create_task(append(log, "s", message(), expected=0))
        await appends_wait(owner)
        assert await owner.fetch(cancel)
    assert await appending == await whole_log(log)
