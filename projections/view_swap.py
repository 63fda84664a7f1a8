"""Changes a projection's views without making other readers queue behind a long query."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import structlog

from eventstore.connections import Connection
from projections.errors import SwapTimedOut
from sql.loader import query

SWAP_TIMEOUT = 40.0
"""Seconds for which a swap that holds appends up is retried while readers hold the views."""

LONG_SWAP_TIMEOUT = 900.0
"""The same where no append is held up: longer than an analyst's statement may take by default."""

_PAUSE = 0.3
_LONGEST_PAUSE = 5.0
_LOG_EVERY = 10.0

log = structlog.get_logger("colloquy.projections")


async def change_views(
    connection: Connection,
    name: str,
    change: Callable[[], Awaitable[None]],
    timeout: float,  # noqa: ASYNC109 - of several tries
    failure: str,
) -> None:
    """Makes a change of a projection's views, trying again until nobody holds them.

    Those who hold them are logged every few seconds.

    Args:
        change: In a transaction of `short_lock_wait`.
        timeout: Seconds for which the change is retried.
        failure: The error's text, without the reason.

    Raises:
        SwapTimedOut: Nothing was changed. The message says who holds the views.
    """
    loop = asyncio.get_running_loop()
    began, pause = loop.time(), _PAUSE
    log_at = began + _LOG_EVERY
    while True:
        try:
            await change()
            return
        except asyncpg.LockNotAvailableError:
            now = loop.time()
            if now - began >= timeout:
                raise SwapTimedOut(f"{failure}: {await _holders(connection, name)}") from None
            if now >= log_at:
                log_at = now + _LOG_EVERY
                log.info("views_held", projection=name, by=await _holders(connection, name))
        await asyncio.sleep(pause * (1 + random.random()))  # noqa: S311
        pause = min(pause * 1.1, _LONGEST_PAUSE)


@asynccontextmanager
async def short_lock_wait(connection: Connection) -> AsyncIterator[None]:
    """A transaction that waits at most a fifth of a second for a lock, for readers behind it."""
    async with connection.transaction():
        await connection.execute(query("limit_lock_wait"))
        yield


async def _holders(connection: Connection, name: str) -> str:
    rows = await connection.fetch(query("list_view_holders"), name)
    since = [f", since {row['seconds']:.0f} s" if row["seconds"] else "" for row in rows]
    held = [
        f"{row['login']} (process {row['pid']}{how_long})"
        for row, how_long in zip(rows, since, strict=True)
    ]
    return f"its views are held by {', '.join(held)}" if held else "its views were held until now"
