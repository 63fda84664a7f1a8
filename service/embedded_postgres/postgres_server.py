"""Start, find and stop the server of one data folder. Who may do so when is for `cluster.py`."""

import random
import shlex
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from service.embedded_postgres.errors import PortTaken, StartFailed, StopFailed
from service.embedded_postgres.postgres_programs import Programs
from service.embedded_postgres.postmaster import (
    Postmaster,
    disown_other_program,
    last_port,
    live_postmaster,
    read_postmaster,
)

ADDRESS = "127.0.0.1"
# Below the ports that systems give to outgoing connections (Linux: 32,768 and above), which could
# take that of a server which is down for a moment.
PORTS = range(20_000, 32_000)
WAIT_SECONDS = 300  # recovery after a crash can be long
RETRY_SECONDS = 60.0
PORT_TAKEN = "could not bind IPv4 address"
# A killed server's processes may outlive it; a killed starter's server may still be coming up.
PASSING = (PORT_TAKEN, "pre-existing shared memory block", 'lock file "postmaster.pid" already')

SETTINGS: Mapping[str, str] = {
    "listen_addresses": ADDRESS,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "wal_buffers": "16MB",
    "max_wal_size": "2GB",
    "jit": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    # Rows and statements hold what learners wrote, which must not end up in a log.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


class PostgresServer:
    """The server of a data folder.

    Args:
        data: the real path of the data folder.
        programs: the PostgreSQL to run.
        options: settings beside and above our own.
    """

    def __init__(self, data: Path, programs: Programs, options: Mapping[str, str]) -> None:
        self._data = data
        self._programs = programs
        self._settings = {**SETTINGS, **options}

    def running(self) -> Postmaster | None:
        """The server when it runs; waits while it is coming up or going down."""
        deadline = time.monotonic() + WAIT_SECONDS
        while postmaster := live_postmaster(self._data):
            if postmaster.ready:
                return postmaster
            if time.monotonic() > deadline:
                raise StartFailed(f"(process {postmaster.pid}) {self._programs.last_words()}")
            time.sleep(0.02)
        return None

    def adopt_or_start(self, port: int | None = None) -> int:
        """Find the server running, or start it.

        Args:
            port: the only port to start it on; without it, that of a server that was killed or
                of the last start, which others may still know, or else any free one.

        Returns:
            the port that it listens on.

        Raises:
            PortTaken: the asked port is another program's.
            StartFailed: with the last words of the log.
        """
        preferred = port or self._known_port()
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            if postmaster := self.running():
                return postmaster.port
            tried = preferred or _free_port()
            if self._start(tried):
                return tried
            preferred = self._next_port(port, preferred, retry=time.monotonic() < deadline)
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server if it runs; transactions under way are rolled back.

        Raises:
            StopFailed: with the last words of the log.
        """
        flags = ("stop", "-w", "-m", "fast", "-t", str(WAIT_SECONDS))
        if self.running() is None:
            return
        stopped = self._programs.run("pg_ctl", *flags, data=self._data, seconds=WAIT_SECONDS + 30)
        if not stopped and self.running():
            raise StopFailed(self._programs.last_words())

    def _start(self, port: int) -> bool:
        disown_other_program(self._data)
        self._programs.clear_log()
        settings = {**self._settings, "port": str(port)}
        words = ["-D", str(self._data)]
        for name, value in settings.items():
            words += ["-c", f"{name}={value}"]
        # pg_ctl hands these to a shell, and would quote a folder of its own -D badly.
        flags = ("start", "-w", "-t", str(WAIT_SECONDS), "-o", shlex.join(words))
        return self._programs.run("pg_ctl", *flags, data=self._data, seconds=WAIT_SECONDS + 30)

    def _known_port(self) -> int | None:
        if killed := read_postmaster(self._data):
            return killed.port
        last = last_port(self._data)
        return last if last in PORTS else None

    def _next_port(self, required: int | None, preferred: int | None, *, retry: bool) -> int | None:
        """The port to try next after a start failed for a reason that passes."""
        log = self._programs.log_text()
        if PORT_TAKEN in log and required:
            raise PortTaken(f"(port {required}) {self._programs.last_words()}")
        if not (retry and any(reason in log for reason in PASSING)):
            raise StartFailed(self._programs.last_words())
        return None if PORT_TAKEN in log else preferred


def _free_port() -> int:
    for port in random.sample(PORTS, k=len(PORTS)):
        with socket.socket() as probe, suppress(OSError):
            # As PostgreSQL does: a port whose last connections are still fading out is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((ADDRESS, port))
            return port
    raise StartFailed(f"(no port of {PORTS.start} to {PORTS.stop - 1} is free)")
