"""The service as tests drive it: in this process, or as processes of their own."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self

import aiohttp

from eventstore.connections import connect
from service.demo import make_demo
from service.server import listen, serve
from service.settings import Settings

LEARNER, TEACHER = 101, 1
CONVERSATIONS = "/api/v1/courses/1/ai_experiences/1/conversations"


class Service:
    """A running service with the demo in its database."""

    def __init__(self, url: str, tokens: Mapping[str, str], http: aiohttp.ClientSession) -> None:
        self.url = url
        self.tokens = tokens
        self._http = http

    async def call(
        self, method: str, path: str, *, user: int | None = LEARNER, **options: Any
    ) -> tuple[int, Any]:
        """Status and decoded body of a request as one of the demo's users."""
        response = await self.request(method, path, user=user, **options)
        return response.status, await response.json()

    async def request(
        self, method: str, path: str, *, user: int | None = LEARNER, **options: Any
    ) -> aiohttp.ClientResponse:
        """The whole response, its body read."""
        headers = dict(options.pop("headers", {}))
        if user is not None:
            headers.setdefault("Authorization", f"Bearer {self.tokens[str(user)]}")
        async with self._http.request(
            method, self.url + path, headers=headers, **options
        ) as response:
            await response.read()
            return response


@asynccontextmanager
async def running_service(database_url: str, **settings: Any) -> AsyncIterator[Service]:
    """The service in this process, on a free port."""
    tokens = await demo_tokens(database_url)
    stop, ready = asyncio.Event(), asyncio.Event()
    with listen("127.0.0.1", 0) as sock:
        sock.setblocking(False)
        chosen = Settings(**{"stop_timeout": 5.0, **settings})
        task = asyncio.create_task(serve(chosen, database_url, sock, stop, ready.set))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            await task
        async with aiohttp.ClientSession() as http:
            try:
                yield Service(address_of(sock), tokens, http)
            finally:
                stop.set()
                await task


class ServiceProcess:
    """`colloquy serve` as a process of its own, ended by its id."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    @classmethod
    async def start(cls, environment: Mapping[str, str], *arguments: str) -> Self:
        """Starts it and waits until it is ready.

        Args:
            environment: Its settings, beside the path and such.
            arguments: Of `colloquy serve`, beside a free port.
        """
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("COLLOQUY_", "ANTHROPIC"))}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service.cli", "serve", "--port", "0", *arguments),
            env={**kept, **environment},
            cwd=Path(__file__).parents[1],
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while line := (await process.stdout.readline()).decode():
                if line.startswith("Colloquy is ready on "):
                    return cls(process, line.split()[-1])
        raise RuntimeError(f"the service ended with code {await process.wait()}")

    async def kill(self) -> None:
        """`kill -9`."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            return await self.process.wait()


async def demo_tokens(database_url: str) -> dict[str, str]:
    """Makes the demo in a database and returns its tokens by user id."""
    connection = await connect(database_url)
    try:
        return await make_demo(connection, database_url, Path(mkdtemp()))
    finally:
        await connection.close()


def address_of(sock: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = sock.getsockname()[:2]
    return f"http://{host}:{port}"
