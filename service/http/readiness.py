"""Readiness of the process: its database answers and accepts writes."""

import asyncio

from eventstore.connections import Pool
from eventstore.database_errors import DATABASE_ERRORS, Meaning, meaning
from eventstore.errors import LogUnavailable
from eventstore.log import EventLog
from sql.loader import query

_TIMEOUT = 2.0
_FRESH = 0.5
"""Seconds for which one look serves all who ask: anybody may, and a look is a write."""


class Readiness:
    """Checks the database, and reuses a result for a moment.

    Args:
        pool: Of workers.
        log: Knows whether appends fail, of which nothing else may tell.
    """

    def __init__(self, pool: Pool, log: EventLog) -> None:
        self._pool = pool
        self._log = log
        self._looking: asyncio.Task[None] | None = None
        self._fresh_until = 0.0

    async def check(self) -> None:
        """Returns if requests can be carried out.

        Raises:
            LogUnavailable: They cannot.
        """
        if self._log.is_failing:
            raise LogUnavailable
        now = asyncio.get_running_loop().time()
        if self._looking is None or (self._looking.done() and now >= self._fresh_until):
            self._looking = asyncio.create_task(self._look(), name="readiness")
            self._fresh_until = now + _FRESH
        await asyncio.shield(self._looking)

    async def _look(self) -> None:
        try:
            await self._pool.fetchval(query("ready"), timeout=_TIMEOUT)
        except DATABASE_ERRORS as error:
            if meaning(error) is Meaning.OURS:
                raise
            raise LogUnavailable from error
