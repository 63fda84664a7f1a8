"""Closes turns whose process is gone, so that no conversation stays blocked."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from eventstore.connections import Pool
from eventstore.database_errors import DATABASE_ERRORS
from sql.loader import query

"""Seconds between two sweeps."""

_AT_ONCE = 64

log = structlog.get_logger("colloquy.sweeper")


class Closer(Protocol):
    """Closes turns of one kind."""

    def closes(self, stream: str) -> bool:
        """Whether a stream's turns are of this kind."""

    async def close_abandoned(self, account_id: int, stream: str) -> bool:
        """Ends the stream's turn if its owner is gone; returns whether it was."""


class Sweeper:
    """Looks through the open turns of all accounts.

    Args:
        pool: For reading them.
        closers: Of all kinds of turns.
        interval: Seconds between two sweeps.
    """

    def __init__(self, pool: Pool, closers: Sequence[Closer], interval: float) -> None:
        self._pool = pool
        self._interval = interval
        self._closers = closers

    async def sweep(self) -> None:
        """Closes the turns whose owners are gone."""
        abandoned = await self._pool.fetch(query("list_abandoned_turns"))
        places = asyncio.Semaphore(_AT_ONCE)

        async def close(account_id: int, stream: str) -> None:
            async with places:
                try:
                    if await self._close(account_id, stream):
                        log.warning("turn_abandoned", account_id=account_id, stream=stream)
                except DATABASE_ERRORS:
                    raise
                except Exception:  # whatever is wrong with one, the others are to be closed
                    log.exception("turn_not_closed", account_id=account_id, stream=stream)

        async with asyncio.TaskGroup() as group:
            for row in abandoned:
                group.create_task(close(row["account_id"], row["stream"]))

    async def _close(self, account_id: int, stream: str) -> bool:
        closer = next(one for one in self._closers if one.closes(stream))
        return await closer.close_abandoned(account_id, stream)

    async def try_sweep(self) -> None:
        """Sweeps, and logs a failure; the next sweep closes what this one left."""
        try:
            await self.sweep()
        except* DATABASE_ERRORS as errors:
            log.warning("sweep_failed", error=repr(errors))

    async def run(self) -> None:
        """Sweeps again and again until it is cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await self.try_sweep()
