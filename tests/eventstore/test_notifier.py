"""The connections of the notifier: liveness and wake events."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from eventstore.connections import AccountConnection, Connection, connect
from eventstore.liveness import refuse_beside_earlier
from eventstore.notifier import EVERY_ACCOUNT, Notifier
from sql.errors import EarlierReleaseRuns
from sql.loader import query
from tests.eventstore.waiting import eventually

WAITING_FOR_LOCKS = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
 WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted
"""
"""In this database: others, of other tests, migrate theirs one after the other."""

KILL = """
SELECT pg_terminate_backend(pid) FROM pg_locks
 WHERE locktype = 'advisory' AND (classid::bigint << 32) | objid::bigint = $1
"""


@pytest.fixture
async def notifier(database_url: str) -> AsyncIterator[Notifier]:
    notifier = Notifier(database_url)
    await notifier.start()
    yield notifier
    await notifier.close()


async def is_gone(connection: Connection, owner: int) -> bool:
    return bool(await connection.fetchval(query("is_owner_gone"), owner))


async def test_a_process_counts_as_alive_from_its_start_to_its_end(
    notifier: Notifier, owner: Connection
) -> None:
    assert not await is_gone(owner, notifier.owner)
    await notifier.close()
    await eventually(lambda: is_gone(owner, notifier.owner))


async def test_an_unknown_owner_counts_as_gone(owner: Connection) -> None:
    assert await is_gone(owner, 12345)


async def test_a_liveness_check_does_not_make_an_owner_look_alive_to_others(
    owner: Connection, database_url: str
) -> None:
    async with owner.transaction():
        assert await is_gone(owner, 12345)
        second = Notifier(database_url)
        connection = await second._liveness._open()
        assert await is_gone(connection, 12345)
        await connection.close()


async def test_each_process_has_its_own_lock(
    notifier: Notifier, database_url: str, owner: Connection
) -> None:
    other = Notifier(database_url)
    await other.start()
    assert other.owner != notifier.owner
    await other.close()
    await eventually(lambda: is_gone(owner, other.owner))
    assert not await is_gone(owner, notifier.owner)


async def test_a_process_whose_link_broke_counts_as_alive_again_soon(
    notifier: Notifier, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_again, seen_gone = notifier._liveness._open, asyncio.Event()

    async def when_it_was_seen_gone() -> AccountConnection:
        await seen_gone.wait()
        return await open_again()

    monkeypatch.setattr(notifier._liveness, "_open", when_it_was_seen_gone)
    assert await owner.fetchval(KILL, notifier.owner)
    await eventually(lambda: is_gone(owner, notifier.owner))
    seen_gone.set()
    await eventually(lambda: is_alive(owner, notifier.owner))


@pytest.mark.parametrize("settling", [3600.0, 0.0])
async def test_a_process_that_was_disconnected_judges_nobody_for_a_while(
    settling: float, database_url: str, owner: Connection
) -> None:
    """Where the database was away, the others may just not be back yet."""
    notifier = Notifier(database_url, settling=settling)
    await notifier.start()
    try:
        assert notifier.settled
        session = notifier._liveness._connection
        assert await owner.fetchval(KILL, notifier.owner)

        async def is_back() -> bool:
            return notifier._liveness._connection not in (None, session)

        await eventually(is_back)
        assert notifier.settled == (settling == 0)
    finally:
        await notifier.close()


async def is_alive(connection: Connection, owner: int) -> bool:
    return not await is_gone(connection, owner)


async def test_a_process_of_an_earlier_release_beside_is_noticed(
    notifier: Notifier, owner: Connection, database_url: str
) -> None:
    """It has the lock of its number, and not that of this release."""
    await refuse_beside_earlier(owner)
    earlier = await connect(database_url)
    await earlier.execute("SELECT pg_advisory_lock(281474976710655)")
    with pytest.raises(EarlierReleaseRuns, match=f"session {earlier.get_server_pid()}, from"):
        await refuse_beside_earlier(owner)
    await earlier.close()
    await eventually(lambda: is_gone(owner, 281474976710655))
    await refuse_beside_earlier(owner)


async def test_a_process_gets_its_lock_in_spite_of_a_concurrent_liveness_check(
    notifier: Notifier, database_url: str, owner: Connection
) -> None:
    """A sweeper's check during the start must not make the process count as dead."""
    starting = Notifier(database_url)
    async with owner.transaction():
        assert await is_gone(owner, starting.owner)
        start = asyncio.create_task(starting.start())

        async def has_tried() -> bool:
            return start.done() or await owner.fetchval(WAITING_FOR_LOCKS) == 1

        await eventually(has_tried)
    await start
    try:
        assert not await is_gone(owner, starting.owner)
    finally:
        await starting.close()


async def test_a_notification_wakes_readers_of_the_account_and_of_all_accounts(
    notifier: Notifier, database_url: str
) -> None:
    far = Notifier(database_url)
    await far.start()
    wake_events = [
        one.wake_event(account) for one in (notifier, far) for account in (1, EVERY_ACCOUNT)
    ]
    deaf = [one.wake_event(2) for one in (notifier, far)]
    notifier.notify(1)
    assert wake_events[0].is_set()
    assert wake_events[1].is_set()
    async with asyncio.timeout(10):
        await wake_events[2].wait()
        await wake_events[3].wait()
    assert not any(wake_event.is_set() for wake_event in deaf)
    await far.close()


async def test_a_wake_event_is_set_once_and_the_next_is_a_new_one(notifier: Notifier) -> None:
    first = notifier.wake_event(1)
    assert notifier.wake_event(1) is first
    notifier.notify(1)
    second = notifier.wake_event(1)
    assert first.is_set()
    assert second is not first
    assert not second.is_set()
