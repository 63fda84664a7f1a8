"""What all events have in common."""

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A fact: something that happened, in the past tense."""


class Unreadable(msgspec.Struct, frozen=True):
    """Stands where the log has an event that this program cannot read: its type, turn, and why."""

    type: str
    turn: str | None
    why: str


class DialogueEvent(Event, frozen=True, kw_only=True):
    """An event of a learner's dialogue with an experience."""

    conversation_id: int
