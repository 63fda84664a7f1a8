"""Which process owns a turn, and whether it is still alive."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from eventstore.connections import Pool
from service.dialogue.state import MOST_TAKEOVERS
from sql.loader import query

_GRACE = timedelta(seconds=45)
TAKEN_WITHIN = timedelta(minutes=10)
"""After its question; whoever asked has given up by then."""


class TurnOwnership:
    """Tells abandoned turns from those under way.

    Args:
        pool: For checking whether other owners are alive.
        this: This process's number.
        clock: Gives the database's time, in which deadlines are.
        second_look: Seconds before an owner that looks gone is looked for again.
        settled: Whether this process has been connected for long enough to judge others: where the
            database was away, they may just not be back yet.

    `running` holds the ids of the turns that this process runs; the code that ends one, or gives
    it up, removes it. `taking` holds those that it is about to take over.
    """

    def __init__(
        self,
        pool: Pool,
        this: int,
        clock: Callable[[], datetime],
        second_look: float,
        settled: Callable[[], bool] = lambda: True,
    ) -> None:
        self.running: set[str] = set()
        self.taking: set[str] = set()
        self.this = this
        self._pool = pool
        self._clock = clock
        self._second_look = second_look
        self._settled = settled

    def deadline(self, budget: float) -> datetime:
        """The time after which a turn that begins now counts as abandoned, whoever owns it.

        Args:
            budget: Seconds that an answer of a model may take.
        """
        return self._clock() + timedelta(seconds=budget) + _GRACE

    async def is_abandoned(self, turn_id: str, owner: int | None, deadline_at: datetime) -> bool:
        """Whether nobody will end the turn: its deadline is over, or its owner is gone.

        Args:
            owner: None where it has left the turn to another process.
        """
        if turn_id in self.taking:
            return False
        if owner is None or deadline_at <= self._clock():
            return True
        if owner == self.this:
            return turn_id not in self.running
        if not self._settled() or not await self._is_gone(owner):
            return False
        # A process that has just lost its connection looks the same for a moment.
        await asyncio.sleep(self._second_look)
        return self._settled() and await self._is_gone(owner)

    def may_be_taken(self, turn_id: str, asked_at: datetime, takeovers: int) -> bool:
        """Whether this process may ask the model in an abandoned turn.

        Args:
            asked_at: When the turn began.
            takeovers: How often it was taken over.
        """
        in_time = takeovers < MOST_TAKEOVERS and self._clock() < asked_at + TAKEN_WITHIN
        return in_time and turn_id not in self.running

    async def _is_gone(self, owner: int) -> bool:
        return bool(await self._pool.fetchval(query("is_owner_gone"), owner))
