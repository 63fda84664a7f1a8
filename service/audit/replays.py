"""Replays: what the learner saw at a position, and the full history beside it."""

from datetime import datetime
from typing import Any

import msgspec

from eventstore.connections import AccountPool
from eventstore.envelope import NO_END
from eventstore.log import PAGE
from eventstore.privacy_events import stream_of_learner, stream_of_reads
from service.audit.audited_events import AuditedEvent, audited
from service.audit.replay import Opened, find_opening, replay
from service.audit.replay_steps import Step, StepTexts, make_steps
from sql.loader import query


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation at position `at` of the log.

    Attributes:
        recorded_at: When the event at that position was recorded.
        experience: The version of the experience that the conversation uses.
        seen: The answer to the learner's request for the conversation; None before it began.
        active: The answer to the learner's request for the active conversation; None while another
            one or none was active.
        steps: The events up to that position, in order.
    """

    conversation_id: int
    at: int
    recorded_at: datetime | None
    course_id: int
    experience_id: int
    experience_version: int
    experience: dict[str, Any] | None
    user_id: int
    user_name: str | None
    seen: dict[str, Any] | None
    active: dict[str, Any] | None
    steps: list[Step]


class Replays:
    """Replays conversations.

    Args:
        pool: Its role may execute `replay_conversation_v1`.
    """

    def __init__(self, pool: AccountPool) -> None:
        self._pool = pool

    async def find(self, account_id: int, conversation_id: int) -> Opened | None:
        """The beginning of a conversation; None if the account has no such conversation."""
        return await find_opening(self._pool, account_id, conversation_id)

    async def make(
        self, account_id: int, conversation_id: int, opened: Opened, at: int
    ) -> Replayed:
        """The conversation as it was at position `at`."""
        seen = await replay(self._pool, account_id, conversation_id, opened, at)
        # Read after the answer, so that they include the deletion of each text that it lacks.
        conversation = await self._conversation(account_id, conversation_id)
        texts = StepTexts(conversation)
        experience, related = await self._related(account_id, conversation_id, opened)
        events = {e.position: e for e in (*conversation, *related) if e.position <= at}
        ordered = [events[position] for position in sorted(events)]
        return Replayed(
            conversation_id=conversation_id,
            at=at,
            recorded_at=await self._pool.fetchval(
                account_id, query("get_recorded_at"), account_id, at
            ),
            course_id=opened.course_id,
            experience_id=opened.experience_id,
            experience_version=opened.experience_version,
            experience=experience,
            user_id=opened.user_id,
            user_name=seen.user_name,
            seen=texts.mark(seen.conversation),
            active=texts.mark(seen.active),
            steps=make_steps(ordered, texts, seen.conversation, opened.user_id),
        )

    async def _conversation(self, account_id: int, conversation_id: int) -> list[AuditedEvent]:
        events: list[AuditedEvent] = []
        while True:
            after = events[-1].position if events else 0
            rows = await self._pool.fetch(
                account_id,
                query("read_conversation"),
                *(account_id, conversation_id, after, PAGE),
            )
            events += [audited(row) for row in rows]
            if len(rows) < PAGE:
                return events

    async def _related(
        self, account_id: int, conversation_id: int, opened: Opened
    ) -> tuple[dict[str, Any] | None, list[AuditedEvent]]:
        """The conversation's version of the experience, and related events since it began.

        These are the events of the experience and of the learner, and reads of the conversation.
        """
        experience = await self._stream(account_id, f"experience-{opened.experience_id}")
        versions = {event.revision: event.data for event in experience}
        learner = await self._stream(account_id, stream_of_learner(opened.user_id))
        reads = await self._stream(account_id, stream_of_reads(opened.user_id))
        reads = [r for r in reads if r.conversation_id in (None, conversation_id)]
        related = [*experience, *learner, *reads]
        return versions.get(opened.experience_version), [
            event for event in related if event.position > opened.position
        ]

    async def _stream(self, account_id: int, stream: str) -> list[AuditedEvent]:
        rows = await self._pool.fetch(
            account_id, query("read_stream"), account_id, stream, 0, None, NO_END
        )
        return [audited(row) for row in rows]
