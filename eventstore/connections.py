"""Connections and pools in the roles that the packages work in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import asyncpg

from eventstore.database_errors import DATABASE_ERRORS, is_passing
from eventstore.primary import Primary
from eventstore.sessions import CONNECT_TIMEOUT, Connection, Session, open_session
from sql.loader import query

__all__ = [
    "KEPT_PLANS",
    "AccountConnection",
    "AccountPool",
    "Connection",
    "LogGrowth",
    "Pool",
    "Role",
    "close_pool",
    "connect",
    "open_pool",
    "retry_read",
]

Role = Literal["colloquy_service", "colloquy_worker", "colloquy_auditor", "colloquy_analyst"]
if TYPE_CHECKING:  # asyncpg's classes are generic to type checkers only
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Pool = asyncpg.Pool

KEPT_PLANS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_indexscan": "on",
    "enable_indexonlyscan": "on",
    "enable_nestloop": "on",
    "enable_bitmapscan": "off",
}
"""Session settings under which each statement is planned once, and by its indexes.

Planning takes longer than a look-up, and an append would be planned under the head row's lock.
While tables are empty, sequential and bitmap scans cost least; as kept plans they would be slow in
large tables.
"""

_RETRY = 0.1

T = TypeVar("T")


class LogGrowth:
    """The length of the longest log, in steps of a factor of four.

    Plans are made for tables of some size. Connections that share this object discard their plans
    at each step.
    """

    FACTOR = 4

    def __init__(self) -> None:
        self.steps = 0
        self._next = self.FACTOR

    def reached(self, position: int) -> None:
        """Records that a log has reached this position."""
        while position >= self._next:
            self._next *= self.FACTOR
            self.steps += 1


class AccountConnection(Session):
    """A connection whose session sees the rows of one account at a time.

    Row-level security hides the rows of all other accounts. Each statement names its account as
    well.
    """

    _entered: int | None = None
    _planned_at = 0

    async def enter(self, account_id: int) -> None:
        """Makes the session see this account's rows."""
        if self._entered != account_id:
            self._entered = None  # the statement may fail
            await self.execute(query("enter_account"), str(account_id))
            self._entered = account_id

    async def renew_plans(self, growth: LogGrowth) -> None:
        """Discards the session's plans if they were made for shorter logs."""
        if self._planned_at != growth.steps:
            await self.execute(query("discard_plans"))
            self._planned_at = growth.steps


class AccountPool:
    """A pool whose statements each see the rows of one account.

    Args:
        pool: Of `AccountConnection`s.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def acquire(self, account_id: int) -> AsyncIterator[AccountConnection]:
        """A connection that sees the account's rows."""
        async with self._pool.acquire() as connection:
            await connection.enter(account_id)  # type: ignore[attr-defined]  # a proxy of one
            yield connection  # type: ignore[misc]

    async def fetch(self, account_id: int, statement: str, *args: Any) -> list[asyncpg.Record]:
        """The rows of a statement."""
        async with self.acquire(account_id) as connection:
            return await connection.fetch(statement, *args)

    async def fetchrow(self, account_id: int, statement: str, *args: Any) -> asyncpg.Record | None:
        """The first row of a statement, or None."""
        async with self.acquire(account_id) as connection:
            return await connection.fetchrow(statement, *args)

    async def fetchval(self, account_id: int, statement: str, *args: Any) -> Any:
        """The first value of a statement's first row, or None."""
        async with self.acquire(account_id) as connection:
            return await connection.fetchval(statement, *args)


async def retry_read(read: Callable[[], Awaitable[T]], timeout: float = 10.0) -> T:  # noqa: ASYNC109
    """The result of a read, retried while the database is away or busy, for `timeout` seconds."""
    give_up = asyncio.get_running_loop().time() + timeout
    while True:
        try:
            return await read()
        except DATABASE_ERRORS as error:
            if not is_passing(error) or asyncio.get_running_loop().time() > give_up:
                raise
        await asyncio.sleep(_RETRY)


async def connect(
    url: str,
    role: Role | None = None,
    settings: Mapping[str, str] | None = None,
    primary: Primary | None = None,
) -> AccountConnection:
    """A connection as `role`, or as the owner.

    Args:
        url: The owner's connection URL; its login must be a member of the role.
        settings: Server settings for this session.
        primary: Shared with the process's other sessions, which are closed when a session finds
            another primary. By default the primary is searched for this connection only.
    """
    chosen = {**(settings or {}), **({"role": role} if role else {})}

    async def opener(host: str) -> AccountConnection:
        session = await open_session(host, AccountConnection, chosen)
        assert isinstance(session, AccountConnection)
        return session

    return await (primary or Primary(url)).open(opener)


async def open_pool(
    url: str,
    role: Role | None,
    size: int,
    growth: LogGrowth | None = None,
    primary: Primary | None = None,
) -> Pool:
    """A pool for short statements, as `role` or as the owner.

    Args:
        size: Connections at most.
        growth: Its steps make the connections discard their plans.
        primary: Shared with the process's other connections.
    """
    shared = primary or Primary(url)

    async def open_one(*_: object, **__: object) -> AccountConnection:
        return await connect(url, role, KEPT_PLANS, shared)

    async def renew_plans(connection: Any) -> None:  # a proxy of an AccountConnection
        if growth:
            await connection.renew_plans(growth)

    return await asyncpg.create_pool(
        connect=open_one,
        connection_class=AccountConnection,
        min_size=1,
        max_size=size,
        setup=renew_plans,
        reset=_keep_session,
    )


async def close_pool(pool: Pool) -> None:
    """Closes a pool; terminates connections that do not close in time."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await pool.close()
    except DATABASE_ERRORS:
        pool.terminate()


async def _keep_session(connection: Any) -> None:
    """Saves the round trip of asyncpg's reset: no session state is left but the account."""
    connection.close_if_broken()
