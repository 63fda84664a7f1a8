"""The connection by which others know that a process lives."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from eventstore.connections import AccountConnection, Connection
from eventstore.notifier import EVERY_ACCOUNT, Link
from sql.loader import query
from tests.eventstore.waiting import eventually

WAITING_FOR_LOCKS = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
 WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted
"""
"""In this database: others, of other tests, migrate theirs one after the other."""


@pytest.fixture
async def link(database_url: str) -> AsyncIterator[Link]:
    link = Link(database_url)
    await link.start()
    yield link
    await link.close()


async def is_gone(connection: Connection, owner: int) -> bool:
    return bool(await connection.fetchval(query("is_owner_gone"), owner))


async def test_a_process_counts_as_alive_from_its_start_to_its_end(
    link: Link, owner: Connection
) -> None:
    assert not await is_gone(owner, link.owner)
    await link.close()
    await eventually(lambda: is_gone(owner, link.owner))


async def test_a_number_that_no_process_has_belongs_to_nobody(owner: Connection) -> None:
    assert await is_gone(owner, 12345)


async def test_looking_whether_an_owner_lives_does_not_make_it_look_alive_to_others(
    owner: Connection, database_url: str
) -> None:
    async with owner.transaction():
        assert await is_gone(owner, 12345)
        second = Link(database_url)
        connection = await second._liveness._open()
        assert await is_gone(connection, 12345)
        await connection.close()


async def test_two_processes_have_locks_of_their_own(
    link: Link, database_url: str, owner: Connection
) -> None:
    other = Link(database_url)
    await other.start()
    assert other.owner != link.owner
    await other.close()
    await eventually(lambda: is_gone(owner, other.owner))
    assert not await is_gone(owner, link.owner)


async def test_a_process_whose_link_broke_counts_as_alive_again_soon(
    link: Link, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill = """
    SELECT pg_terminate_backend(pid) FROM pg_locks
     WHERE locktype = 'advisory' AND (classid::bigint << 32) | objid::bigint = $1
    """
    open_again, seen_gone = link._liveness._open, asyncio.Event()

    async def when_it_was_seen_gone() -> AccountConnection:
        await seen_gone.wait()
        return await open_again()

    monkeypatch.setattr(link._liveness, "_open", when_it_was_seen_gone)
    assert await owner.fetchval(kill, link.owner)
    await eventually(lambda: is_gone(owner, link.owner))
    seen_gone.set()

    async def is_back() -> bool:
        return not await is_gone(owner, link.owner)

    await eventually(is_back)


async def test_a_process_holds_its_lock_though_somebody_was_just_looking_at_it(
    link: Link, database_url: str, owner: Connection
) -> None:
    """A sweeper that looks at the very moment of the start must not make it dead for ever."""
    starting = Link(database_url)
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


async def test_a_ring_wakes_who_listens_to_the_account_and_who_listens_to_all(
    link: Link, database_url: str
) -> None:
    far = Link(database_url)
    await far.start()
    bells = [one.bell(account) for one in (link, far) for account in (1, EVERY_ACCOUNT)]
    deaf = [one.bell(2) for one in (link, far)]
    link.ring(1)
    assert bells[0].is_set()
    assert bells[1].is_set()
    async with asyncio.timeout(10):
        await bells[2].wait()
        await bells[3].wait()
    assert not any(bell.is_set() for bell in deaf)
    await far.close()


async def test_a_bell_rings_once_and_the_next_is_a_new_one(link: Link) -> None:
    first = link.bell(1)
    assert link.bell(1) is first
    link.ring(1)
    second = link.bell(1)
    assert first.is_set()
    assert second is not first
    assert not second.is_set()
