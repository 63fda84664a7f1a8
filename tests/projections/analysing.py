"""An analyst's views of events at chosen times."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from eventstore.connections import Connection, Pool
from eventstore.envelope import RecordedEvent
from tests.eventstore.building import Step, append_steps
from tests.projections.viewing import Parts, Rows, catch_up


class Analysis:
    """Appends events, and reads the analysts' views after they have caught up.

    Args:
        parts: The log with its pool and notifier.
        workers: The projection runner's pool.
        owner: Reads them.
    """

    def __init__(self, parts: Parts, workers: Pool, owner: Connection) -> None:
        self._log, _, self._link = parts
        self._workers = workers
        self._owner = owner

    async def at(self, time: str) -> None:
        """Records all further events at that time, which must be in the future."""
        await self._owner.execute(
            "UPDATE log_heads SET recorded_at = $1", datetime.fromisoformat(time)
        )

    async def happens(self, *steps: Step) -> list[RecordedEvent]:
        """One append after the other."""
        return await append_steps(self._log, steps)

    async def sees(self, view: str, columns: str) -> Rows:
        """These columns of all rows, sorted by them."""
        await catch_up(self._workers, self._link)
        rows = await self._owner.fetch(
            f"SELECT * FROM (SELECT {columns} FROM analytics.{view}) AS seen ORDER BY seen"
        )
        return [tuple(row) for row in rows]

    async def sees_one(self, view: str, columns: str) -> dict[str, Any]:
        """These columns of the only row, by their names."""
        await catch_up(self._workers, self._link)
        (row,) = await self._owner.fetch(f"SELECT {columns} FROM analytics.{view}")
        return dict(row)


def together(steps: Iterable[Step]) -> Step:
    """One append with several steps of a dialogue."""
    several = list(steps)
    return Step(several[0].stream, tuple(event for step in several for event in step.events))
