"""The events of the log that become learning records, each with its conversation's facts."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from eventstore.codec import read_event
from eventstore.connections import AccountPool
from eventstore.event import Unreadable
from eventstore.events import AnyEvent
from sql.loader import query

_WINDOW = 2_000


class LearningEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a conversation, without any text but the experience's title.

    Attributes:
        user_id: The learner whose conversation it is.
        actor_id: The user who did it, such as a teacher who voted; None if the event has none.
        title: The experience's title when the conversation began.
        started_at: When the conversation began.
        objectives: The number of the conversation's objectives.
        covered: How many of them are covered after this event, if it assesses them.
    """

    position: int
    event_id: UUID
    recorded_at: datetime
    event: AnyEvent | Unreadable
    conversation_id: int
    course_id: int
    experience_id: int
    user_id: int
    actor_id: int | None
    title: str | None
    started_at: datetime
    objectives: int
    covered: int


class Window(msgspec.Struct, frozen=True):
    """The matching events from the end of the window before to position `upto`."""

    events: list[LearningEvent]
    upto: int


class LearningLog:
    """Reads the log for learning records, without the texts of conversations.

    Args:
        pool: Its role needs SELECT on the log.
        window: Positions that one statement reads.
    """

    def __init__(self, pool: AccountPool, window: int = _WINDOW) -> None:
        self._pool = pool
        self._window = window

    async def first_event(self, account_id: int) -> str | None:
        """The id of the log's first event, which identifies the log; None if it is empty."""
        event_id: str | None = await self._pool.fetchval(
            account_id, query("get_first_event"), account_id
        )
        return event_id

    async def erased_since(
        self, account_id: int, learners: Collection[int], position: int
    ) -> frozenset[int]:
        """Which of these learners were erased above a position of the log."""
        rows = await self._pool.fetch(
            account_id, query("list_erased_since"), account_id, list(learners), position
        )
        return frozenset(row["user_id"] for row in rows)

    async def windows(
        self,
        account_id: int,
        types: Sequence[str],
        *,
        after: int,
        upto: int,
        course_id: int | None = None,
    ) -> AsyncIterator[Window]:
        """The events of these types above `after` and up to `upto`, in order.

        Events are left out whose conversation began before its learner was erased, or whose actor
        was erased afterwards.
        """
        while after < upto:
            end = min(upto, after + self._window)
            async with self._pool.acquire(account_id) as connection, connection.transaction():
                await connection.execute(query("plan_anew"))
                rows = await connection.fetch(
                    query("read_learning"), account_id, after, end, list(types), course_id
                )
            yield Window([_event(row) for row in rows], end)
            after = end


def _event(row: asyncpg.Record) -> LearningEvent:
    return LearningEvent(
        position=row["position"],
        event_id=row["event_id"],
        recorded_at=row["recorded_at"],
        event=read_event(row["data"]),
        conversation_id=row["conversation_id"],
        course_id=row["course_id"],
        experience_id=row["experience_id"],
        user_id=row["user_id"],
        actor_id=row["actor_id"],
        title=row["title"],
        started_at=row["started_at"],
        objectives=row["objectives"],
        covered=row["covered"],
    )
