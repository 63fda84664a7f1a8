"""A PostgreSQL server shared by all processes with the same home.

Two lock files coordinate these processes. A process holds `postgres.lock` while it starts or stops
the server, so that starts and stops do not race. Every user of the server holds a shared lock on
`postgres.users`, so that the last one knows that it is the last and stops the server. The kernel
frees both locks however a process ends. The next user adopts a server that a `kill -9` has left
without users.
"""

import os
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType

import structlog

from eventstore.durable_files import is_last_holder, lock_file, shared_lock
from eventstore.trusted_paths import make_trusted_folder
from service.embedded_postgres.binaries import usable_binaries
from service.embedded_postgres.data_files import data_version
from service.embedded_postgres.data_location import (
    SHARED,
    data_folder,
    prepare_folders,
    server_account,
)
from service.embedded_postgres.errors import NotAcquired, NotOnSocket, PasswordMissing
from service.embedded_postgres.initdb import DATABASE, OWNER, create_data
from service.embedded_postgres.password import kept_password
from service.embedded_postgres.postgres_programs import Programs
from service.embedded_postgres.postgres_server import PostgresServer
from service.embedded_postgres.socket_folder import connection_query, socket_folder

MAX_LOG = 10_000_000

logger = structlog.get_logger(__name__)


class EmbeddedPostgres:
    """The server of a home: `acquire`, use, `release`. Blocking; call it in a thread.

    Args:
        home: the folder of the service, made when absent. The data lives in `home/postgres`; see
            `service.embedded_postgres.data_location.data_folder` for when that is a symbolic link.
            Beside it: the password (`postgres.password`), the log (`postgres.log`), the lock files.
        keep: leave the server running at the end.
        binaries: the bin folder of the PostgreSQL to use; see `usable_binaries` for the default.
        options: server settings that extend and override ours, such as `{"fsync": "off"}` in
            tests. They apply if this object starts the server, not if it finds it running.
        shared: root's folder for data, sockets and programs that are not in the home.
        max_log: bytes of the log; `ensure_running` empties a longer one.
    """

    def __init__(
        self,
        home: Path,
        *,
        keep: bool = False,
        binaries: Path | None = None,
        options: Mapping[str, str] = MappingProxyType({}),
        shared: Path = SHARED,
        max_log: int = MAX_LOG,
    ) -> None:
        self._given_home = home.absolute()
        self._home = home.resolve()
        self._keep = keep
        self._given_binaries = binaries
        self._options = dict(options)
        self._shared = shared
        self._max_log = max_log
        self._users: int | None = None

    @property
    def data(self) -> Path:
        """The real path of the data folder."""
        return data_folder(self._home, self._shared)

    @property
    def has_data(self) -> bool:
        """Whether this home has data; without it, `acquire` creates some."""
        return data_version(self.data) is not None and not self._is_of_a_former_home()

    @cached_property
    def binaries(self) -> Path:
        """The folder of the programs in use, including `psql`."""
        return usable_binaries(self._given_binaries, self.data, shared=self._shared)

    def acquire(self) -> str:
        """Start the server, or find it running, and hold it until `release`.

        Returns:
            the URL of the database `colloquy` for its owner, who is a superuser.

        Raises:
            EmbeddedPostgresError: there is no server; the message is one line that says why.
            PathUntrusted: another user could have prepared the home, or could change it.
        """
        make_trusted_folder(self._given_home, 0o700)
        prepare_folders(self._home, self.data, self._shared)
        folder = socket_folder(self.data, self._shared)
        with lock_file(self._lock):
            if self._users is None:
                server = self._initialised_server()
                self._stop_unreachable(server)
                users = shared_lock(self._users_file)
                try:
                    server.adopt_or_start()
                except BaseException:
                    os.close(users)
                    raise
                self._users = users
        return self._url(folder)

    def ensure_running(self) -> bool:
        """Start the server again if it is down; cheap if it is up.

        Returns:
            whether it was down.

        Raises:
            EmbeddedPostgresError: there is no server; the message is one line that says why.
        """
        if self._users is None:
            raise NotAcquired
        self._limit_log()
        socket_folder(self.data, self._shared)  # makes a lost link again
        if self._is_up():
            return False
        with lock_file(self._lock):
            if self._is_up():
                return False
            self._server().adopt_or_start()
        return True

    def release(self) -> None:
        """Stop using the server; the last user stops it, unless it has `keep`."""
        if self._users is None:
            return
        with lock_file(self._lock):
            users, self._users = self._users, None
            if users is None:
                return
            try:
                if is_last_holder(users) and not self._keep:
                    self._server().stop()
            finally:
                os.close(users)

    def __enter__(self) -> str:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    @property
    def _lock(self) -> Path:
        return self._home / "postgres.lock"

    @property
    def _users_file(self) -> Path:
        return self._home / "postgres.users"

    @property
    def _password(self) -> Path:
        return self._home / "postgres.password"

    def _server(self) -> PostgresServer:
        return PostgresServer(self.data, self._programs(), self._options)

    def _programs(self) -> Programs:
        account = server_account(self.data)
        return Programs(self.binaries, account, self._home / "postgres.log")

    def _initialised_server(self) -> PostgresServer:
        data = self.data
        if self._is_of_a_former_home():
            self._set_aside(data)
        programs = self._programs()
        if data_version(data) is None:
            create_data(data, programs, kept_password(self._password), self._options)
        elif not self._password.exists():
            raise PasswordMissing(f"({self._password})")
        if self._is_elsewhere():
            self._link.symlink_to(data)
        return self._server()

    @property
    def _link(self) -> Path:
        return self._home / "postgres"

    def _is_elsewhere(self) -> bool:
        """Whether the data is outside the home, and the home has no link to it yet."""
        return self.data.parent != self._home and not self._link.is_symlink()

    def _is_of_a_former_home(self) -> bool:
        return self._is_elsewhere() and not self._password.exists()

    def _set_aside(self, data: Path) -> None:
        """Rename the data of a home that was deleted and made anew."""
        if not data.exists():
            return
        self._server().stop()
        aside = data.with_name(f"{data.name}.{time.time_ns()}")
        data.rename(aside)
        logger.warning("embedded_postgres.old_data_set_aside", home=self._home, data=aside)

    def _stop_unreachable(self, server: PostgresServer) -> None:
        """Stop an earlier release's server, which listens elsewhere, unless it has users."""
        postmaster = server.running()
        if postmaster is None or postmaster.on_socket:
            return
        users = shared_lock(self._users_file)
        try:
            if not is_last_holder(users):
                raise NotOnSocket(f"(process {postmaster.pid})")
            server.stop()
        finally:
            os.close(users)

    def _is_up(self) -> bool:
        postmaster = self._server().running()
        return postmaster is not None and postmaster.on_socket

    def _limit_log(self) -> None:
        programs = self._programs()
        if programs.log.exists() and programs.log.stat().st_size > self._max_log:
            programs.clear_log()

    def _url(self, folder: Path) -> str:
        password = kept_password(self._password)
        return f"postgresql://{OWNER}:{password}@/{DATABASE}?{connection_query(folder)}"
