"""Retention: deletes texts a number of days after their conversation was completed.

A rule is for a course, or for all courses of the account that have none. Texts are deleted as in
an erasure, but by conversation, and the learner's name and logins stay.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal

import msgspec

from eventstore.codec import encode
from eventstore.connections import AccountPool
from eventstore.envelope import Metadata, NewEvent
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from eventstore.privacy_events import RetentionRuleSet, stream_of_retention
from service.errors import NotFound, ViewsBeingRebuilt
from sql.loader import query

ACCOUNT_WIDE = 0
"""The course id in the account's rule."""

_PAGE = 100
_TIMEOUT = 600.0
_encoder = msgspec.json.Encoder()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How many days texts are kept; None: for ever. `course_id` 0: the account's rule."""

    course_id: int
    days: int | None
    set_at: datetime


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation whose texts are due, and the rule; `held`: its learner is under hold."""

    conversation_id: int
    user_id: int
    rule: Literal["course", "account"]
    days: int
    texts: int
    held: bool


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """What a run deleted, and the learners whom it left out because of legal holds."""

    conversations: int = 0
    texts: int = 0
    held: tuple[int, ...] = ()


class Retention:
    """Sets rules and applies them.

    Args:
        log: Where rules are recorded.
        pool: Its role may execute `expire_texts_v1`.
        notifier: Announces the new events.
        page: Number of conversations in a transaction.
    """

    def __init__(
        self, log: EventLog, pool: AccountPool, notifier: Notifier, page: int = _PAGE
    ) -> None:
        self._page = page
        self._log = log
        self._pool = pool
        self._notifier = notifier

    async def set_rule(
        self, account_id: int, course_id: int, days: int | None, metadata: Metadata
    ) -> None:
        """Sets a rule, which the next run applies.

        Args:
            course_id: `ACCOUNT_WIDE` for the account's rule.

        Raises:
            NotFound: There is no such course.
        """
        if course_id != ACCOUNT_WIDE and not await self._pool.fetchval(
            account_id, query("has_course"), account_id, course_id
        ):
            raise NotFound(f"there is no course {course_id}")
        await self._log.append(
            account_id,
            stream_of_retention(course_id),
            [NewEvent(event=RetentionRuleSet(course_id=course_id, days=days))],
            expected=None,
            metadata=metadata,
        )

    async def rules(self, account_id: int) -> list[Rule]:
        """The account's rules, its own first."""
        rows = await self._pool.fetch(account_id, query("list_retention_rules"), account_id)
        return [Rule(**dict(row)) for row in rows]

    async def due(self, account_id: int, now: datetime | None = None) -> AsyncIterator[list[Due]]:
        """The conversations that are due, in pages.

        Args:
            now: The time of the run; None for the database's time.
        """
        after = 0
        while True:
            async with self._pool.acquire(account_id) as connection:
                rows = await connection.fetch(
                    query("list_due_conversations"),
                    *(account_id, after, now, self._page),
                    timeout=_TIMEOUT,
                )
            if rows:
                yield [Due(**dict(row)) for row in rows]
            if len(rows) < self._page:
                return
            after = rows[-1]["conversation_id"]

    async def run(
        self, account_id: int, metadata: Metadata, now: datetime | None = None
    ) -> Expired:
        """Deletes what is due, in a transaction per page of conversations.

        Raises:
            ViewsBeingRebuilt: A view with texts is being rebuilt. Pages before stay deleted.
        """
        total = Expired()
        async for page in self.due(account_id, now):
            total = _sum(total, await self._expire(account_id, page, metadata))
        return total

    async def _expire(self, account_id: int, page: list[Due], metadata: Metadata) -> Expired:
        rules = {str(d.conversation_id): {"rule": d.rule, "days": d.days} for d in page}
        async with self._pool.acquire(account_id) as connection:
            row = await connection.fetchrow(
                query("expire_texts"),
                *(account_id, _encoder.encode(rules).decode(), encode(metadata)),
                timeout=_TIMEOUT,
            )
        assert row is not None
        if row["outcome"] == "rebuilding":
            raise ViewsBeingRebuilt
        self._notifier.notify(account_id)
        return Expired(
            conversations=row["conversations"], texts=row["texts"], held=tuple(row["held"])
        )


def _sum(one: Expired, other: Expired) -> Expired:
    return Expired(
        conversations=one.conversations + other.conversations,
        texts=one.texts + other.texts,
        held=tuple(sorted({*one.held, *other.held})),
    )
