"""Connections to Postgres in the roles that the rooms work in."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Literal, TypeVar

import asyncpg

Role = Literal["colloquy_service", "colloquy_auditor", "colloquy_analyst"]
if TYPE_CHECKING:  # asyncpg's classes are generic to type checkers only
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
    PoolConnection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool
    PoolConnection = asyncpg.pool.PoolConnectionProxy

CONNECT_TIMEOUT = 10.0
STATEMENT_TIMEOUT = 30.0

_RETRY = 0.1

T = TypeVar("T")

AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,
)
"""Errors that say that the database is gone, restarting or busy, not that a statement is wrong."""

DATABASE_ERRORS = (*AWAY, asyncpg.PostgresError, asyncpg.InterfaceError)
"""All that a statement or a connection attempt can raise; asyncpg's errors have no common base."""


async def outlast(read: Callable[[], Awaitable[T]], patience: float = 10.0) -> T:
    """What a read gives, tried again while the database is away, for so many seconds."""
    give_up = asyncio.get_running_loop().time() + patience
    while True:
        try:
            return await read()
        except (*AWAY, asyncpg.InterfaceError):
            if asyncio.get_running_loop().time() > give_up:
                raise
        await asyncio.sleep(_RETRY)


async def connect(
    url: str, role: Role | None = None, settings: Mapping[str, str] | None = None
) -> Connection:
    """A connection as `role`, or as the owner.

    Args:
        url: The owner's connection URL; it must be a member of the role.
        settings: Server settings for this session.
    """
    return await asyncpg.connect(
        url,
        timeout=CONNECT_TIMEOUT,
        command_timeout=STATEMENT_TIMEOUT,
        server_settings=_settings(role, settings),
    )


async def open_pool(url: str, role: Role | None, size: int) -> Pool:
    """A pool for short statements that leave no session state, as `role` or as the owner.

    Args:
        size: Connections at most.
    """
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        timeout=CONNECT_TIMEOUT,
        command_timeout=STATEMENT_TIMEOUT,
        # Planning the joins of a read takes longer than doing them.
        server_settings=_settings(role, {"plan_cache_mode": "force_generic_plan"}),
        reset=_keep_session,
    )


async def close_pool(pool: Pool) -> None:
    """Closes a pool, by force where its connections do not end in order or in time."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await pool.close()
    except DATABASE_ERRORS:
        pool.terminate()


async def _keep_session(_connection: Connection) -> None:
    """Saves the usual reset's round trip: no statement of a pool changes its session."""


def _settings(role: Role | None, settings: Mapping[str, str] | None) -> dict[str, str]:
    chosen = {"application_name": "colloquy", "jit": "off", **(settings or {})}
    return {**chosen, "role": role} if role else chosen
