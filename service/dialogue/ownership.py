"""Which process owns a turn, and whether it is still alive."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from eventstore.connections import Pool
from eventstore.dialogue_events import TurnRequest
from eventstore.evaluation_events import EvaluationRequested
from sql.loader import query

_GRACE = timedelta(seconds=45)


class TurnOwnership:
    """Tells abandoned turns from those under way.

    Args:
        pool: For checking whether other owners are alive.
        this: This process's number.
        clock: Gives the database's time, in which deadlines are.
        second_look: Seconds before an owner that looks gone is looked for again.

    `running` holds the ids of the turns that this process runs; the code that ends one, or gives
    it up, removes it.
    """

    def __init__(
        self,
        pool: Pool,
        this: int,
        clock: Callable[[], datetime],
        second_look: float,
    ) -> None:
        self.running: set[str] = set()
        self.this = this
        self._pool = pool
        self._clock = clock
        self._second_look = second_look

    def deadline(self, budget: float) -> datetime:
        """The time after which a turn that begins now counts as abandoned, whoever owns it.

        Args:
            budget: Seconds that an answer of a model may take.
        """
        return self._clock() + timedelta(seconds=budget) + _GRACE

    async def is_abandoned(self, asked: TurnRequest | EvaluationRequested) -> bool:
        """Whether nobody will end the turn: its deadline is over, or its owner is gone."""
        if asked.deadline_at <= self._clock():
            return True
        if asked.owner == self.this:
            return asked.turn_id not in self.running
        if not await self._is_gone(asked.owner):
            return False
        # A process that has just lost its connection looks the same for a moment.
        await asyncio.sleep(self._second_look)
        return await self._is_gone(asked.owner)

    async def _is_gone(self, owner: int) -> bool:
        return bool(await self._pool.fetchval(query("is_owner_gone"), owner))
