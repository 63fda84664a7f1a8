"""Advances the followed projections when a log grows.

Every service process has a runner. A row lock on a projection's position in an account lets one
runner at a time advance it there; when a process dies, another takes over.
"""

import asyncio
from typing import NamedTuple

import asyncpg
import structlog

from eventstore.connections import LogGrowth, Pool
from eventstore.database_errors import DATABASE_ERRORS, Meaning, meaning
from eventstore.notifier import EVERY_ACCOUNT, Notifier
from sql.loader import query

STEP = 1_000
"""Positions that one transaction covers at most, which bounds how long others wait for it."""

MAX_CONCURRENT_STEPS = 2
"""Steps of different projections or accounts that one process makes at the same time."""

_RETRY = 5.0
_REST = 0.5
_LONGEST_REST = 0.25

log = structlog.get_logger("colloquy.projections")


class FollowedProjection(NamedTuple):
    """A generation of a projection, in one account."""

    name: str
    generation: int
    account_id: int


class ProjectionRunner:
    """Advances followed projections whenever a log has grown.

    An event that cannot be applied stops its projection in its account only. It is closed in on
    by halving the range, named, and tried again every few seconds.

    Args:
        pool: Its role may execute `advance_projection_v1`.
        notifier: Wakes the runner for new events.
        growth: Learns how long the logs have become, also those that others append to.
        step: Positions of one transaction at most.
        max_concurrent: Projections that are advanced at the same time at most.
        retry: Seconds after which a stopped projection is tried again.
    """

    def __init__(
        self,
        pool: Pool,
        notifier: Notifier,
        growth: LogGrowth | None = None,
        *,
        step: int = STEP,
        max_concurrent: int = MAX_CONCURRENT_STEPS,
        retry: float = _RETRY,
    ) -> None:
        self._pool = pool
        self._growth = growth or LogGrowth()
        self._notifier = notifier
        self._places = asyncio.Semaphore(max_concurrent)
        self._step = step
        self._retry = retry
        self._steps: dict[FollowedProjection, int] = {}
        self._retry_at: dict[FollowedProjection, float] = {}

    async def run(self) -> None:
        """Runs until it is cancelled; a database that is away is waited for.

        A round is followed by a rest of half its time: following leaves room to those who wait
        for answers, and takes what comes meanwhile in one go.
        """
        loop = asyncio.get_running_loop()
        while True:
            wake_event = self._notifier.wake_event(EVERY_ACCOUNT)
            began = loop.time()
            try:
                moved = await self.catch_up()
            except DATABASE_ERRORS as error:
                log.warning("projections_waiting", error=repr(error))
                moved = False
            if moved:
                await asyncio.sleep(min(_REST * (loop.time() - began), _LONGEST_REST))
            else:
                await self._notifier.wait(wake_event)

    async def catch_up(self) -> bool:
        """One step for each follower that is behind; whether any of them should go on at once."""
        now = asyncio.get_running_loop().time()
        rows = {
            FollowedProjection(row["name"], row["generation"], row["account_id"]): row
            for row in await self._pool.fetch(query("list_followers_behind"))
        }
        self._growth.reached(max((row["head"] for row in rows.values()), default=0))
        behind = {follower: row["behind"] for follower, row in rows.items()}
        # An operator who resumes a projection clears its error.
        due = [
            f for f, row in rows.items() if not row["stopped"] or self._retry_at.get(f, 0) <= now
        ]
        steps = [asyncio.create_task(self._advance(f, behind[f])) for f in due]
        try:
            moved = await asyncio.gather(*steps)
        finally:
            for step in steps:
                step.cancel()
            await asyncio.gather(*steps, return_exceptions=True)
        return any(moved)

    async def _advance(self, follower: FollowedProjection, behind: int) -> bool:
        step = min(self._steps.get(follower, self._step), self._step, behind)
        async with self._places:
            try:
                row = await self._pool.fetchrow(query("advance_projection"), *follower, step)
            except TimeoutError:
                return await self._failed(follower, step, "it takes too long")
            except asyncpg.PostgresError as error:
                if meaning(error) is Meaning.AWAY:
                    raise
                return await self._failed(follower, step, str(error))
        self._retry_at.pop(follower, None)
        if self._steps.pop(follower, self._step) * 2 < self._step:
            self._steps[follower] = step * 2
        return row is not None

    async def _failed(self, follower: FollowedProjection, step: int, reason: str) -> bool:
        if step > 1:
            self._steps[follower] = step // 2
            return True
        self._steps[follower] = 1
        self._retry_at[follower] = asyncio.get_running_loop().time() + self._retry
        position = await self._pool.fetchval(query("record_projection_error"), *follower, reason)
        log.error(
            "projection_stopped",
            projection=follower.name,
            account_id=follower.account_id,
            position=position,
            error=reason,
        )
        return False
