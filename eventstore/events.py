"""Every kind of event that the log holds.

An event type is permanent: its name ends in a version, fields are only ever added and then
with a default, and a changed meaning is a new version with an upcaster (`eventstore.codec`).
`tests/eventstore/golden` keeps one stored example of each.

No field holds personal text. What people and models wrote is the event's *content*, kept
apart from it; the comment beside each type says what its content is.
"""

from datetime import datetime
from typing import Literal

import msgspec

from eventstore.event import DialogueEvent, Event
from eventstore.privacy_events import AnyPrivacyEvent
from eventstore.provider_values import Count


class TurnEvent(DialogueEvent, frozen=True, kw_only=True):
    """An event of one turn: the model being asked to speak, or the end of that."""

    turn_id: str


class Usage(msgspec.Struct, frozen=True):
    """Tokens that a reply took; the input is the sum of the three input figures."""

    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_creation_input_tokens: Count = 0
    cache_read_input_tokens: Count = 0


class PromptVersion(msgspec.Struct, frozen=True):
    """Which prompt template a reply was made with: file name and SHA-256 of its bytes (hex)."""

    name: str
    sha256: str


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a model. `outcome` is "completed" or the code of what went wrong.

    `cost_microusd` is in millionths of a US dollar, None where the price or the tokens are
    unknown; `waited_ms` the pause that was made before the request.
    """

    model: str
    outcome: str
    detail: str = ""
    usage: Usage | None = None
    cost_microusd: int | None = None
    provider_request_id: str | None = None
    duration_ms: int | None = None
    waited_ms: int = 0


class ContextRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a long conversation the model was given.

    `messages_left_out` counts those between the opening and the last ones that were kept.
    """

    messages_sent: int
    messages_left_out: int
    estimated_tokens: int


class ReplyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What an auditor needs to judge how an answer of a model came about.

    `cost_microusd` sums up all attempts, in millionths of a US dollar; None where the price of
    one is unknown. `price_version` names the price table.
    """

    model_requested: str
    model: str
    max_tokens: int
    prompt: PromptVersion
    stop_reason: str
    usage: Usage
    provider_request_id: str | None
    first_token_ms: int | None
    duration_ms: int
    attempts: int = 1
    attempt_records: tuple[AttemptRecord, ...] = ()
    fallback: bool = False
    price_version: str | None = None
    cost_microusd: int | None = None
    context: ContextRecord | None = None


class UnansweredTurn(TurnEvent, frozen=True, kw_only=True):
    """The end of a turn in which the model gave no answer: why, and what it took all the same."""

    code: str
    detail: str = ""
    retryable: bool = True
    retry_after: float | None = None
    model: str | None = None
    usage: Usage | None = None
    provider_request_id: str | None = None
    duration_ms: int | None = None
    attempt_records: tuple[AttemptRecord, ...] = ()
    price_version: str | None = None
    cost_microusd: int | None = None


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
    """The model did not open the conversation. Content: what had arrived of it, if anything."""


class ConversationStarted(TurnEvent, frozen=True, kw_only=True, tag="conversation_started.v1"):
    """The model opened the conversation. Content: the opening."""

    course_id: int
    experience_id: int
    experience_version: int
    user_id: int
    objectives: tuple[str, ...]
    starting_prompt: str
    starting_message_id: str
    message_id: str
    reply: ReplyRecord


class MessagePosted(TurnEvent, frozen=True, kw_only=True, tag="message_posted.v1"):
    """A learner said something; the model was asked to answer. Content: the message."""

    message_id: str
    course_id: int
    experience_id: int
    user_id: int
    model: str
    owner: int
    deadline_at: datetime


class ReplyCompleted(TurnEvent, frozen=True, kw_only=True, tag="reply_completed.v1"):
    """The model answered. Content: the reply."""

    message_id: str
    reply: ReplyRecord


class ReplyFailed(UnansweredTurn, frozen=True, kw_only=True, tag="reply_failed.v1"):
    """The model did not answer. Content: what had arrived of it, if anything."""


class ReplyCancelled(TurnEvent, frozen=True, kw_only=True, tag="reply_cancelled.v1"):
    """A person ended the turn before the model had. Content: what had arrived, if anything."""

    reason: Literal["conversation_completed", "requested"]
    model: str | None = None
    usage: Usage | None = None
    provider_request_id: str | None = None
    duration_ms: int | None = None
    attempt_records: tuple[AttemptRecord, ...] = ()
    price_version: str | None = None
    cost_microusd: int | None = None


class CoveredObjective(msgspec.Struct, frozen=True):
    """An objective, counted from 1, and the id of the learner's message that shows it."""

    objective: int
    message_id: str


