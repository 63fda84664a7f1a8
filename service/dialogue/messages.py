"""The messages of a conversation, and how the events of its turns change them."""

from datetime import datetime
from typing import Literal

import msgspec

from eventstore.dialogue_events import (
    ConversationStarted,
    MessageRetried,
    ReplyCancelled,
    ReplyCompleted,
    ReplyFailed,
)
from eventstore.envelope import RecordedEvent
from service.model.errors import CANCELLED


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the learner sees it. `text` is None where it was erased.

    Attributes:
        state: Of a learner's message without an answer: the model gave none (unanswered), or
            somebody ended the turn (stopped). Of a reply: it breaks off (incomplete).
        code: Why that is so.
        retryable: Whether the model may answer the message if it is asked again.
    """

    id: str
    turn_id: str
    role: Literal["User", "Assistant"]
    text: str | None
    created_at: datetime
    revision: int
    state: Literal["unanswered", "stopped", "incomplete"] | None = None
    code: str | None = None
    retryable: bool | None = None


Messages = tuple[Message, ...]
Why = tuple[Literal["unanswered", "stopped"], str, bool]
"""State, code and retryability of a message without an answer."""


def reply_of(event: ConversationStarted | ReplyCompleted, recorded: RecordedEvent) -> Message:
    """The model's message of an event."""
    message = message_of(event.message_id, event.turn_id, "Assistant", recorded)
    code = event.reply.incomplete
    return msgspec.structs.replace(message, state="incomplete", code=code) if code else message


def message_of(
    message_id: str, turn_id: str, role: Literal["User", "Assistant"], recorded: RecordedEvent
) -> Message:
    """The message of an event, with its content as the text."""
    return Message(
        id=message_id,
        turn_id=turn_id,
        role=role,
        text=recorded.content,
        created_at=recorded.recorded_at,
        revision=recorded.revision,
    )


def answered(messages: Messages, event: ReplyCompleted, recorded: RecordedEvent) -> Messages:
    """The messages with a reply, which also answers earlier ones."""
    if event.answers:
        messages = tuple(_in_state(m, recorded) if m.id in event.answers else m for m in messages)
    return (*messages, reply_of(event, recorded))


def retried(messages: Messages, event: MessageRetried, recorded: RecordedEvent) -> Messages:
    """The message is of the new turn, and what was seen of an answer gives way to the next one."""
    return tuple(
        msgspec.structs.replace(_in_state(m, recorded), turn_id=event.turn_id)
        if m.id == event.message_id
        else m
        for m in messages
        if m.role == "User" or m.turn_id != event.retried_turn_id
    )


def kept(
    messages: Messages, event: ReplyFailed | ReplyCancelled, recorded: RecordedEvent
) -> Messages:
    """The message has no answer, and what was seen of one is a message of its own."""
    match event:
        case ReplyFailed():
            why: Why = ("unanswered", event.code, event.retryable)
        case ReplyCancelled():
            why = ("stopped", CANCELLED, True)
    said = tuple(
        _in_state(m, recorded, *why) if m.turn_id == event.turn_id else m for m in messages
    )
    if isinstance(event, ReplyFailed) or event.partial_message_id is None:
        return said
    partial = message_of(event.partial_message_id, event.turn_id, "Assistant", recorded)
    return (*said, msgspec.structs.replace(partial, state="incomplete", code=CANCELLED))


def taken_back(
    messages: Messages, event: ReplyFailed | ReplyCancelled, _recorded: RecordedEvent
) -> Messages:
    """Without that of the turn, as releases did that kept none."""
    return tuple(m for m in messages if m.turn_id != event.turn_id)


def _in_state(
    message: Message,
    recorded: RecordedEvent,
    state: Literal["unanswered", "stopped"] | None = None,
    code: str | None = None,
    retryable: bool | None = None,
) -> Message:
    return msgspec.structs.replace(
        message, state=state, code=code, retryable=retryable, revision=recorded.revision
    )
