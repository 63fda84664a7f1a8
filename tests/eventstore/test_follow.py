"""Followers get every event once, in order and soon."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from eventstore.connections import AccountPool, Connection, connect
from eventstore.envelope import RecordedEvent
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from eventstore.running_log import running_log
from sql.loader import query
from tests.eventstore import log_reading
from tests.eventstore.building import (
    add_account,
    append,
    message,
    messages,
    positions,
    take,
    whole_log,
)
from tests.eventstore.log_reading import follow
from tests.eventstore.waiting import appends_wait, eventually

Parts = tuple[EventLog, AccountPool, Notifier]

LISTENS = """
SELECT state = 'idle' AND query ~ 'LISTEN|pg_notify' FROM pg_stat_activity WHERE pid = $1
"""
HOLD_HEAD = "SELECT FROM log_heads WHERE account_id = 1 FOR UPDATE"


@pytest.fixture
async def other_log(database_url: str) -> AsyncIterator[EventLog]:
    """Another process' log on the same database."""
    async with running_log(database_url) as (log, _, _):
        yield log


@pytest.fixture
async def slow(database_url: str) -> AsyncIterator[Connection]:
    """A connection for a slow transaction."""
    connection = await connect(database_url)
    yield connection
    await connection.close()


without_polling = pytest.mark.parametrize("poll", [3600.0], ids=["without polling"])
"""Followers without a notification do not look."""


async def test_a_follower_catches_up_and_then_gets_new_events(log_parts: Parts) -> None:
    log, _, notifier = log_parts
    await append(log, "s", *messages(5))
    follower = follow(log, notifier, limit=2)
    assert [positions(await anext(follower)) for _ in range(3)] == [[1, 2], [3, 4], [5]]
    coming = asyncio.create_task(take(follower, 1))
    appended = await append(log, "s", message())
    assert await coming == appended


async def test_a_follower_begins_after_a_given_position(log_parts: Parts) -> None:
    log, _, notifier = log_parts
    appended = await append(log, "s", *messages(5))
    assert await take(follow(log, notifier, after=3), 2) == appended[3:]


async def test_a_follower_gets_no_events_of_another_account(
    log_parts: Parts, owner: Connection
) -> None:
    log, _, notifier = log_parts
    await add_account(owner, 2)
    coming = asyncio.create_task(take(follow(log, notifier), 1))
    await append(log, "s", *messages(3), account_id=2)
    mine = await append(log, "s", message())
    assert await coming == mine


@without_polling
async def test_a_follower_is_woken_by_an_append_of_its_own_process(log_parts: Parts) -> None:
    log, _, notifier = log_parts
    follower = follow(log, notifier)
    for _ in range(20):
        coming = asyncio.create_task(take(follower, 1))
        appended = await append(log, "s", message())
        async with asyncio.timeout(10):
            assert await coming == appended


@without_polling
async def test_a_follower_is_woken_by_an_append_of_another_process(
    log_parts: Parts, other_log: EventLog
) -> None:
    log, _, notifier = log_parts
    follower = follow(log, notifier)
    for _ in range(20):
        coming = asyncio.create_task(take(follower, 1))
        appended = await append(other_log, "s", message())
        async with asyncio.timeout(10):
            assert await coming == appended


@without_polling
async def test_a_follower_misses_no_event_between_reading_and_waiting(
    log_parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, _, notifier = log_parts
    read = log_reading.read_all

    async def read_and_be_overtaken(
        log: EventLog, account_id: int = 1, *, after: int = 0, limit: int = 1
    ) -> list[RecordedEvent]:
        batch = await read(log, account_id, after=after, limit=limit)
        if not batch and after < 3:
            await append(log, "s", message())
        return batch

    monkeypatch.setattr(log_reading, "read_all", read_and_be_overtaken)
    async with asyncio.timeout(10):
        assert positions(await take(follow(log, notifier), 3)) == [1, 2, 3]


@without_polling
async def test_a_follower_is_woken_again_after_the_notifier_reconnects(
    log_parts: Parts, other_log: EventLog, owner: Connection
) -> None:
    log, _, notifier = log_parts
    first = notifier._connection
    assert first
    await owner.execute("SELECT pg_terminate_backend($1)", first.get_server_pid())

    async def healed() -> bool:
        second = notifier._connection
        if second is None or second is first:
            return False
        return await owner.fetchval(LISTENS, second.get_server_pid()) is True

    await eventually(healed)
    coming = asyncio.create_task(take(follow(log, notifier), 1))
    appended = await append(other_log, "s", message())
    async with asyncio.timeout(10):
        assert await coming == appended


@pytest.mark.parametrize("poll", [0.05])
async def test_a_follower_without_a_connection_polls(log_parts: Parts, other_log: EventLog) -> None:
    log, _, notifier = log_parts
    await notifier.close()
    coming = asyncio.create_task(take(follow(log, notifier), 1))
    appended = await append(other_log, "s", message())
    assert await coming == appended


async def test_appends_wait_for_a_slow_transaction_and_come_out_in_order(
    log_parts: Parts, slow: Connection, owner: Connection
) -> None:
    """No follower can skip a late commit, since no later event commits before it."""
    log, _, notifier = log_parts
    follower = asyncio.create_task(take(follow(log, notifier, limit=3), 6))
    async with slow.transaction():
        await slow.execute(HOLD_HEAD)
        waiting = [asyncio.create_task(append(log, f"s{n}", *messages(2))) for n in range(3)]
        await appends_wait(owner)
        assert not any(task.done() for task in waiting)
    appended = [event for task in waiting for event in await task]
    assert await follower == appended == await whole_log(log)
    assert positions(appended) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("commits", [True, False], ids=["commits", "rolls back"])
async def test_an_append_that_opened_first_and_ends_last_is_not_skipped(
    log_parts: Parts, slow: Connection, owner: Connection, commits: bool
) -> None:
    """A slow writer has stored its event; until it commits, a fast one cannot."""
    log, _, notifier = log_parts
    follower = asyncio.create_task(take(follow(log, notifier), 2 if commits else 1))
    transaction = slow.transaction()
    await transaction.start()
    event_id = message().event_id
    data = ['{"type": "conversation_completed.v1", "conversation_id": 9, "reason": "deleted"}']
    actor = ['{"actor": {"id": null, "role": "system"}}']
    nothing = [None]
    await slow.fetch(
        query("append_events"),
        *(1, ["slow"], nothing, [], [1], [1], [event_id], data, actor, *[nothing] * 3, []),
    )
    fast = asyncio.create_task(append(log, "fast", message()))
    await appends_wait(owner)
    assert not follower.done()
    await (transaction.commit() if commits else transaction.rollback())
    await fast
    streams = [event.stream for event in await follower]
    assert streams == (["slow", "fast"] if commits else ["fast"])
    assert positions(await follower) == list(range(1, len(streams) + 1))
