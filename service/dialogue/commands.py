"""Commands on a dialogue. Times and ids are part of a command."""

from datetime import datetime
from typing import Literal

import msgspec

from eventstore.dialogue_events import CoveredObjective
from eventstore.reply_records import AttemptRecord, ReplyRecord, Usage


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a question without an answer, as it is recorded."""

    model: str | None = None
    usage: Usage | None = None
    provider_request_id: str | None = None
    duration_ms: int | None = None
    attempt_records: tuple[AttemptRecord, ...] = ()
    price_version: str | None = None
    cost_microusd: int | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no answer, as it is recorded. `retry_after` is in seconds."""

    code: str
    detail: str = ""
    retryable: bool = True
    retry_after: float | None = None
    partial_text: str = ""
    spent: Spent = Spent()


class Assessed(msgspec.Struct, frozen=True, kw_only=True):
    """The objectives that a model judged covered, and the record of its answer."""

    covered: tuple[CoveredObjective, ...]
    judgement: ReplyRecord


Assessment = Assessed | Failure | None
"""The result of assessing objectives beside a reply; None if no model was asked."""


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
    starting_message_id: str


class TakeOverTurn(msgspec.Struct, frozen=True, kw_only=True):
    """Another process asks the model in place of one that is gone."""

    turn_id: str
    owner: int
    deadline_at: datetime


class ReleaseTurn(msgspec.Struct, frozen=True, kw_only=True):
    """The owner stops, and leaves the turn to another process."""

    turn_id: str
    owner: int | None = None
    partial_text: str = ""
    spent: Spent = Spent()


class RecordOpening(msgspec.Struct, frozen=True, kw_only=True):
    """The model has opened the conversation.

    Here and in other commands that end a turn, `owner` is the process that asked the model; None
    for an end by somebody else.
    """

    turn_id: str
    objectives: tuple[str, ...]
    starting_prompt: str
    starting_message_id: str
    message_id: str
    text: str
    reply: ReplyRecord
    owner: int | None = None


class PostMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Post a message in the active conversation and ask the model to answer.

    `if_revision` are the revisions at which the conversation may be; None for any.
    """

    conversation_id: int
    turn_id: str
    message_id: str
    text: str
    model: str
    owner: int
    deadline_at: datetime
    if_revision: frozenset[int] | None = None


class RetryMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the model again for an answer to the newest message, which has none.

    `retried_turn_id` is the turn that ended without it.
    """

    conversation_id: int
    turn_id: str
    retried_turn_id: str
    model: str
    owner: int
    deadline_at: datetime


class RecordReply(msgspec.Struct, frozen=True, kw_only=True):
    """The model has answered."""

    turn_id: str
    message_id: str
    text: str
    reply: ReplyRecord
    assessment: Assessment = None
    owner: int | None = None


class FailTurn(msgspec.Struct, frozen=True, kw_only=True):
    """The model has not answered, or the turn was abandoned."""

    turn_id: str
    failure: Failure
    assessment: Assessment = None
    owner: int | None = None


class CancelTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A person has stopped the reply. `partial_message_id` is the id of the partial text."""

    turn_id: str
    reason: Literal["conversation_completed", "requested"]
    partial_text: str = ""
    partial_message_id: str | None = None
    spent: Spent = Spent()
    assessment: Assessment = None


class RecordAssessment(msgspec.Struct, frozen=True, kw_only=True):
    """The objectives were judged after the reply had been recorded."""

    conversation_id: int
    turn_id: str
    assessment: Assessed | Failure


class CompleteConversation(msgspec.Struct, frozen=True, kw_only=True):
    """End the active conversation."""

    conversation_id: int


Question = OpenConversation | PostMessage | RetryMessage
"""What begins a turn."""

Command = (
    OpenConversation
    | TakeOverTurn
    | ReleaseTurn
    | RecordOpening
    | PostMessage
    | RetryMessage
    | RecordReply
    | FailTurn
    | CancelTurn
    | RecordAssessment
    | CompleteConversation
)
