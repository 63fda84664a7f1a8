"""How turns ended, read from the log: the same in every process and at any later time."""

import msgspec

from eventstore.dialogue_events import (
    ConversationStarted,
    MessagePosted,
    MessageRetried,
    OpeningFailed,
    OpeningRequested,
    ReplyCancelled,
    ReplyCompleted,
    ReplyFailed,
    TurnRequest,
)
from eventstore.envelope import RecordedEvent
from eventstore.event import Unreadable
from service.dialogue.commands import OpenConversation, PostMessage, Question, RetryMessage
from service.dialogue.repository import DialogueKey, DialogueRepository
from service.dialogue.state import ends_turn
from service.errors import KeptMessage, KeyReused, TurnCancelled, TurnFailed
from service.model.errors import CANCELLED, INTERNAL_ERROR
from service.turns.live import Outcome


class TurnOutcome(msgspec.Struct, frozen=True):
    """The event that ended a turn, and the outcome for its callers."""

    event: RecordedEvent
    outcome: Outcome

    @property
    def takeovers(self) -> int:
        """How often another process took the turn over, as far as its end tells."""
        end = self.event.event
        return end.takeovers if isinstance(end, ConversationStarted | ReplyCompleted) else 0

    @property
    def cancelled(self) -> bool:
        """Whether a person stopped it."""
        return isinstance(self.outcome, TurnCancelled)


def turn_of(asked: RecordedEvent) -> TurnRequest:
    """The payload of the event that began a turn."""
    assert isinstance(asked.event, TurnRequest)
    return asked.event


def asked_message_id(request: TurnRequest) -> str | None:
    """The id of the message that the model is to answer; of an opening, the starting prompt's."""
    if isinstance(request, OpeningRequested):
        return request.starting_message_id
    return request.message_id


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
            return TurnCancelled(reference_id, _kept(asked, end.event))
        case OpeningFailed() if end.event.code == CANCELLED:
            return TurnCancelled(reference_id)
        case OpeningFailed() | ReplyFailed():
            return TurnFailed(
                end.event.code,
                retryable=end.event.retryable,
                retry_after=end.event.retry_after,
                reference_id=reference_id,
                kept=_kept(asked, end.event),
            )
        case Unreadable():
            return TurnFailed(INTERNAL_ERROR, retryable=True, reference_id=reference_id)
        case _:
            return None


def _kept(
    asked: RecordedEvent, end: OpeningFailed | ReplyFailed | ReplyCancelled
) -> KeptMessage | None:
    request = turn_of(asked)
    if isinstance(request, OpeningRequested) or isinstance(end, OpeningFailed) or not end.kept:
        return None
    return KeptMessage(request.turn_id, request.message_id)


async def check_repeat(
    dialogues: DialogueRepository, asked: RecordedEvent, command: Question
) -> None:
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
        case PostMessage(), MessageRetried():
            same = command.conversation_id == asked.event.conversation_id and (
                await _text_retried(dialogues, asked, asked.event) in (None, command.text)
            )
        case RetryMessage(), MessageRetried():
            same = command.retried_turn_id == asked.event.retried_turn_id
        case _:
            same = False
    if not same:
        raise KeyReused


async def _outcome(
    dialogues: DialogueRepository, asked: RecordedEvent, end: RecordedEvent
) -> Outcome:
    key = DialogueKey.of_stream(asked.account_id, asked.stream)
    return failure_of(asked, end) or await dialogues.at(key, end.revision)


async def _text_retried(
    dialogues: DialogueRepository, asked: RecordedEvent, retried: MessageRetried
) -> str | None:
    """The text of the message; None if it was erased."""
    key = DialogueKey.of_stream(asked.account_id, asked.stream)
    active = (await dialogues.at(key, asked.revision)).active
    messages = active.messages if active else ()
    return next((m.text for m in messages if m.id == retried.message_id), None)
