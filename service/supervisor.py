"""Several processes on one port: starts them, replaces those that die, stops them all."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

import structlog

_RESTART = 1.0
_KILL_AFTER = 10.0

log = structlog.get_logger("colloquy.supervisor")


class Supervisor:
    """Keeps `count` worker processes running.

    Args:
        count: How many.
        sock: The listening socket that they share.
        url: The owner's connection URL.
        patience: Seconds that a worker may take to stop.
    """

    def __init__(self, count: int, sock: socket.socket, url: str, patience: float) -> None:
        self._count = count
        self._sock = sock
        self._url = url
        self._patience = patience + _KILL_AFTER
        self._workers: set[asyncio.subprocess.Process] = set()

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Runs until `stop` is set; `ready` is called when every worker has been ready once."""
        # The workers hold the other end: when this process dies, they see it and stop.
        alive_read, alive_write = os.pipe()
        os.set_inheritable(alive_read, True)
        readies = [asyncio.Event() for _ in range(self._count)]
        keepers = [
            asyncio.create_task(self._keep(alive_read, is_ready, stop)) for is_ready in readies
        ]
        announce = asyncio.create_task(_announce(readies, ready))
        await stop.wait()
        announce.cancel()
        for worker in self._workers:
            with suppress(ProcessLookupError):
                worker.send_signal(signal.SIGTERM)
        await asyncio.gather(*keepers)
        os.close(alive_write)
        os.close(alive_read)

    async def _keep(self, alive: int, is_ready: asyncio.Event, stop: asyncio.Event) -> None:
        while not stop.is_set():
            worker = await self._start(alive)
            if stop.is_set():
                worker.terminate()
            hearing = asyncio.create_task(_hear(worker, is_ready))
            await self._wait(worker, stop)
            await hearing
            if not stop.is_set():
                log.error("worker_died", pid=worker.pid, code=worker.returncode)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_RESTART):
                        await stop.wait()

    async def _start(self, alive: int) -> asyncio.subprocess.Process:
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "service.worker",
            str(self._sock.fileno()),
            str(alive),
            pass_fds=(self._sock.fileno(), alive),
            env={**os.environ, "DATABASE_URL": self._url},
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._workers.add(worker)
        return worker

    async def _wait(self, worker: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
        ended = asyncio.create_task(worker.wait())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        done, _ = await asyncio.wait((ended,), timeout=self._patience)
        if not done:
            log.error("worker_killed", pid=worker.pid)
            worker.kill()
            await ended
        self._workers.discard(worker)


async def _hear(worker: asyncio.subprocess.Process, is_ready: asyncio.Event) -> None:
    assert worker.stdout is not None
    if await worker.stdout.readline():
        is_ready.set()


async def _announce(readies: list[asyncio.Event], ready: Callable[[], None]) -> None:
    for is_ready in readies:
        await is_ready.wait()
    ready()
