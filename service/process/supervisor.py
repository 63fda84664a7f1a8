"""Supervises several processes on one port: starts, replaces and stops them."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

import structlog

from service.process.errors import CannotServe
from service.process.worker import READY, REFUSED

_FIRST_PAUSE = 1.0
_MAX_PAUSE = 30.0
_KILL_DELAY = 10.0

log = structlog.get_logger("colloquy.supervisor")


class _WorkerSlot:
    """The state of one worker at a time, which is replaced when it dies.

    Attributes:
        serves: Whether the current worker answers requests.
        served: Set once a worker of this slot has answered requests.
        reason: Why the last worker ended, as it reported.
    """

    def __init__(self) -> None:
        self.serves = False
        self.served = asyncio.Event()
        self.reason: str | None = None


class Supervisor:
    """Keeps `count` worker processes running.

    Args:
        count: The number of workers.
        sock: The listening socket that they share; it is closed when they have to stop.
        url: The owner's connection URL.
        stop_timeout: Seconds that a worker may take to stop.
    """

    def __init__(self, count: int, sock: socket.socket, url: str, stop_timeout: float) -> None:
        self._slots = [_WorkerSlot() for _ in range(count)]
        self._sock = sock
        self._url = url
        self._stop_timeout = stop_timeout + _KILL_DELAY
        self._workers: set[asyncio.subprocess.Process] = set()
        self._starting = asyncio.Lock()
        self._refusal: str | None = None

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Runs until `stop` is set; `ready` is called when every worker has been ready once.

        Raises:
            CannotServe: A worker could not start, and a new one would fail too.
        """
        # The workers hold the other end: when this process dies, they see it and stop.
        alive_read, alive_write = os.pipe()
        os.set_inheritable(alive_read, True)
        keepers = [
            asyncio.create_task(self._keep_running(alive_read, slot, stop)) for slot in self._slots
        ]
        announce = asyncio.create_task(self._announce(ready))
        await stop.wait()
        announce.cancel()
        async with self._starting:
            self._sock.close()  # open here, it would accept connections that nobody serves
        for worker in self._workers:
            with suppress(ProcessLookupError):
                worker.send_signal(signal.SIGTERM)
        await asyncio.gather(*keepers)
        os.close(alive_write)
        os.close(alive_read)
        if self._refusal is not None:
            raise CannotServe(self._refusal)

    async def _keep_running(self, alive: int, slot: _WorkerSlot, stop: asyncio.Event) -> None:
        pause = _FIRST_PAUSE
        while (worker := await self._start(alive, stop)) is not None:
            reading = asyncio.create_task(_read_output(worker, slot))
            await self._wait(worker, stop)
            await reading
            if stop.is_set():
                return
            code, served = worker.returncode or 0, slot.serves
            slot.serves = False
            if not served and self._must_stop(code):
                self._refusal = slot.reason or f"a worker ended with code {code}: see its log"
                stop.set()
                return
            log.error("worker_died", pid=worker.pid, code=code, reason=slot.reason)
            pause = _FIRST_PAUSE if served else min(2 * pause, _MAX_PAUSE)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stop.wait()

    def _must_stop(self, code: int) -> bool:
        """Whether to stop after a worker ended with this code before it served.

        During the start, any exit code stops the service, but no signal does. Later, only
        `REFUSED` does, and only if no other worker serves: an unreachable database comes back.
        """
        if not all(slot.served.is_set() for slot in self._slots):
            return code > 0
        return code == REFUSED and not any(slot.serves for slot in self._slots)

    async def _start(self, alive: int, stop: asyncio.Event) -> asyncio.subprocess.Process | None:
        """A new worker; None after the stop."""
        async with self._starting:
            if stop.is_set():
                return None
            worker = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "service.process.worker",
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
        done, _ = await asyncio.wait((ended,), timeout=self._stop_timeout)
        if not done:
            log.error("worker_killed", pid=worker.pid)
            worker.kill()
            await ended
        self._workers.discard(worker)

    async def _announce(self, ready: Callable[[], None]) -> None:
        for slot in self._slots:
            await slot.served.wait()
        ready()


async def _read_output(worker: asyncio.subprocess.Process, slot: _WorkerSlot) -> None:
    """Reads a worker's report until it ends: that it serves, or why it does not."""
    assert worker.stdout is not None
    slot.reason = None
    async for line in worker.stdout:
        line_text = line.decode(errors="replace").strip()
        if line_text == READY:
            slot.serves = True
            slot.served.set()
        else:
            slot.reason = line_text
