"""Base classes of events."""

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A fact: something that happened, in the past tense."""


class Unreadable(msgspec.Struct, frozen=True):
    """Stands for a stored event that this program cannot read: type, turn, and reason."""

    type: str
    turn: str | None
    why: str


class DialogueEvent(Event, frozen=True, kw_only=True):
    """An event of a learner's dialogue with an experience."""

    conversation_id: int
