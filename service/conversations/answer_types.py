"""What the conversations' endpoints answer with."""

from typing import Any, Literal

import msgspec

from service.json_values import Id


class FeedbackAnswer(msgspec.Struct, frozen=True):
    """A vote as the contract has it."""

    id: str
    vote: str
    user_id: Id
    feedback_message: str | None
    created_at: str


class MessageAnswer(msgspec.Struct, frozen=True):
    """A message as the contract has it.

    A reply that breaks off has `incomplete`, and `code` says why. A learner's message without an
    answer has a `state`: the model gave none (unanswered), or somebody ended the turn (stopped).
    Then `code` says why, and `turn_id` is the turn to retry; `retryable` is false where the model
    would give none again.
    """

    id: str
    role: str
    text: str | None
    created_at: str
    feedback: tuple[FeedbackAnswer, ...] = ()
    incomplete: Literal[True] | msgspec.UnsetType = msgspec.UNSET
    state: Literal["unanswered", "stopped"] | msgspec.UnsetType = msgspec.UNSET
    code: str | msgspec.UnsetType = msgspec.UNSET
    retryable: bool | msgspec.UnsetType = msgspec.UNSET
    turn_id: str | msgspec.UnsetType = msgspec.UNSET


class ObjectiveAnswer(msgspec.Struct, frozen=True):
    """One learning objective; `status` is empty or "covered"."""

    objective: str
    status: str = ""


class ProgressAnswer(msgspec.Struct, frozen=True):
    """How many of the objectives are covered."""

    current: int
    total: int
    percentage: int
    objectives: tuple[ObjectiveAnswer, ...]


class ConversationAnswer(msgspec.Struct, frozen=True):
    """The active conversation as the contract has it."""

    id: Id
    messages: tuple[MessageAnswer, ...]
    progress: ProgressAnswer | None


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
    has_conversation: Literal[True] = True


class ListedStudent(msgspec.Struct, frozen=True, kw_only=True):
    """A student who has had no conversation."""

    id: None = None
    user_id: str
    student: StudentAnswer
    has_conversation: Literal[False] = False


class StudentConversations(msgspec.Struct, frozen=True):
    """One page of the course's students, each with their latest conversation, if they had one."""

    conversations: tuple[Any, ...]  # msgspec reads no union of two structs without tags


class FeedbackGivenAnswer(msgspec.Struct, frozen=True):
    """The vote as it stands now."""

    feedback: FeedbackAnswer


class SuccessAnswer(msgspec.Struct, frozen=True):
    """It is done."""

    success: Literal[True] = True
