"""Accepts connections up to the configured bounds."""

import asyncio
import socket

import structlog
from aiohttp import web

from service.http.connection import HttpConnection
from service.http.connection_bounds import Connections

_AT_ONCE = 16
_PAUSE = 0.1

log = structlog.get_logger("colloquy.connections")


class Acceptor(web.BaseSite):
    """A site that reserves a place for each connection before it is set up.

    An event loop's own server takes all that wait at once, as long as there are descriptors; then
    it resets them, or the service's own.

    Args:
        runner: Of the application.
        sock: Listens; it is closed at the end.
        connections: Has the places.
    """

    __slots__ = ("_connections", "_loop", "_opening", "_resuming", "_sock")

    def __init__(
        self, runner: web.BaseRunner, sock: socket.socket, connections: Connections
    ) -> None:
        super().__init__(runner)
        self._sock = sock
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._resuming: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """Where it listens."""
        host, port = self._sock.getsockname()[:2]
        return f"http://{host}:{port}"

    async def start(self) -> None:
        """Starts accepting connections."""
        await super().start()
        self._sock.setblocking(False)
        self._loop.add_reader(self._sock, self._accept)

    async def stop(self) -> None:
        """Stops accepting; open connections stay open."""
        if self._resuming is not None:
            self._resuming.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()
        if self._opening:
            await asyncio.wait(self._opening)
        await super().stop()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                client, address = self._sock.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:  # such as: the machine has no more descriptors
                log.error("accept_failed", error=repr(error))
                self._loop.remove_reader(self._sock)
                self._resuming = self._loop.call_later(_PAUSE, self._resume)
                return
            task = self._loop.create_task(self._open(client, str(address[0])))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _resume(self) -> None:
        self._loop.add_reader(self._sock, self._accept)

    async def _open(self, client: socket.socket, address: str) -> None:
        place, server = self._connections.admit(address), self._runner.server
        if place is None:
            client.close()
            return
        assert server is not None, "it is there until the sites are stopped"
        client.setblocking(False)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # who reads no answer keeps no connection either
            idle_ms = int(self._connections.bounds.idle_timeout * 1000)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, idle_ms)
        try:
            await self._loop.connect_accepted_socket(
                lambda: HttpConnection(server, self._connections, place), client
            )
        except OSError as error:  # it went away at once
            log.info("connection_not_opened", error=repr(error))
            self._connections.leave(place)
            client.close()
