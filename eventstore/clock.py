"""The database's time, the only time that is stored or compared with stored times.

The clocks of the serving machines may disagree, so no two of them are compared.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog

from eventstore.database_errors import DATABASE_ERRORS
from sql.loader import query

MAX_DRIFT = 2.0
"""Seconds by which a machine's clock may differ from the database's before a warning."""

_READ_EVERY = 30.0
_WARN_EVERY = 3600.0

log = structlog.get_logger("colloquy.clock")


class Queryable(Protocol):
    """A connection to the database, or a pool of them."""

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first value of a statement's first row."""


class DatabaseClock:
    """The database's time, read every 30 seconds and advanced by this machine's monotonic clock.

    Args:
        seconds: The monotonic clock.
        wall: The machine's clock.
    """

    def __init__(
        self,
        seconds: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._seconds = seconds
        self._wall = wall
        self._time: datetime | None = None
        self._read_at = 0.0
        self._warned_at = float("-inf")

    def now(self) -> datetime:
        """The database's time, in UTC. Call `read` first."""
        assert self._time is not None, "the clock was never read"
        return self._time + timedelta(seconds=self._seconds() - self._read_at)

    @property
    def drift(self) -> float:
        """Seconds by which this machine's clock is ahead of the database's; negative: behind."""
        return (self._wall() - self.now()).total_seconds()

    async def read(self, session: Queryable) -> None:
        """Reads the time; assumes that request and answer travelled equally long."""
        sent_at = self._seconds()
        self._time = (await session.fetchval(query("get_time"))).astimezone(UTC)
        self._read_at = (sent_at + self._seconds()) / 2

    async def run(self, session: Queryable) -> None:
        """Reads the time every 30 seconds, and warns while the machine's clock differs."""
        while True:
            self.warn_of_drift()
            await asyncio.sleep(_READ_EVERY)
            try:
                await self.read(session)
            except DATABASE_ERRORS as error:
                log.info("clock_not_read", error=repr(error))

    def warn_of_drift(self) -> None:
        """Logs at most once an hour that the machine's clock differs by more than `MAX_DRIFT`."""
        now = self._seconds()
        if abs(self.drift) > MAX_DRIFT and now >= self._warned_at + _WARN_EVERY:
            self._warned_at = now
            log.warning("clock_drift", seconds=round(self.drift, 1))


async def database_clock(session: Queryable) -> DatabaseClock:
    """A clock that has been read."""
    clock = DatabaseClock()
    await clock.read(session)
    return clock


async def read_time(session: Queryable) -> datetime:
    """The database's time to the second, in UTC."""
    now: datetime = await session.fetchval(query("get_time"))
    return now.astimezone(UTC).replace(microsecond=0)
