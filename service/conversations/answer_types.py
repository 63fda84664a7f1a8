"""What the conversations' endpoints answer with beside the active conversation."""

from typing import Any, Literal

import msgspec

from service.conversations.answers import FeedbackAnswer, MessageAnswer, ProgressAnswer
from service.http.responses import Id


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
