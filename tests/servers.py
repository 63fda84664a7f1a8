"""PostgreSQL servers of a test's own, which it may freeze, kill, follow and promote."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from service.embedded_postgres import EmbeddedPostgres
from service.embedded_postgres.data_location import server_account
from service.embedded_postgres.postgres_programs import Programs
from service.embedded_postgres.postgres_server import PostgresServer
from service.embedded_postgres.postmaster import live_postmaster
from service.embedded_postgres.socket_folder import connection_query, socket_folder
from tests.conftest import fastest

_SECONDS = 120.0


class OwnServer:
    """A server of a test's own. `url` is its owner's, who is a superuser."""

    def __init__(self, home: Path, options: Mapping[str, str]) -> None:
        self._home = home
        self._embedded = EmbeddedPostgres(home, options=options)
        self._options = options
        self._standby: PostgresServer | None = None
        self.url = self._embedded.acquire()
        self.standby_url = ""

    @property
    def folder(self) -> Path:
        """Of the data of the primary."""
        return self._embedded.data

    @property
    def standby_folder(self) -> Path:
        """Of the data of the standby."""
        return self._home / "standby"

    def add_standby(self) -> None:
        """Makes a standby that streams from here; `standby_url` is its owner's."""
        programs, data = self._programs(), self.standby_folder
        data.mkdir(mode=0o700)
        programs.give(data)
        flags = ("-D", str(data), "-R", "-X", "stream", "-c", "fast", "-d", self.url)
        assert programs.run("pg_basebackup", *flags, data=data, seconds=_SECONDS), (
            programs.log_end()
        )
        self._standby = PostgresServer(data, programs, self._options)
        self._standby.adopt_or_start()
        query = connection_query(socket_folder(data))
        self.standby_url = urlsplit(self.url)._replace(query=query).geturl()

    def promote(self) -> None:
        """Makes the standby a primary; returns when it takes appends."""
        data = self.standby_folder
        assert self._programs().run("pg_ctl", "promote", "-w", data=data, seconds=_SECONDS)

    def freeze(self) -> None:
        """Stops all processes of the primary where they are."""
        _signal(self.folder, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets them go on."""
        _signal(self.folder, signal.SIGCONT)

    def kill(self) -> None:
        """`kill -9` of all processes of the primary, none of which does anything more."""
        self.freeze()
        _signal(self.folder, signal.SIGKILL)
        while live_postmaster(self.folder):
            time.sleep(0.01)

    def bring_back(self) -> None:
        """Starts the primary again."""
        self._embedded.ensure_running()

    def close(self) -> None:
        """Ends both."""
        for folder in (self.folder, self.standby_folder):
            with suppress(FileNotFoundError):
                _signal(folder, signal.SIGCONT)
        if self._standby:
            self._standby.stop()
        self._embedded.release()

    def _programs(self) -> Programs:
        account = server_account(self.folder)
        return Programs(self._embedded.binaries, account, self._home / "standby.log")


@contextmanager
def own_server(**options: str) -> Iterator[OwnServer]:
    """A server with these settings, which ends with the context."""
    home = Path(tempfile.mkdtemp(prefix="colloquy-server-", dir=fastest()))
    try:
        server = OwnServer(home, options)
        try:
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _signal(folder: Path, number: signal.Signals) -> None:
    """To the postmaster and then to its children, so that no new one comes."""
    postmaster = live_postmaster(folder)
    if postmaster is None:
        return
    for pid in (postmaster.pid, *_children(postmaster.pid)):  # found before the first is killed
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found
