"""Sessions on a database server, with all settings that the service relies on."""

import os
import socket
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import asyncpg

from eventstore.database_errors import Meaning, is_passing, meaning
from sql.loader import query

if TYPE_CHECKING:  # asyncpg's classes are generic to type checkers only
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

CONNECT_TIMEOUT = 5.0
STATEMENT_TIMEOUT = 30.0

SETTINGS: Mapping[str, str] = {
    "application_name": "colloquy",
    # The meaning of our statements must not depend on defaults of a database or login.
    "search_path": "public",
    "row_security": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "check_function_bodies": "on",
    "array_nulls": "on",
    "quote_all_identifiers": "off",
    "plpgsql.extra_errors": "none",
    "exit_on_error": "off",
    # We have our own timeouts, and the session that holds the liveness lock may be idle for long.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    # A process or machine that disappears without closing its connection loses its locks.
    "client_connection_check_interval": "1s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    # Parameters hold learners' texts, which must not get into the server's log.
    "log_parameter_max_length_on_error": "0",
    "jit": "off",
    "plan_cache_mode": "auto",
}
"""Settings of each session. Those that a session cannot set are checked at the start."""

_OPTIONAL_SETTINGS: Mapping[str, str] = {
    "transaction_timeout": "0",
    "restrict_nonsystem_relation_kind": "",
    "debug_parallel_query": "off",
    "force_parallel_mode": "off",
}
"""Settings of each session that not every release of PostgreSQL has."""

_WITH_TRIGGERS = {"session_replication_role": "origin"}
_KEEPALIVE = (
    ("TCP_KEEPIDLE", 5),
    ("TCP_KEEPINTVL", 5),
    ("TCP_KEEPCNT", 3),
    ("TCP_USER_TIMEOUT", 20_000),
)
"""End connections to a machine that is gone; a machine whose server is frozen still answers."""


T = TypeVar("T")


class NotPrimary(ConnectionError):
    """The server is no longer the primary."""


class NotAdmitted(ConnectionError):
    """The server refuses a session with the settings that we need."""


class ServerIdentity(NamedTuple):
    """A session's server. A promotion begins a new timeline; a standby's is None."""

    system: int
    timeline: int | None


class Watch(Protocol):
    """Checks that sessions are on the primary."""

    async def confirm(self) -> None:
        """Waits until the primary is known; closes sessions on other servers."""


class Session(Connection):
    """A connection that returns answers of the primary only.

    An answer of a server that another has succeeded is raised as an error. An error that makes the
    session unusable closes it.
    """

    server: ServerIdentity
    waited = 0.0
    """Seconds that opening the session took."""
    watch: Watch | None = None
    broken = False
    """Whether an error has made the session unusable."""

    async def fetch(  # type: ignore[override]  # without asyncpg's record_class
        self, *args: Any, **options: Any
    ) -> list[asyncpg.Record]:
        """As in asyncpg."""
        return await self._answer(super().fetch(*args, **options))

    async def fetchrow(  # type: ignore[override]  # without asyncpg's record_class
        self, *args: Any, **options: Any
    ) -> asyncpg.Record | None:
        """As in asyncpg."""
        return await self._answer(super().fetchrow(*args, **options))

    async def fetchval(self, *args: Any, **options: Any) -> Any:
        """As in asyncpg."""
        return await self._answer(super().fetchval(*args, **options))

    async def execute(self, *args: Any, **options: Any) -> str:
        """As in asyncpg."""
        return await self._answer(super().execute(*args, **options))

    async def executemany(self, *args: Any, **options: Any) -> None:
        """As in asyncpg."""
        await self._answer(super().executemany(*args, **options))

    async def identify_server(self) -> ServerIdentity:
        """The server's current identity, which a promotion changes."""
        row = await super().fetchrow(query("get_standing"))
        assert row is not None
        return ServerIdentity(**row)

    async def begin(self, settings: Mapping[str, str]) -> bool:
        """Prepares the session; False if it does not run triggers, which foreign keys need.

        Args:
            settings: The requested server settings.

        Raises:
            NotAdmitted: A connection pooler has dropped some of the settings.
        """
        requested = {name: settings[name] for name in settings if not name.startswith("tcp_")}
        row = await super().fetchrow(
            query("begin_session"),
            *(
                list(requested),
                list(requested.values()),
                list(_OPTIONAL_SETTINGS),
                list(_OPTIONAL_SETTINGS.values()),
            ),
        )
        assert row is not None
        if row["dropped"]:
            raise NotAdmitted(
                f"the session lacks our settings ({', '.join(row['dropped'])}), as behind a "
                "connection pooler that drops them: connect directly to PostgreSQL"
            )
        self.server = ServerIdentity(row["system"], row["timeline"])
        _keep_alive(self._transport)  # type: ignore[attr-defined]  # asyncpg's own
        return not row["without_triggers"]

    def close_if_broken(self) -> None:
        """Closes an unusable session, but not within a transaction, which must end first."""
        if self.broken and not self.is_closed() and not self.is_in_transaction():
            self.terminate()

    async def _answer(self, answering: Awaitable[T]) -> T:
        try:
            answer = await answering
        except asyncpg.PostgresError as error:
            if meaning(error) is Meaning.AWAY:
                self.broken = True
                self.close_if_broken()
            raise
        except AttributeError as error:
            if self._protocol is not None:  # type: ignore[attr-defined]  # asyncpg's own
                raise
            # The session was ended between two steps of asyncpg, which then lacks its protocol.
            raise asyncpg.ConnectionDoesNotExistError("the session was ended") from error
        if self.watch:
            await self.watch.confirm()
            if self.is_closed():
                raise NotPrimary("the answer came from a server that is no longer the primary")
        return answer


async def open_session(url: str, kind: type[Session], settings: Mapping[str, str]) -> Session:
    """A session on the server of a URL with one host.

    Args:
        settings: Server settings that extend or override `SETTINGS`.

    Raises:
        NotAdmitted: The server refuses the session for good; the message is the server's.
    """
    try:
        return await _opened(url, kind, settings)
    except asyncpg.PostgresError as error:
        if is_passing(error):
            raise
        raise NotAdmitted(str(error)) from error


async def _opened(url: str, kind: type[Session], settings: Mapping[str, str]) -> Session:
    session = await _connected(url, kind, settings)
    if session is None:  # only superusers may set this; others get the server's error
        session = await _connected(url, kind, {**settings, **_WITH_TRIGGERS})
    assert session is not None
    return session


async def _connected(url: str, kind: type[Session], settings: Mapping[str, str]) -> Session | None:
    chosen = {**SETTINGS, **settings}
    session: Session = await asyncpg.connect(
        url,
        connection_class=kind,
        timeout=CONNECT_TIMEOUT,
        command_timeout=STATEMENT_TIMEOUT,
        server_settings=chosen,
    )
    try:
        ready = await session.begin(chosen)
    except BaseException:
        session.terminate()
        raise
    if not ready:
        session.terminate()
    return session if ready else None


def _keep_alive(transport: Any) -> None:
    sock = transport.get_extra_info("socket")
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with socket.socket(fileno=os.dup(sock.fileno())) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if option := getattr(socket, name, None):
                ours.setsockopt(socket.IPPROTO_TCP, option, value)
