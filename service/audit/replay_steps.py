"""The history of a conversation step by step, including what its learner did not see."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from service.audit.audited_events import AuditedEvent

TITLES = {
    "opening_requested.v1": "Asked for a new conversation",
    "conversation_started.v1": "The model opened the conversation",
    "opening_failed.v1": "The model did not open the conversation",
    "message_posted.v1": "The learner said something",
    "message_retried.v1": "The learner asked again for a reply",
    "turn_taken_over.v1": "Another process asked the model anew",
    "turn_released.v1": "The process stopped and left the turn to another one",
    "reply_completed.v1": "The model replied",
    "reply_failed.v1": "No reply came of it",
    "reply_cancelled.v1": "The reply was stopped",
    "objectives_assessed.v1": "The objectives were judged",
    "assessment_failed.v1": "Nobody judged the objectives",
    "evaluation_requested.v1": "Asked for an evaluation",
    "evaluation_recorded.v1": "The conversation was evaluated",
    "evaluation_failed.v1": "No evaluation came of it",
    "feedback_given.v1": "Voted on a message",
    "feedback_withdrawn.v1": "Took a vote back",
    "conversation_completed.v1": "The conversation was completed",
    "experience_created.v1": "The experience was created",
    "experience_edited.v1": "The experience was edited",
    "experience_deleted.v1": "The experience was deleted",
    "history_read.v1": "Somebody read it",
    "text_expired.v1": "Its texts were deleted",
    "learner_erased.v1": "The learner was erased",
    "hold_placed.v1": "A legal hold was placed",
    "hold_released.v1": "A legal hold was released",
}


STREAMED = ("opening_failed.v1", "reply_failed.v1", "reply_cancelled.v1", "turn_released.v1")
"""Types of events with a part of a reply, which a client could read as it came."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One event.

    `shown`: the learner sees its text at the replay's position. `withdrawn`: they could see it
    before. A text that is neither was never shown to them.

    `text` is the event's text, or the part of it that arrived before the reply broke off; in place
    of a deleted text it says when that was deleted. `actor` has an `id` and a `role`, and a
    `real_user_id` if an administrator acted as the user.
    """

    position: int
    recorded_at: datetime
    type: str
    title: str
    actor: dict[str, Any]
    shown: bool
    withdrawn: bool
    text: str | None
    erased: bool
    data: dict[str, Any]


class StepTexts:
    """The texts of events, or words in place of deleted ones.

    Args:
        events: All events of the conversation, including those after the replay's position.
    """

    def __init__(self, events: Iterable[AuditedEvent]) -> None:
        events = list(events)
        self._deletions = [e for e in events if e.type == "text_expired.v1"]
        self._deleted: dict[str, str] = {}
        for event in events:
            if event.erased and (text_id := _text_id(event)):
                self._deleted[text_id] = self.of(event) or ""

    def of(self, event: AuditedEvent) -> str | None:
        """An event's text, or a sentence that says when it was deleted."""
        if not event.erased:
            return event.content
        later = (d for d in self._deletions if d.position > event.position)
        deletion = next(later, None)
        return f"[erased on {deletion.recorded_at:%Y-%m-%d}]" if deletion else "[erased]"

    def mark(self, shown: dict[str, Any] | None) -> dict[str, Any] | None:
        """The learner's answer with such sentences in place of deleted texts."""
        if shown is None:
            return None
        return shown | {"messages": [self._marked(message) for message in shown["messages"]]}

    def _marked(self, message: dict[str, Any]) -> dict[str, Any]:
        text = message["text"]
        votes = [
            vote | {"feedback_message": vote["feedback_message"] or self._deleted.get(vote["id"])}
            for vote in message["feedback"]
        ]
        text = self._deleted.get(message["id"]) if text is None else text
        return message | {"text": text, "feedback": votes}


def make_steps(
    events: Sequence[AuditedEvent], texts: StepTexts, shown: dict[str, Any] | None, user_id: int
) -> list[Step]:
    """The steps of these events, in order.

    Args:
        shown: The answer to the learner at the replay's position.
        user_id: The learner.
    """
    visible = _visible_ids(shown)
    return [
        Step(
            position=event.position,
            recorded_at=event.recorded_at,
            type=event.type,
            title=TITLES.get(event.type, event.type),
            actor=event.metadata["actor"]
            | {k: v for k, v in event.metadata.items() if k == "real_user_id"},
            shown=_text_id(event) in visible,
            withdrawn=_text_id(event) not in visible and _was_seen(event, user_id),
            text=texts.of(event),
            erased=event.erased,
            data=event.data,
        )
        for event in events
    ]


def _text_id(event: AuditedEvent) -> str | None:
    """The id of an event's text in the API: that of a message or of a vote."""
    match event.type:
        case "feedback_given.v1":
            return str(event.data["feedback_id"])
        case "conversation_started.v1" | "message_posted.v1" | "reply_completed.v1":
            return str(event.data["message_id"])
        case "reply_cancelled.v1":
            return event.data.get("partial_message_id")
        case _:
            return None


def _was_seen(event: AuditedEvent, user_id: int) -> bool:
    """Whether the learner could see its text once: their own, and what came of a reply."""
    match event.type:
        case "message_posted.v1":
            return True
        case "feedback_given.v1":
            return bool(event.data["user_id"] == user_id)
        case kind if kind in STREAMED:
            return event.erased or event.content is not None
        case _:
            return False


def _visible_ids(shown: dict[str, Any] | None) -> set[str]:
    messages = shown["messages"] if shown else []
    votes = [vote["id"] for message in messages for vote in message["feedback"]]
    return {*votes, *(message["id"] for message in messages)}
