"""A conversation as clients get it, made of the state or of rows of the views."""

from typing import Any

import asyncpg
import msgspec

from service.conversations.answer_types import (
    ConversationAnswer,
    ConversationDetail,
    FeedbackAnswer,
    ListedConversation,
    ListedStudent,
    MessageAnswer,
    NoConversation,
    ObjectiveAnswer,
    ProgressAnswer,
    StudentAnswer,
    StudentConversation,
)
from service.dialogue.messages import Message
from service.dialogue.state import Conversation, Feedback
from service.json_values import Id, read_id, stored_json, timestamp

_messages = msgspec.json.Decoder(tuple[MessageAnswer, ...], dec_hook=read_id)


def conversation_of_state(conversation: Conversation, viewer: int) -> ConversationAnswer:
    """The active conversation, as its dialogue has it.

    Args:
        viewer: The user whose votes are shown.
    """
    votes: dict[str, tuple[FeedbackAnswer, ...]] = {}
    for vote in conversation.feedback:
        if vote.user_id == viewer:
            votes[vote.message_id] = (*votes.get(vote.message_id, ()), feedback_answer(vote))
    return ConversationAnswer(
        id=Id(conversation.id),
        messages=tuple(
            _message(message, votes.get(message.id, ())) for message in conversation.messages
        ),
        progress=_progress(conversation),
    )


def _message(message: Message, votes: tuple[FeedbackAnswer, ...]) -> MessageAnswer:
    answer = MessageAnswer(
        message.id, message.role, message.text, timestamp(message.created_at), votes
    )
    if message.state is None or message.code is None:
        return answer
    if message.state == "incomplete":
        return msgspec.structs.replace(answer, incomplete=True, code=message.code)
    return msgspec.structs.replace(
        answer,
        state=message.state,
        code=message.code,
        retryable=bool(message.retryable),
        turn_id=message.turn_id,
    )


def feedback_answer(vote: Feedback) -> FeedbackAnswer:
    """A vote as clients get it."""
    return FeedbackAnswer(
        vote.id, vote.vote, Id(vote.user_id), vote.text, timestamp(vote.created_at)
    )


def _progress(conversation: Conversation) -> ProgressAnswer | None:
    total = len(conversation.objectives)
    if not total:
        return None
    still_open = conversation.open_objectives
    current = total - len(still_open)
    return ProgressAnswer(
        current=current,
        total=total,
        percentage=(200 * current + total) // (2 * total),  # rounded half up, as the view does
        objectives=tuple(
            ObjectiveAnswer(objective, "" if number in still_open else "covered")
            for number, objective in enumerate(conversation.objectives, 1)
        ),
    )


def active_conversation(row: asyncpg.Record) -> ConversationAnswer | NoConversation:
    """The active conversation, of a row of `get_active_conversation.sql`."""
    if row["conversation_id"] is None:
        return NoConversation()
    return ConversationAnswer(
        Id(row["conversation_id"]), _messages_of(row), stored_json(row["progress"])
    )


def conversation_detail(row: asyncpg.Record) -> ConversationDetail:
    """A conversation with all messages, of a row of `get_conversation.sql`."""
    return ConversationDetail(**_facts(row), messages=_messages_of(row))


def student_conversation(row: asyncpg.Record) -> StudentConversation:
    """The same with the student."""
    return StudentConversation(**_facts(row), messages=_messages_of(row), student=_student(row))


def listed_student(row: asyncpg.Record) -> ListedConversation | ListedStudent:
    """A student with their latest conversation, of a row of `list_student_conversations.sql`."""
    if row["conversation_id"] is None:
        return ListedStudent(user_id=str(row["user_id"]), student=_student(row))
    return ListedConversation(**_facts(row), student=_student(row))


def _messages_of(row: asyncpg.Record) -> Any:
    """The messages, which the statement has put together; votes have ids, and so are read."""
    text = f"[{row['messages'] or ''}]"
    return _messages.decode(text) if row["voted"] else stored_json(text)


def _student(row: asyncpg.Record) -> StudentAnswer:
    return StudentAnswer(Id(row["user_id"]), row["user_name"])


def _facts(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": Id(row["conversation_id"]),
        "user_id": str(row["user_id"]),
        "workflow_state": row["workflow_state"],
        "all_objectives_met": row["all_objectives_met"],
        "created_at": timestamp(row["created_at"]),
        "updated_at": timestamp(row["updated_at"]),
        "progress": stored_json(row["progress"]),
    }
