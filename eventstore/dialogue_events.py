"""Events of dialogue streams: openings, messages, replies, objectives, feedback."""

from datetime import datetime
from typing import Literal

import msgspec

from eventstore.event import DialogueEvent
from eventstore.privacy_events import TextExpired
from eventstore.reply_records import AttemptRecord, ReplyRecord, Usage
from eventstore.turn_events import TurnEvent, UnansweredTurn


class OpeningRequested(TurnEvent, frozen=True, kw_only=True, tag="opening_requested.v1"):
    """A learner asked for a new conversation; the model was asked to speak first."""

    course_id: int
    experience_id: int
    experience_version: int
    user_id: int
    model: str
    owner: int
    deadline_at: datetime
    starting_message_id: str | None = None


class OpeningFailed(UnansweredTurn, frozen=True, kw_only=True, tag="opening_failed.v1"):
    """The model did not open the conversation. Content: the partial text, if any."""


class ConversationStarted(TurnEvent, frozen=True, kw_only=True, tag="conversation_started.v1"):
    """The model opened the conversation. Content: the opening.

    `takeovers` counts how often the turn went to another process.
    """

    course_id: int
    experience_id: int
    experience_version: int
    user_id: int
    objectives: tuple[str, ...]
    starting_prompt: str
    starting_message_id: str
    message_id: str
    reply: ReplyRecord
    takeovers: int = 0


class MessagePosted(TurnEvent, frozen=True, kw_only=True, tag="message_posted.v1"):
    """A learner sent a message; the model was asked to answer. Content: the message."""

    message_id: str
    course_id: int
    experience_id: int
    user_id: int
    model: str
    owner: int
    deadline_at: datetime


class MessageRetried(TurnEvent, frozen=True, kw_only=True, tag="message_retried.v1"):
    """A learner asked again for an answer to a message that had none.

    `retried_turn_id` is the turn that ended without the answer.
    """

    message_id: str
    retried_turn_id: str
    course_id: int
    experience_id: int
    user_id: int
    model: str
    owner: int
    deadline_at: datetime


class TurnTakenOver(TurnEvent, frozen=True, kw_only=True, tag="turn_taken_over.v1"):
    """A process asks the model anew, since nobody owns the turn any more. `number` is from 1."""

    kind: Literal["opening", "message"]
    owner: int
    deadline_at: datetime
    number: int


class TurnReleased(TurnEvent, frozen=True, kw_only=True, tag="turn_released.v1"):
    """The owner of the turn stops, and leaves it to another process. Content: the partial text."""

    kind: Literal["opening", "message"]
    owner: int
    model: str | None = None
    usage: Usage | None = None
    provider_request_id: str | None = None
    duration_ms: int | None = None
    attempt_records: tuple[AttemptRecord, ...] = ()
    price_version: str | None = None
    cost_microusd: int | None = None


class ReplyCompleted(TurnEvent, frozen=True, kw_only=True, tag="reply_completed.v1"):
    """The model answered. Content: the reply.

    `answers` are the ids of earlier messages without an answer, which the model got together with
    that of the turn. `takeovers` counts how often the turn went to another process.
    """

    message_id: str
    reply: ReplyRecord
    answers: tuple[str, ...] = ()
    takeovers: int = 0


class ReplyFailed(UnansweredTurn, frozen=True, kw_only=True, tag="reply_failed.v1"):
    """The model did not answer. Content: the partial text, if any.

    `kept`: the message stays in the conversation. Earlier releases took it back.
    """

    kept: bool = False


class ReplyCancelled(TurnEvent, frozen=True, kw_only=True, tag="reply_cancelled.v1"):
    """A person ended the turn before the model did. Content: the partial text, if any.

    `kept`: the message stays in the conversation, and so does the partial text, as the message
    `partial_message_id`. Earlier releases took both back.
    """

    reason: Literal["conversation_completed", "requested"]
    kept: bool = False
    partial_message_id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    provider_request_id: str | None = None
    duration_ms: int | None = None
    attempt_records: tuple[AttemptRecord, ...] = ()
    price_version: str | None = None
    cost_microusd: int | None = None


class CoveredObjective(msgspec.Struct, frozen=True):
    """An objective, counted from 1, and the id of the learner's message that covers it."""

    objective: int
    message_id: str


class ObjectivesAssessed(TurnEvent, frozen=True, kw_only=True, tag="objectives_assessed.v1"):
    """A model judged which further objectives the learner has covered; possibly none."""

    covered: tuple[CoveredObjective, ...]
    judgement: ReplyRecord


class AssessmentFailed(UnansweredTurn, frozen=True, kw_only=True, tag="assessment_failed.v1"):
    """The objectives were not judged after this turn's message; the reply is unaffected."""


class ConversationCompleted(
    DialogueEvent, frozen=True, kw_only=True, tag="conversation_completed.v1"
):
    """The conversation takes no more messages."""

    reason: Literal["superseded", "deleted"]


class FeedbackGiven(DialogueEvent, frozen=True, kw_only=True, tag="feedback_given.v1"):
    """A user voted on a message of the model; the vote replaces their earlier one.

    Content: the user's comment, if any.
    """

    feedback_id: str
    message_id: str
    user_id: int
    vote: Literal["liked", "disliked"]


class FeedbackWithdrawn(DialogueEvent, frozen=True, kw_only=True, tag="feedback_withdrawn.v1"):
    """A user withdrew their vote on a message."""

    feedback_id: str
    message_id: str
    user_id: int


AnyDialogueEvent = (
    OpeningRequested
    | OpeningFailed
    | ConversationStarted
    | MessagePosted
    | MessageRetried
    | TurnTakenOver
    | TurnReleased
    | ReplyCompleted
    | ReplyFailed
    | ReplyCancelled
    | ObjectivesAssessed
    | AssessmentFailed
    | FeedbackGiven
    | FeedbackWithdrawn
    | ConversationCompleted
)

LearnersTurn = MessagePosted | MessageRetried
"""The events that ask the model to answer a learner's message."""

TurnRequest = OpeningRequested | LearnersTurn
"""The events that begin a turn of a dialogue."""

DialogueStreamEvent = AnyDialogueEvent | TextExpired
"""Every event that a dialogue's stream can hold."""
