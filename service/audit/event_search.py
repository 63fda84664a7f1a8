"""Searches events for auditors, in steps of bounded cost."""

from collections.abc import AsyncIterator
from datetime import datetime

import msgspec

from eventstore.connections import AccountPool
from service.audit.audited_events import AuditedEvent, audited
from sql.loader import query

WINDOW = 5_000
"""Positions that one statement scans at most, where no index leads to the events."""

_MAX_WINDOWS = 40
"""Statements for one page at most: a page may be short, and the next one continues."""


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions on events; all that are given must hold.

    Attributes:
        user_id: The learner whose data it is.
        actor_id: The user who did it.
        since, until: The first and the last time of recording.
        after: The position above which to begin.
    """

    course_id: int | None = None
    experience_id: int | None = None
    user_id: int | None = None
    conversation_id: int | None = None
    types: tuple[str, ...] = ()
    actor_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: int = 0

    @property
    def _scans(self) -> bool:
        """Whether a search must scan the log, since no index leads to the events."""
        others = (self.course_id, self.experience_id, self.user_id, self.actor_id)
        narrow = bool(self.types) or any(one is not None for one in others)
        return narrow and self.conversation_id is None

    def filters(self) -> list[tuple[str, str]]:
        """The given conditions, by the names of the API's parameters."""
        given = [
            ("course_id", self.course_id),
            ("experience_id", self.experience_id),
            ("user_id", self.user_id),
            ("conversation_id", self.conversation_id),
            *(("type", name) for name in self.types),
            ("actor_id", self.actor_id),
            ("from", self.since and self.since.isoformat()),
            ("to", self.until and self.until.isoformat()),
            ("after", self.after or None),
        ]
        return [(name, str(value)) for name, value in given if value is not None]

    def scan_end(self, after: int, upto: int, window: int) -> int:
        """The position up to which one statement may scan."""
        return min(upto, after + window) if self._scans else upto


class EventPage(msgspec.Struct, frozen=True):
    """Events in order: all matching ones up to position `reached`."""

    events: list[AuditedEvent]
    reached: int


class EventSearch:
    """The log, for auditors.

    Args:
        pool: Its role needs SELECT on the log and on the views.
        window: Positions that one statement scans at most.
    """

    def __init__(self, pool: AccountPool, window: int = WINDOW) -> None:
        self._pool = pool
        self._window = window

    async def head(self, account_id: int) -> int:
        """Position of the account's last event, 0 for an empty log."""
        return int(await self._pool.fetchval(account_id, query("get_log_head"), account_id) or 0)

    async def position_at(
        self, account_id: int, moment: datetime, *, inclusive: bool = True
    ) -> int:
        """Position of the last event at or before a moment; 0 if there is none."""
        position = await self._pool.fetchval(
            account_id, query("find_position"), account_id, moment, inclusive
        )
        return int(position)

    async def bounds(self, account_id: int, event_filter: EventFilter) -> tuple[int, int]:
        """The positions above which and up to which to search, as the log is now."""
        after, upto = event_filter.after, await self.head(account_id)
        if event_filter.since is not None:
            before = await self.position_at(account_id, event_filter.since, inclusive=False)
            after = max(after, before)
        if event_filter.until is not None:
            upto = min(upto, await self.position_at(account_id, event_filter.until))
        return after, upto

    async def scan(
        self, account_id: int, event_filter: EventFilter, after: int, upto: int, size: int
    ) -> EventPage:
        """One step: at most `size` events above `after`."""
        end = event_filter.scan_end(after, upto, self._window)
        async with self._pool.acquire(account_id) as connection, connection.transaction():
            await connection.execute(query("plan_anew"))
            rows = await connection.fetch(
                query("read_audited"),
                *(account_id, after, end, size, event_filter.conversation_id),
                *(list(event_filter.types) or None, event_filter.actor_id),
                *(event_filter.user_id, event_filter.experience_id, event_filter.course_id),
            )
        reached = rows[-1]["position"] if len(rows) == size else max(after, end)
        return EventPage([audited(row) for row in rows], reached)

    async def page(
        self, account_id: int, event_filter: EventFilter, after: int, upto: int, size: int
    ) -> EventPage:
        """A page of events; fewer if too much of the log must be scanned for them."""
        events: list[AuditedEvent] = []
        for _ in range(_MAX_WINDOWS):
            page = await self.scan(account_id, event_filter, after, upto, size - len(events))
            events += page.events
            after = page.reached
            if len(events) == size or after >= upto:
                break
        return EventPage(events, after)

    async def steps(
        self, account_id: int, event_filter: EventFilter, after: int, upto: int, size: int
    ) -> AsyncIterator[EventPage]:
        """All events up to a position, step by step; a step may be empty."""
        while after < upto:
            page = await self.scan(account_id, event_filter, after, upto, size)
            after = page.reached
            yield page