class ObjectivesAssessed(TurnEvent, frozen=True, kw_only=True, tag="objectives_assessed.v1"):
    """A model judged which further objectives the learner has covered; it may be none."""

    covered: tuple[CoveredObjective, ...]
    judgement: ReplyRecord


class AssessmentFailed(UnansweredTurn, frozen=True, kw_only=True, tag="assessment_failed.v1"):
    """Nobody judged the objectives after this turn's message; the reply does not depend on it."""


class EvaluationRequested(TurnEvent, frozen=True, kw_only=True, tag="evaluation_requested.v1"):
    """A manager asked for an evaluation of a conversation; `turn_id` is the evaluation's id.

    `experience_version` is the experience as it was then, `user_id` the learner.
    """

    course_id: int
    experience_id: int
    experience_version: int
    user_id: int
    model: str
    owner: int
    deadline_at: datetime


class EvaluationRecorded(TurnEvent, frozen=True, kw_only=True, tag="evaluation_recorded.v1"):
    """A model evaluated the conversation. Content: the evaluation as JSON."""

    experience_version: int
    judgement: ReplyRecord


class EvaluationFailed(UnansweredTurn, frozen=True, kw_only=True, tag="evaluation_failed.v1"):
    """The model gave no evaluation that could be used."""


class ConversationCompleted(
    DialogueEvent, frozen=True, kw_only=True, tag="conversation_completed.v1"
):
    """The conversation takes no more messages."""

    reason: Literal["superseded", "deleted"]


class WholeExperience(Event, frozen=True, kw_only=True):
    """All fields of an AI experience. Objectives stand one a line."""

    experience_id: int
    course_id: int
    title: str
    description: str
    facts: str
    learning_objective: str
    pedagogical_guidance: str
    workflow_state: Literal["published", "unpublished"]


class ExperienceCreated(WholeExperience, frozen=True, kw_only=True, tag="experience_created.v1"):
    """A course got a new AI experience."""


class ExperienceEdited(WholeExperience, frozen=True, kw_only=True, tag="experience_edited.v1"):
    """A manager changed an AI experience: all its fields as they are from here on.

    Conversations that have begun keep the version that they started with.
    """


class ExperienceDeleted(Event, frozen=True, kw_only=True, tag="experience_deleted.v1"):
    """A manager took an AI experience away. Its conversations stay in the log."""

    experience_id: int
    course_id: int


class FeedbackGiven(DialogueEvent, frozen=True, kw_only=True, tag="feedback_given.v1"):
    """Somebody voted on a message of the model; it replaces their earlier vote on it.

    Content: the words that they added, if any.
    """

    feedback_id: str
    message_id: str
    user_id: int
    vote: Literal["liked", "disliked"]


class FeedbackWithdrawn(DialogueEvent, frozen=True, kw_only=True, tag="feedback_withdrawn.v1"):
    """A vote was taken back."""

    feedback_id: str
    message_id: str
    user_id: int


AnyDialogueEvent = (
    OpeningRequested
    | OpeningFailed
    | ConversationStarted
    | MessagePosted
    | ReplyCompleted
    | ReplyFailed
    | ReplyCancelled
    | ObjectivesAssessed
    | AssessmentFailed
    | FeedbackGiven
    | FeedbackWithdrawn
    | ConversationCompleted
)
AnyEvaluationEvent = EvaluationRequested | EvaluationRecorded | EvaluationFailed
AnyExperienceEvent = ExperienceCreated | ExperienceEdited | ExperienceDeleted
AnyEvent = AnyDialogueEvent | AnyEvaluationEvent | AnyExperienceEvent | AnyPrivacyEvent


def type_name(event: AnyEvent) -> str:
    """The event's type as stored, such as ``message_posted.v1``."""
    return str(event.__struct_config__.tag)
