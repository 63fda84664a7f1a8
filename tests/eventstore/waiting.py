"""Waits for conditions with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from eventstore.connections import Connection

T = TypeVar("T")

WAITING_APPENDS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%append_events_v2%'
"""


async def eventually(look: Callable[[], Awaitable[T]], seconds: float = 15) -> T:
    """The first true result of `look`."""
    async with asyncio.timeout(seconds):
        while not (seen := await look()):  # noqa: ASYNC110 -- the other side sets no event
            await asyncio.sleep(0.005)
    return seen


async def appends_wait(owner: Connection, number: int = 1) -> None:
    """Waits until so many appends wait for a lock."""

    async def look() -> bool:
        return int(await owner.fetchval(WAITING_APPENDS)) >= number

    await eventually(look)
