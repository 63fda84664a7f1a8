"""Keeps the followed projections up with the log.

Every service process has a runner; a row lock on the checkpoint lets one of them advance a
projection at a time, so that one that dies is replaced by the next who looks.
"""

import asyncio

import asyncpg
import structlog

from eventstore.connections import AWAY, DATABASE_ERRORS, Pool
from eventstore.link import EVERY_ACCOUNT, Link, rung
from sql.loader import query

STEP = 5_000
"""Positions that one transaction covers at most."""

_RETRY = 5.0

log = structlog.get_logger("colloquy.projections")

Follower = tuple[str, int, int]
"""A projection's name and generation, and an account."""


class Runner:
    """Advances followed projections whenever a log has grown.

    Args:
        pool: Its role may execute `advance_projection_v1`.
        link: Tells of new events.
    """

    def __init__(self, pool: Pool, link: Link) -> None:
        self._pool = pool
        self._link = link
        self._retry_at: dict[Follower, float] = {}

    async def run(self) -> None:
        """Runs until it is cancelled; a database that is away is waited for."""
        while True:
            bell = self._link.bell(EVERY_ACCOUNT)
            try:
                moved = await self.catch_up()
            except DATABASE_ERRORS as error:
                log.warning("projections_waiting", error=repr(error))
                moved = False
            if not moved:
                await rung(bell)

    async def catch_up(self) -> bool:
        """One step for each follower that is behind; whether any of them moved."""
        now = asyncio.get_running_loop().time()
        moved = False
        for row in await self._pool.fetch(query("list_followers_behind")):
            follower = (row["name"], row["generation"], row["account_id"])
            if self._retry_at.get(follower, 0) <= now:
                moved |= await self._advance(follower)
        return moved

    async def _advance(self, follower: Follower) -> bool:
        name, generation, account_id = follower
        try:
            row = await self._pool.fetchrow(query("advance_projection"), *follower, STEP)
        except asyncpg.PostgresError as error:
            if isinstance(error, AWAY):
                raise
            log.exception("projection_stopped", projection=name, account_id=account_id)
            self._retry_at[follower] = asyncio.get_running_loop().time() + _RETRY
            await self._pool.execute(
                query("record_projection_error"), name, generation, account_id, str(error)
            )
            return False
        self._retry_at.pop(follower, None)
        return row is not None
