"""How turns ended, read from the log: the same in every process and at any later time."""

import msgspec

from eventstore.dialogue_events import (
    MessagePosted,
    OpeningFailed,
    OpeningRequested,
    ReplyCancelled,
    ReplyFailed,
)
from eventstore.envelope import RecordedEvent
from eventstore.event import Unreadable
from service.dialogue.commands import OpenConversation, PostMessage
from service.dialogue.repository import DialogueKey, DialogueRepository
from service.dialogue.state import ends_turn
from service.errors import KeyReused, TurnCancelled, TurnFailed
from service.model.errors import CANCELLED, INTERNAL_ERROR
from service.turns.live import Outcome


class TurnOutcome(msgspec.Struct, frozen=True):
    """The event that ended a turn, and the outcome for its callers."""

    event: RecordedEvent
    outcome: Outcome

    @property
    def cancelled(self) -> bool:
        """Whether a person stopped it."""
        return isinstance(self.outcome, TurnCancelled)


def turn_of(asked: RecordedEvent) -> OpeningRequested | MessagePosted:
    """The payload of the event that began a turn."""
    assert isinstance(asked.event, OpeningRequested | MessagePosted)
    return asked.event


async def find_end(dialogues: DialogueRepository, asked: RecordedEvent) -> TurnOutcome | None:
    """How a turn ended; None while it is under way.

    Args:
        asked: The event that began the turn.
    """
    turn = turn_of(asked)
    events = await dialogues.read_turn(
        asked.account_id, turn.conversation_id, turn.turn_id, since=asked.position
    )
    for event in events:
        if ends_turn(event.event):
            return TurnOutcome(event, await _outcome(dialogues, asked, event))
    return None


def failure_of(asked: RecordedEvent, end: RecordedEvent) -> TurnFailed | TurnCancelled | None:
    """The error for the callers of a turn; None if it succeeded."""
    reference_id = asked.metadata.request_id
    match end.event:
        case ReplyCancelled():
            return TurnCancelled(reference_id)
        case OpeningFailed() if end.event.code == CANCELLED:
            return TurnCancelled(reference_id)
        case OpeningFailed() | ReplyFailed():
            return TurnFailed(
                end.event.code,
                retryable=end.event.retryable,
                retry_after=end.event.retry_after,
                reference_id=reference_id,
            )
        case Unreadable():
            return TurnFailed(INTERNAL_ERROR, retryable=True, reference_id=reference_id)
        case _:
            return None


def check_repeat(asked: RecordedEvent, command: OpenConversation | PostMessage) -> None:
    """Compares a recorded request with one that has the same idempotency key.

    Raises:
        KeyReused: They are not the same.
    """
    match command, asked.event:
        case OpenConversation(), OpeningRequested():
            same = command.experience_id == asked.event.experience_id
        case PostMessage(), MessagePosted():
            # Of a text that was erased nobody can tell any more whether it was the same.
            same = command.conversation_id == asked.event.conversation_id and (
                asked.erased or command.text == asked.content
            )
        case _:
            same = False
    if not same:
        raise KeyReused


async def _outcome(
    dialogues: DialogueRepository, asked: RecordedEvent, end: RecordedEvent
) -> Outcome:
    key = DialogueKey.of_stream(asked.account_id, asked.stream)
    return failure_of(asked, end) or await dialogues.at(key, end.revision)
