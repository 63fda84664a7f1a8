"""Sessions on a database server, with all settings that we rely on."""

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
    # What our statements mean must not depend on what a database or a login says by default.
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
    # We have timeouts of our own; the lock by which a process counts as alive is held by a
    # session that may be idle for long.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    # A process or machine that is gone without a word lets go of its locks.
    "client_connection_check_interval": "1s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    # What learners wrote is a parameter, and must not end up in the server's log.
    "log_parameter_max_length_on_error": "0",
    "jit": "off",
    "plan_cache_mode": "auto",
}
"""Of each session. What is not ours to set is looked at when the service starts."""

_WHERE_KNOWN: Mapping[str, str] = {
    "transaction_timeout": "0",
    "restrict_nonsystem_relation_kind": "",
    "debug_parallel_query": "off",
    "force_parallel_mode": "off",
}
"""The same, of those that not every release of PostgreSQL has."""

_WITH_TRIGGERS = {"session_replication_role": "origin"}
_SILENCE = (
    ("TCP_KEEPIDLE", 5),
    ("TCP_KEEPINTVL", 5),
    ("TCP_KEEPCNT", 3),
    ("TCP_USER_TIMEOUT", 20_000),
)
"""Ends connections to a machine that is gone; for one whose server is frozen it still answers."""


T = TypeVar("T")


class NotPrimary(ConnectionError):
    """The server is no longer the primary."""


class NotAdmitted(ConnectionError):
    """The server does not let us have a session as we need it."""


class ServerIdentity(NamedTuple):
    """Which server a session is on. A promotion begins a timeline; a standby's is None."""

    system: int
    timeline: int | None


class Watch(Protocol):
    """Knows whether sessions are still on the primary."""

    async def confirm(self) -> None:
        """Returns when this is known; the sessions that are not are closed by then."""


class Session(Connection):
    """A connection whose answers are the primary's.

    What comes from a server that somebody has succeeded meanwhile is an error, not an answer. An
    error that says that the session is no good closes it, so that nobody uses it again.
    """

    standing: ServerIdentity
    waited = 0.0
    """Seconds that it took to open."""
    watch: Watch | None = None
    spent = False
    """An error has said that the session is no good."""

    async def fetch(  # type: ignore[override]  # we have no records of another kind
        self, *args: Any, **options: Any
    ) -> list[asyncpg.Record]:
        """As asyncpg's."""
        return await self._answer(super().fetch(*args, **options))

    async def fetchrow(  # type: ignore[override]  # we have no records of another kind
        self, *args: Any, **options: Any
    ) -> asyncpg.Record | None:
        """As asyncpg's."""
        return await self._answer(super().fetchrow(*args, **options))

    async def fetchval(self, *args: Any, **options: Any) -> Any:
        """As asyncpg's."""
        return await self._answer(super().fetchval(*args, **options))

    async def execute(self, *args: Any, **options: Any) -> str:
        """As asyncpg's."""
        return await self._answer(super().execute(*args, **options))

    async def executemany(self, *args: Any, **options: Any) -> None:
        """As asyncpg's."""
        await self._answer(super().executemany(*args, **options))

    async def identify_server(self) -> ServerIdentity:
        """Which server this is by now."""
        row = await super().fetchrow(query("get_standing"))
        assert row is not None
        return ServerIdentity(**row)

    async def begin(self, settings: Mapping[str, str]) -> bool:
        """Makes the session ready; False if it does not run triggers, as foreign keys need.

        Args:
            settings: That were asked for.

        Raises:
            NotAdmitted: Who is between us and the server has kept some from it.
        """
        asked = {name: settings[name] for name in settings if not name.startswith("tcp_")}
        row = await super().fetchrow(
            query("begin_session"),
            *(list(asked), list(asked.values()), list(_WHERE_KNOWN), list(_WHERE_KNOWN.values())),
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

    def close_spent(self) -> None:
        """Closes the session if it is no good; in a transaction, that must end first."""
        if self.spent and not self.is_closed() and not self.is_in_transaction():
            self.terminate()

    async def _answer(self, answering: Awaitable[T]) -> T:
        try:
            answer = await answering
        except asyncpg.PostgresError as error:
            if meaning(error) is Meaning.AWAY:
                self.spent = True
                self.close_spent()
            raise
        except AttributeError as error:
            if self._protocol is not None:  # type: ignore[attr-defined]  # asyncpg's own
                raise
            # It was ended between two steps of asyncpg's, which then looks for its protocol.
            raise asyncpg.ConnectionDoesNotExistError("the session was ended") from error
        if self.watch:
            await self.watch.confirm()
            if self.is_closed():
                raise NotPrimary("the answer came from a server that is no longer the primary")
        return answer


async def open_session(url: str, kind: type[Session], settings: Mapping[str, str]) -> Session:
    """A session on the server of a URL with one host.

    Args:
        settings: Server settings, beside and above those of every session.

    Raises:
        NotAdmitted: There is none, and will not be by itself; its words are the server's.
    """
    try:
        return await _opened(url, kind, settings)
    except asyncpg.PostgresError as error:
        if is_passing(error):
            raise
        raise NotAdmitted(str(error)) from error


async def _opened(url: str, kind: type[Session], settings: Mapping[str, str]) -> Session:
    session = await _connected(url, kind, settings)
    if session is None:  # a superuser may say otherwise; to others the server tells what is wrong
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
        for name, value in _SILENCE:
            if option := getattr(socket, name, None):
                ours.setsockopt(socket.IPPROTO_TCP, option, value)
