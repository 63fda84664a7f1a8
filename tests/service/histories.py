"""What every log must be, told without the code that the service itself folds events with."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from eventstore.events import (
    AnyEvent,
    ConversationCompleted,
    ConversationStarted,
    MessagePosted,
    OpeningFailed,
    OpeningRequested,
    ReplyCancelled,
    ReplyCompleted,
    ReplyFailed,
)
from eventstore.records import RecordedEvent

ENDS = (ConversationStarted, OpeningFailed, ReplyCompleted, ReplyFailed, ReplyCancelled)


def types_of(events: Iterable[RecordedEvent]) -> list[str]:
    """The events' types, without their versions."""
    return [str(e.event.__struct_config__.tag).partition(".")[0] for e in events]


def dialogues_of(events: Iterable[RecordedEvent]) -> dict[str, list[RecordedEvent]]:
    """The events of learners' dialogues by stream."""
    streams: dict[str, list[RecordedEvent]] = defaultdict(list)
    for event in events:
        if event.stream.startswith("dialogue-"):
            streams[event.stream].append(event)
    return streams


def said(events: Iterable[RecordedEvent]) -> list[str | None]:
    """What learners posted, answered or not, in order."""
    return [e.content for e in events if isinstance(e.event, MessagePosted)]


def answered(events: Sequence[RecordedEvent]) -> list[str | None]:
    """What learners posted and got a reply to, in the order of posting."""
    done = {e.event.turn_id for e in events if isinstance(e.event, ReplyCompleted)}
    posted = [(e.event, e.content) for e in events if isinstance(e.event, MessagePosted)]
    return [content for event, content in posted if event.turn_id in done]


def assert_lawful(events: Sequence[RecordedEvent], *, ended: bool = True) -> None:
    """Positions are dense and no stream ever has two active conversations or two open turns.

    Args:
        ended: The log must leave no turn open.
    """
    assert [e.position for e in events] == list(range(1, len(events) + 1))
    for stream in dialogues_of(events).values():
        assert [e.revision for e in stream] == list(range(1, len(stream) + 1))
        left_open = assert_lawful_dialogue([e.event for e in stream])
        assert not (ended and left_open), f"turn {left_open} was never ended"


def assert_lawful_dialogue(events: Iterable[AnyEvent]) -> str | None:
    """One learner's events: each is allowed where it stands. Returns the turn left open."""
    rules = _Rules()
    for event in events:
        rules.allow(event)
    return rules.turn.turn_id if rules.turn else None


class _Rules(msgspec.Struct):
    active: int | None = None
    turn: OpeningRequested | MessagePosted | None = None

    def allow(self, event: AnyEvent) -> None:
        if isinstance(event, OpeningRequested | MessagePosted):
            assert self.turn is None, f"two turns at once: {self.turn} and {event}"
            if isinstance(event, MessagePosted):
                assert event.conversation_id == self.active, "a message to another conversation"
            self.turn = event
        elif isinstance(event, ENDS):
            self._end(event)
        elif isinstance(event, ConversationCompleted):
            assert event.conversation_id == self.active, "completed without being active"
            self.active = None

    def _end(self, event: AnyEvent) -> None:
        assert isinstance(event, ENDS)
        assert self.turn is not None, f"the end of no turn: {event}"
        assert event.turn_id == self.turn.turn_id, f"the end of another turn: {event}"
        assert event.conversation_id == self.turn.conversation_id
        of_opening = isinstance(event, ConversationStarted | OpeningFailed)
        assert of_opening == isinstance(self.turn, OpeningRequested)
        if isinstance(event, ConversationStarted):
            assert self.active is None, "two active conversations"
            self.active = event.conversation_id
        self.turn = None
