"""Answers that handlers build field by field, and all errors, as types.

Tests decode real answers with these, no field more or less, so the description cannot drift.
"""

from typing import Any, Literal

import msgspec

from service.conversations.answers import FeedbackAnswer, MessageAnswer, ProgressAnswer
from service.model.judgements import Evaluation
from service.privacy.erasure import Erased

Id = int | str


class NoConversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is no active conversation: an empty object."""


class CompletedAnswer(msgspec.Struct, frozen=True):
    """The conversation is over."""

    message: Literal["Conversation completed successfully"]


class StudentAnswer(msgspec.Struct, frozen=True):
    """A student of the course."""

    id: Id
    name: str


class ConversationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation, active or completed, without what was said."""

    id: Id
    user_id: str
    workflow_state: Literal["active", "completed"]
    all_objectives_met: bool
    created_at: str
    updated_at: str
    progress: ProgressAnswer | None


class ConversationDetail(ConversationFacts, frozen=True, kw_only=True):
    """A conversation, active or completed, with all messages."""

    messages: tuple[MessageAnswer, ...]


class StudentConversation(ConversationDetail, frozen=True, kw_only=True):
    """A student's conversation with all messages."""

    student: StudentAnswer


class ListedConversation(ConversationFacts, frozen=True, kw_only=True):
    """A student and their latest conversation."""

    student: StudentAnswer
    has_conversation: Literal[True]


class ListedStudent(msgspec.Struct, frozen=True, kw_only=True):
    """A student who has had no conversation."""

    id: None
    user_id: str
    student: StudentAnswer
    has_conversation: Literal[False]


class StudentConversations(msgspec.Struct, frozen=True):
    """One page of the course's students, each with their latest conversation."""

    conversations: tuple[dict[str, Any], ...]


class FeedbackGivenAnswer(msgspec.Struct, frozen=True):
    """The vote as it stands now."""

    feedback: FeedbackAnswer


class SuccessAnswer(msgspec.Struct, frozen=True):
    """It is done."""

    success: Literal[True]


class LearnersExperience(msgspec.Struct, frozen=True, kw_only=True):
    """An experience as learners see it."""

    id: Id
    course_id: Id
    title: str
    description: str
    learning_objective: str
    workflow_state: Literal["published"]
    submission_status: Literal["not_started", "in_progress", "submitted"]


class ManagersExperience(msgspec.Struct, frozen=True, kw_only=True):
    """An experience as managers of the course see it."""

    id: Id
    course_id: Id
    title: str
    description: str
    facts: str
    learning_objective: str
    pedagogical_guidance: str
    workflow_state: Literal["published", "unpublished", "deleted"]


class EvaluationAnswer(msgspec.Struct, frozen=True):
    """What a model judged the conversation to be."""

    id: Id
    evaluation: Evaluation


class LatestEvaluation(msgspec.Struct, frozen=True):
    """The latest evaluation, if any; `stale`: the experience was edited since."""

    id: Id
    evaluation: Evaluation | None
    stale: bool


class ErasedAnswer(msgspec.Struct, frozen=True):
    """How much was removed of the learner; all 0 where there was nothing left."""

    erased: Erased


class Said(msgspec.Struct, frozen=True):
    """One sentence about what is wrong."""

    message: str


class Problem(msgspec.Struct, frozen=True):
    """What is wrong, in a sentence."""

    error: str
    reference_id: str


class FieldProblems(msgspec.Struct, frozen=True):
    """What is wrong, field by field."""

    errors: dict[str, tuple[Said, ...]]
    reference_id: str


class CodedProblem(msgspec.Struct, frozen=True):
    """What is wrong, in a sentence fit for a learner, with a code and whether to try again."""

    error: str
    code: str
    retryable: bool
    reference_id: str


class TurnProblem(CodedProblem, frozen=True, kw_only=True):
    """A reply is under way; `turn_id` names its turn."""

    turn_id: str


class HoldProblem(CodedProblem, frozen=True, kw_only=True):
    """Legal holds cover the learner; `holds` are their numbers."""

    holds: tuple[int, ...]


class NoToken(msgspec.Struct, frozen=True, kw_only=True):
    """There is no token."""

    status: Literal["unauthenticated"]
    errors: tuple[Said, ...]
    reference_id: str


class BadToken(msgspec.Struct, frozen=True):
    """The token is wrong, expired, or without the scope."""

    errors: tuple[Said, ...]
    reference_id: str


class Forbidden(msgspec.Struct, frozen=True, kw_only=True):
    """The token's user may not."""

    status: Literal["unauthorized"]
    errors: tuple[Said, ...]
    reference_id: str
