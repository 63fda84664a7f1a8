"""Requests byte by byte, as no client library sends them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from tests.running import Service

PATIENCE = 30.0


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


class RawConnection:
    """A connection on which anything may be sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def ask(
        self, method: str, path: str, token: str, *, length: int | None = None, expect: bool = False
    ) -> None:
        """Sends a request's head; with `expect` returns when the server asks for the body."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}"]
        if length is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {length}"]
        if expect:
            lines.append("Expect: 100-continue")
        await self.send("\r\n".join([*lines, "", ""]).encode())
        if expect:
            async with asyncio.timeout(PATIENCE):
                assert b" 100 " in await self._reader.readuntil(b"\r\n\r\n")

    async def answer(self, *, bodiless: bool = False) -> Answer:
        """The next whole answer; that to a HEAD is without a body."""
        async with asyncio.timeout(PATIENCE):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = (line.partition(": ") for line in head[1:] if line)
            headers = {name.lower(): value for name, _, value in pairs}
            length = 0 if bodiless else int(headers.get("content-length", 0))
            body = await self._reader.readexactly(length)
        return Answer(int(head[0].split()[1]), headers, body)

    async def closed(self, within: float = PATIENCE) -> bytes:
        """What still comes until the server ends the connection."""
        async with asyncio.timeout(within):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""


@asynccontextmanager
async def connected(service: Service, address: str = "127.0.0.1") -> AsyncIterator[RawConnection]:
    """A connection to the service, from one of this machine's own addresses."""
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(address, 0))
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.close()
