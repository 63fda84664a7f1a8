"""How often a user may ask for what costs money, by day (UTC): counted from the log.

The count is a view that is kept in the append's own transaction, so it is the same for all
processes and after restarts. Far from the limit it is only looked at; close to it, requests of
one user go one after another under a lock, so that none too many gets through.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from eventstore.connections import AccountConnection, AccountPool
from eventstore.log import EventLog
from eventstore.records import Metadata
from service.access import Access
from service.errors import Busy, RateLimited
from sql.loader import query

Kind = Literal["create", "message", "evaluation"]

CLOSE = 50
"""Requests before the limit from which on they are counted under a lock."""

_AT_ONCE = 4
_PAUSE = 0.02
_PATIENCE = 10.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one user in a day at most, by kind."""

    create: int
    message: int
    evaluation: int

    def of(self, kind: Kind) -> int:
        """The limit of a kind."""
        match kind:
            case "create":
                return self.create
            case "message":
                return self.message
            case "evaluation":
                return self.evaluation


class Quotas:
    """Lets requests through up to the limits.

    Args:
        log: Tells whether a request was recorded before.
        pool: For counting; a connection is held while a request close to its limit is recorded.
        limits: How many.
    """

    def __init__(self, log: EventLog, pool: AccountPool, limits: Limits) -> None:
        self._log = log
        self._pool = pool
        self._limits = limits
        self._places = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def admitted(self, access: Access, kind: Kind, metadata: Metadata) -> AsyncIterator[None]:
        """Inside, the request may be recorded. One that was recorded before is let through.

        Raises:
            RateLimited: The user's limit for today is used up.
            Busy: Too many of the user's requests wait at their limit.
        """
        limit = self._limits.of(kind)
        if access.used + CLOSE < limit:
            yield
            return
        async with self._places, self._pool.acquire(access.account_id) as connection:
            key = (str(access.account_id), str(access.user_id), kind)
            await _lock(connection, key)
            try:
                used = await connection.fetchval(
                    query("get_request_count"), access.account_id, access.user_id, kind
                )
                if used >= limit and not await self._log.find_request(access.account_id, metadata):
                    raise RateLimited(_until_tomorrow())
                yield
            finally:
                await connection.fetchval(query("unlock_quota"), *key)


async def _lock(connection: AccountConnection, key: tuple[str, str, str]) -> None:
    """Waits without holding up others, who may need the database to get done."""
    give_up = asyncio.get_running_loop().time() + _PATIENCE
    while not await connection.fetchval(query("try_lock_quota"), *key):
        if asyncio.get_running_loop().time() > give_up:
            raise Busy
        await asyncio.sleep(_PAUSE)


def _until_tomorrow() -> float:
    now = datetime.now(UTC)
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (tomorrow - now).total_seconds()
