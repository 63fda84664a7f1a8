"""What may be asked of a dialogue. Clocks and ids are part of a command."""

from datetime import datetime

import msgspec

from eventstore.events import ReplyRecord, Usage


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a turn failed, as it goes into the log."""

    code: str
    detail: str = ""
    partial_text: str = ""
    model: str | None = None
    usage: Usage | None = None
    provider_request_id: str | None = None
    duration_ms: int | None = None


class OpenConversation(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the model to open a new conversation."""

    conversation_id: int
    turn_id: str
    course_id: int
    experience_id: int
    experience_version: int
    user_id: int
    model: str
    owner: int
    deadline_at: datetime


class RecordOpening(msgspec.Struct, frozen=True, kw_only=True):
    """The model has opened the conversation."""

    turn_id: str
    objectives: tuple[str, ...]
    starting_prompt: str
    starting_message_id: str
    message_id: str
    text: str
    reply: ReplyRecord


class PostMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Say something in the active conversation and ask the model to answer."""

    conversation_id: int
    turn_id: str
    message_id: str
    text: str
    model: str
    owner: int
    deadline_at: datetime


class RecordReply(msgspec.Struct, frozen=True, kw_only=True):
    """The model has answered."""

    turn_id: str
    message_id: str
    text: str
    reply: ReplyRecord


class FailTurn(msgspec.Struct, frozen=True, kw_only=True):
    """The model has not answered, or nobody is left to hear it."""

    turn_id: str
    failure: Failure


class CompleteConversation(msgspec.Struct, frozen=True, kw_only=True):
    """End the active conversation."""

    conversation_id: int


Command = (
    OpenConversation | RecordOpening | PostMessage | RecordReply | FailTurn | CompleteConversation
)
