"""A proxy to PostgreSQL that cuts the connection after chosen requests."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

from tests.databases import connect_directly, through_port


class CuttingProxy:
    """Forwards to PostgreSQL, and cuts the client's connection after a chosen request.

    The server gets the request, but the client gets no answer.

    Args:
        url: Of the server.
        cut_after: Bytes that identify the request.
        cuts: How many such requests are cut.
        refusals: How many of the first connections are refused.
    """

    def __init__(self, url: str, cut_after: bytes = b"", cuts: int = 0, refusals: int = 0) -> None:
        self._target = url
        self._cut_after = cut_after
        self.cuts_left = cuts
        self.refusals_left = refusals
        self._lines: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    @property
    def url(self) -> str:
        """The server's URL with this proxy's address."""
        port = self._server.sockets[0].getsockname()[1]
        return through_port(self._target, port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusals_left:
            self.refusals_left -= 1
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await self._connect(reader, writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = await connect_directly(self._target)
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(server[0], _writing(writer)))
                pumps.create_task(_pump(reader, self._forwarding(server[1], writer)))
        finally:
            server[1].transport.abort()
            writer.transport.abort()

    def _forwarding(
        self, server: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> Callable[[bytes], Awaitable[None]]:
        async def forward(piece: bytes) -> None:
            server.write(piece)
            await server.drain()
            if self.cuts_left and self._cut_after in piece:
                self.cuts_left -= 1
                client.transport.abort()

        return forward


def _writing(writer: asyncio.StreamWriter) -> Callable[[bytes], Awaitable[None]]:
    async def write(piece: bytes) -> None:
        if not writer.is_closing():
            writer.write(piece)

    return write


async def _pump(reader: asyncio.StreamReader, pass_on: Callable[[bytes], Awaitable[None]]) -> None:
    """Forwards data until the end or the cut."""
    with suppress(OSError):
        while piece := await reader.read(65536):
            await pass_on(piece)
