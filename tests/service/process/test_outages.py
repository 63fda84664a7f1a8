"""The database goes away and comes back under a running service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Self

import pytest

from eventstore.connections import Connection
from tests.databases import connect_directly, through_port
from tests.fake_anthropic import FakeAnthropic, Stall
from tests.running import (
    CONVERSATIONS,
    Service,
    eventually,
    messages_of,
    running_service,
)
from tests.service.histories import assert_lawful, types_of

AWAY = {"code": "database_unavailable", "retryable": True}


class Line:
    """The line to the database, which can be broken and mended. `refused` counts the attempts."""

    def __init__(self, database_url: str) -> None:
        self._target = database_url
        self._writers: set[asyncio.StreamWriter] = set()
        self._whole = True
        self.refused = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.break_off()
        self._server.close()

    @property
    def url(self) -> str:
        """The database's URL over this line."""
        return through_port(self._target, self._server.sockets[0].getsockname()[1])

    def break_off(self) -> None:
        """Breaks every connection, and refuses new ones from now on."""
        self._whole = False
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Lets new connections through."""
        self._whole = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ours = await connect_directly(self._target)
        if not self._whole:  # now: it may have been broken meanwhile
            self.refused += 1
            writer.transport.abort()
            ours[1].transport.abort()
            return
        self._writers |= {writer, ours[1]}
        await asyncio.gather(_forward(reader, ours[1]), _forward(ours[0], writer))
        self._writers -= {writer, ours[1]}


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """To the end of one direction; then that of the other is near."""
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@pytest.fixture
async def line(database_url: str) -> AsyncIterator[Line]:
    async with Line(database_url) as line:
        yield line


async def is_ready(service: Service) -> bool:
    return (await service.call("GET", "/readyz", user=None))[0] == 200


async def test_without_its_database_the_service_says_so_and_recovers(line: Line) -> None:
    """It is alive and not ready, and asks clients to retry; then it works as before."""
    async with running_service(line.url) as service:
        conversation = await service.open()
        line.break_off()
        for method, path in (
            ("GET", "/readyz"),
            ("GET", CONVERSATIONS),
            ("POST", CONVERSATIONS),
            ("POST", messages_of(conversation["id"])),
            ("DELETE", f"{CONVERSATIONS}/{conversation['id']}"),
        ):
            response = await service.request(method, path, json={"message": "Hello?"})
            body = await response.json()
            assert response.status == 503, body
            assert body.pop("reference_id")
            assert body.pop("error")
            assert body == AWAY
            assert response.headers["Retry-After"] == "5"
        assert await service.call("GET", "/healthz", user=None) == (200, {"status": "ok"})
        line.mend()
        await eventually(lambda: is_ready(service))
        assert await service.active() == conversation
        status, body = await service.say(conversation["id"], "Hello again")
        assert (status, body["messages"][2]["text"]) == (200, "Hello again")


async def test_a_reply_that_comes_while_the_database_is_away_is_recorded_when_it_is_back(
    line: Line,
) -> None:
    """The learner waits a little longer and loses nothing."""
    async with (
        FakeAnthropic() as fake,
        running_service(line.url, anthropic_base_url=fake.url) as service,
    ):
        conversation = await service.open()
        fake.script(Stall(after=1))
        waiting = asyncio.create_task(service.say(conversation["id"], "Still there?"))
        await fake.wait_until(lambda: fake.stalled == 1)
        line.break_off()
        fake.release()
        await eventually(lambda: line.refused > 20)
        assert not waiting.done()
        line.mend()
        status, body = await waiting
        assert status == 200
        await eventually(lambda: is_ready(service))
        log = await service.history()
    assert body["messages"][2]["text"] == "Still there?"
    assert_lawful(log)
    assert types_of(log)[-2:] == ["objectives_assessed", "reply_completed"]


async def test_a_service_without_its_views_is_not_ready(demo_url: str, owner: Connection) -> None:
    async with running_service(demo_url) as service:
        await owner.execute("DROP VIEW read.pending_turns")
        status, body = await service.call("GET", "/readyz", user=None)
        assert (status, body["code"]) == (503, "database_unavailable")
        assert (await service.call("GET", "/healthz", user=None))[0] == 200
