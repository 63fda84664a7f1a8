"""A frozen primary is succeeded by its standby, and then wakes up."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

import asyncpg
import pytest

from eventstore.connections import connect
from eventstore.database_errors import DATABASE_ERRORS
from eventstore.primary import LEASE, Primary
from eventstore.running_log import running_log
from eventstore.sessions import NotPrimary
from service.embedded_postgres.socket_folder import PORT
from service.process.database import prepare
from tests.databases import socket_folder_of
from tests.eventstore.building import append, message
from tests.eventstore.log_reading import read_all
from tests.running import CONVERSATIONS, Service, client, eventually, running_service
from tests.servers import OwnServer, own_server

pytestmark = pytest.mark.slow

AT_ONCE = 16
"""Requests under way: the service has so many sessions on the primary."""

BOUND = 20.0
"""Seconds within which a service must be there again, on a slow machine."""


@pytest.fixture
async def pair() -> AsyncIterator[OwnServer]:
    """A primary and a standby that follows it."""
    with own_server(fsync="off") as server:
        await prepare(server.url)
        await asyncio.to_thread(server.add_standby)
        yield server


def both(pair: OwnServer) -> str:
    """A URL that names the two."""
    return _through(pair.url, pair.standby_url)


def _through(*urls: str) -> str:
    """The first URL with the sockets of all."""
    folders = ",".join(socket_folder_of(url) for url in urls)
    return urlsplit(urls[0])._replace(query=f"host={folders}&port={PORT}").geturl()


async def caught_up(pair: OwnServer) -> None:
    primary, standby = await asyncpg.connect(pair.url), await asyncpg.connect(pair.standby_url)
    head = await primary.fetchval("SELECT pg_current_wal_lsn()::text")

    async def has_all() -> bool:
        at = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn"
        return bool(await standby.fetchval(at, head))

    await eventually(has_all)
    await primary.close()
    await standby.close()


class Readers:
    """Requests for the conversation, again and again; `answers` are all that came."""

    def __init__(self, service: Service) -> None:
        self.answers: list[tuple[int, Any]] = []
        self._service = service

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._read()) for _ in range(AT_ONCE)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            self.answers.append(await self._service.call("GET", CONVERSATIONS))
            await asyncio.sleep(0.02)

    async def are_answered(self, status: int) -> None:
        """Waits for an answer of this status to a request that is made from now on."""
        seen = len(self.answers) + AT_ONCE
        await eventually(lambda: status in {one for one, _ in self.answers[seen:]}, within=BOUND)


async def test_no_answer_comes_from_a_primary_that_was_succeeded_while_it_was_frozen(
    pair: OwnServer,
) -> None:
    """The service soon reports its database as unavailable, and recovers after the promotion."""
    async with running_service(both(pair)) as service:
        conversation = await service.open()
        async with Readers(service) as readers:
            await readers.are_answered(200)
            await caught_up(pair)
            pair.freeze()
            await readers.are_answered(503)
            await asyncio.to_thread(pair.promote)
            await readers.are_answered(200)
            new = await service.open()
            assert new["id"] != conversation["id"]
            seen = len(readers.answers) + AT_ONCE
            pair.thaw()
            await eventually(lambda: len(readers.answers) > seen + 50 * AT_ONCE)
        assert {status for status, _ in readers.answers} == {200, 503}
        late = readers.answers[seen:]
        assert {body["id"] for status, body in late if status == 200} == {new["id"]}


async def test_an_append_that_was_under_way_to_a_frozen_primary_is_stored_once_on_the_next(
    pair: OwnServer,
) -> None:
    """Nothing reads what the former primary does with it after it wakes."""
    async with running_log(both(pair)) as (log, _, _):
        await append(log, "before", message())
        await caught_up(pair)
        pair.freeze()
        appending = asyncio.create_task(append(log, "under-way", message()))

        async def is_away() -> bool:
            with suppress(*DATABASE_ERRORS):
                await log.head(1)
                return False
            return True

        await eventually(is_away, within=BOUND)
        await asyncio.to_thread(pair.promote)
        pair.thaw()
        told = await appending
        assert [(one.position, one.stream) for one in await read_all(log, 1)] == [
            (1, "before"),
            (2, "under-way"),
        ]
    standing = await connect(pair.standby_url)
    assert await standing.fetchval("SELECT event_id FROM events WHERE position = 2") == (
        told[0].event_id
    )
    await standing.close()


async def test_a_service_leaves_a_primary_that_continues_beside_its_successor(
    pair: OwnServer,
) -> None:
    """No server froze; two servers claim to be the primary, and one is newer."""
    async with running_service(both(pair)) as service:
        conversation = await service.open()
        await caught_up(pair)
        await asyncio.to_thread(pair.promote)
        async with (
            running_service(both(pair)) as fresh,
            client(service.url, fresh.tokens, service.database_url) as old,
        ):
            new = await fresh.open()
            assert new["id"] != conversation["id"]

            async def has_moved() -> bool:
                return (await old.call("GET", CONVERSATIONS)) == (200, new)

            await eventually(has_moved, within=BOUND)
            for _ in range(50):
                assert await has_moved()


async def test_of_two_primaries_the_newer_one_is_taken_whichever_is_named_first(
    pair: OwnServer,
) -> None:
    await asyncio.to_thread(pair.promote)
    for order in ((pair.url, pair.standby_url), (pair.standby_url, pair.url)):
        connection = await connect(_through(*order))
        assert connection.server.timeline == 2
        await connection.close()


async def test_a_process_that_has_seen_a_newer_primary_refuses_the_older_one(
    pair: OwnServer,
) -> None:
    primary = Primary(both(pair))
    older = await connect(pair.url, primary=primary)
    await asyncio.to_thread(pair.promote)
    newer = await connect(pair.url, primary=primary)
    assert newer.server.timeline == 2
    assert older.is_closed()
    primary._hosts = [pair.url]
    with pytest.raises(NotPrimary, match="timeline 1, not 2"):
        await connect(pair.url, primary=primary)
    await newer.close()


async def test_a_frozen_host_does_not_keep_anybody_from_the_primary(pair: OwnServer) -> None:
    await asyncio.to_thread(pair.promote)
    pair.freeze()
    async with asyncio.timeout(BOUND):
        connection = await connect(both(pair))
    assert connection.server.timeline == 2
    await connection.close()


async def test_a_host_that_wakes_while_it_is_asked_is_not_taken_for_the_primary(
    pair: OwnServer,
) -> None:
    """The standby was asked before its promotion."""
    await caught_up(pair)
    pair.freeze()
    opening = asyncio.create_task(connect(both(pair)))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(pair.promote)
    pair.thaw()
    with suppress(*DATABASE_ERRORS):  # it gave up before
        connection = await opening
        assert connection.server.timeline == 2
        await connection.close()


async def test_a_frozen_server_without_a_standby_is_reported_and_answers_after_it_wakes() -> None:
    with own_server(fsync="off") as server:
        await prepare(server.url)
        async with running_service(server.url) as service:
            conversation = await service.open()
            async with Readers(service) as readers:
                await readers.are_answered(200)
                server.freeze()
                await readers.are_answered(503)
                server.thaw()
                await readers.are_answered(200)
            assert {status for status, _ in readers.answers} == {200, 503}
            assert await service.active() == conversation


async def test_a_server_that_is_full_is_alive_and_its_answers_count() -> None:
    """Although the last proof is old, and a session that would prove it gets no connection."""
    with own_server(max_connections="6", superuser_reserved_connections="0") as server:
        primary = Primary(server.url)
        session = await connect(server.url, primary=primary)
        await primary.prove(session)
        others = []
        with suppress(asyncpg.TooManyConnectionsError):
            while True:
                others.append(await asyncpg.connect(server.url))
        await asyncio.sleep(LEASE + 0.1)
        assert await session.fetchval("SELECT 1") == 1
        await primary.prove(session)
        await asyncio.gather(*(other.close() for other in others), session.close())


async def test_a_session_that_answers_late_is_kept_though_the_primary_was_not_found(
    database_url: str,
) -> None:
    """With its locks; but no answer counts until the primary is found."""
    primary = Primary(database_url)
    alive = await connect(database_url, primary=primary)
    await alive.execute("SELECT pg_advisory_lock(4242)")
    await primary.prove(alive)
    other = await connect(database_url, primary=primary)
    known, primary._hosts = primary._hosts, ["postgresql://127.0.0.1:1/none"]
    await asyncio.sleep(LEASE)
    os.kill(alive.get_server_pid(), signal.SIGSTOP)
    try:
        proving = asyncio.create_task(primary.prove(alive))
        await eventually(other.is_closed, within=BOUND)
    finally:
        os.kill(alive.get_server_pid(), signal.SIGCONT)
    await proving
    await primary.prove(alive)
    with pytest.raises(ConnectionRefusedError):
        await alive.fetchval("SELECT 1")
    primary._hosts = known
    await primary.prove(alive)
    witness = await connect(database_url, primary=primary)
    assert not await witness.fetchval("SELECT pg_try_advisory_lock(4242)")
    assert await alive.fetchval("SELECT pg_advisory_unlock(4242)")
    await asyncio.gather(alive.close(), witness.close())
