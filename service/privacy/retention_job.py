"""Applies the retention rules daily, in one process at a time."""

import asyncio

import structlog

from eventstore.connections import Pool
from eventstore.database_errors import DATABASE_ERRORS
from eventstore.envelope import Actor, Metadata
from eventstore.errors import EventStoreError
from service.errors import ServiceError
from service.privacy.retention import Retention
from sql.loader import query

INTERVAL = 24 * 3600.0
RETRY = 3600.0

_SYSTEM = Metadata(actor=Actor(None, "system"))

log = structlog.get_logger("colloquy.retention")


class RetentionJob:
    """Applies the rules of all accounts.

    Args:
        pool: Finds the accounts with rules, and locks the job against other processes.
        retention: Applies the rules of an account.
        first: Seconds from the start to the first run.
    """

    def __init__(self, pool: Pool, retention: Retention, first: float) -> None:
        self._first = first
        self._pool = pool
        self._retention = retention

    async def run(self) -> None:
        """Applies the rules every `INTERVAL`, after a failure every `RETRY`, until cancelled."""
        pause = self._first
        while True:
            await asyncio.sleep(pause)
            pause = INTERVAL if await self.try_once() else RETRY

    async def try_once(self) -> bool:
        """Applies the rules now, unless another process does; False if that failed."""
        try:
            async with self._pool.acquire() as connection:
                if not await connection.fetchval(query("try_lock_retention")):
                    return True
                try:
                    await self._run_all()
                finally:
                    await connection.fetchval(query("unlock_retention"))
        except (ServiceError, EventStoreError, *DATABASE_ERRORS) as error:
            log.warning("retention_failed", error=repr(error))
            return False
        return True

    async def _run_all(self) -> None:
        for row in await self._pool.fetch(query("list_accounts_with_rules")):
            expired = await self._retention.run(row["account_id"], _SYSTEM)
            log.info(
                "retention_run",
                account_id=row["account_id"],
                conversations=expired.conversations,
                texts=expired.texts,
                held=len(expired.held),
            )
