"""Ends analysts' overlong transactions; a login can lift its own timeouts."""

import asyncio
from datetime import timedelta

import structlog

from eventstore.connections import Pool
from eventstore.database_errors import DATABASE_ERRORS
from sql.loader import query

MAX_AGE = timedelta(minutes=15)
"""How old a transaction of an analyst may become: more than any statement takes by default."""

_INTERVAL = 30.0

log = structlog.get_logger("colloquy.analysts")


class AnalystSessions:
    """Watches analysts' transactions.

    Args:
        pool: Of workers.
        max_age: How old a transaction may become.
    """

    def __init__(self, pool: Pool, max_age: timedelta = MAX_AGE) -> None:
        self._pool = pool
        self._max_age = max_age

    async def end_old(self) -> None:
        """Ends the sessions whose transactions are too old, where the owner may."""
        for (name,) in await self._pool.fetch(query("end_analysts"), self._max_age):
            log.warning("analyst_session_ended", analyst=name, transaction_over=str(self._max_age))

    async def run(self) -> None:
        """Checks periodically until cancelled."""
        while True:
            try:
                await self.end_old()
            except DATABASE_ERRORS as error:
                log.warning("analyst_sessions_waiting", error=repr(error))
            await asyncio.sleep(_INTERVAL)
