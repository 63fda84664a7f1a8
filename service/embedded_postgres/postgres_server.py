"""Starts, finds and stops the server of one data folder; `cluster.py` decides when."""

import shlex
import time
from collections.abc import Mapping
from pathlib import Path

from service.embedded_postgres.errors import NotOnSocket, StartFailed, StopFailed
from service.embedded_postgres.postgres_programs import Programs
from service.embedded_postgres.postmaster import Postmaster, disown_other_program, live_postmaster
from service.embedded_postgres.socket_folder import HERE, PORT

WAIT_SECONDS = 300  # recovery after a crash can be long
RETRY_SECONDS = 60.0
# A killed server's processes may outlive it, and the server of a killed process may be starting.
TRANSIENT_ERRORS = ("pre-existing shared memory block", 'lock file "postmaster.pid" already')

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_directories": HERE,
    "port": str(PORT),
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
        options: settings that extend and override ours.
    """

    def __init__(self, data: Path, programs: Programs, options: Mapping[str, str]) -> None:
        self._data = data
        self._programs = programs
        self._settings = {**SETTINGS, **options}

    def running(self) -> Postmaster | None:
        """The running server, if there is one; waits while it starts or stops."""
        deadline = time.monotonic() + WAIT_SECONDS
        while postmaster := live_postmaster(self._data):
            if postmaster.ready:
                return postmaster
            if time.monotonic() > deadline:
                raise StartFailed(f"(process {postmaster.pid}) {self._programs.log_end()}")
            time.sleep(0.02)
        return None

    def adopt_or_start(self) -> None:
        """Find the server running, or start it.

        Raises:
            NotOnSocket: it runs, but does not listen where we connect.
            StartFailed: the message has the end of the log.
        """
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            if postmaster := self.running():
                if not postmaster.on_socket:
                    raise NotOnSocket(f"(process {postmaster.pid})")
                return
            if self._start():
                return
            log = self._programs.log_text()
            if time.monotonic() > deadline or not any(reason in log for reason in TRANSIENT_ERRORS):
                raise StartFailed(self._programs.log_end())
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server if it runs; transactions under way are rolled back.

        Raises:
            StopFailed: the message has the end of the log.
        """
        flags = ("stop", "-w", "-m", "fast", "-t", str(WAIT_SECONDS))
        if self.running() is None:
            return
        stopped = self._programs.run("pg_ctl", *flags, data=self._data, seconds=WAIT_SECONDS + 30)
        if not stopped and self.running():
            raise StopFailed(self._programs.log_end())

    def _start(self) -> bool:
        disown_other_program(self._data)
        self._programs.clear_log()
        words = ["-D", str(self._data)]
        for name, value in self._settings.items():
            words += ["-c", f"{name}={value}"]
        # pg_ctl passes these to a shell; the folder of its own -D would be quoted wrongly.
        flags = ("start", "-w", "-t", str(WAIT_SECONDS), "-o", shlex.join(words))
        return self._programs.run("pg_ctl", *flags, data=self._data, seconds=WAIT_SECONDS + 30)
