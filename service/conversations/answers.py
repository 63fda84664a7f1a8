"""A conversation as clients get it, made of the state or of rows of the views."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
from aiohttp import web

from service import errors
from service.dialogue.state import Conversation, Dialogue, Feedback
from service.http.error_responses import error_body
from service.http.etags import entity_tag
from service.http.request_keys import ACCESS, REQUEST_ID
from service.http.responses import raw_response, timestamp, wants_string_ids


class FeedbackAnswer(msgspec.Struct, frozen=True):
    """A vote as the contract has it."""

    id: str
    vote: str
    user_id: int | str
    feedback_message: str | None
    created_at: str


class MessageAnswer(msgspec.Struct, frozen=True):
    """A message as the contract has it."""

    id: str
    role: str
    text: str | None
    created_at: str
    feedback: tuple[FeedbackAnswer, ...] = ()


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

    id: int | str
    messages: tuple[MessageAnswer, ...]
    progress: ProgressAnswer | None


def conversation_answer(
    request: web.Request, conversation: Conversation | None, status: int
) -> web.Response:
    """The answer that shows a whole conversation.

    Raises:
        NotFound: There is none.
    """
    if conversation is None:
        raise errors.NotFound
    tag = entity_tag(request, conversation.id, conversation.revision)
    return raw_response(_encoded(request, conversation), status, {"ETag": tag})


def stream_ending(request: web.Request, outcome: Dialogue | Exception) -> tuple[str, bytes]:
    """Name and JSON of a turn's last server-sent event: what a plain request is answered with."""
    if isinstance(outcome, Dialogue) and outcome.active:
        return "done", _encoded(request, outcome.active)
    error = outcome if isinstance(outcome, Exception) else errors.NotFound()
    return "error", error_body(error, request[REQUEST_ID])[1]


def _encoded(request: web.Request, conversation: Conversation) -> bytes:
    return _encoder.encode(
        ConversationAnswer(
            id=str(conversation.id) if wants_string_ids(request) else conversation.id,
            messages=tuple(
                MessageAnswer(
                    m.id,
                    m.role,
                    m.text,
                    timestamp(m.created_at),
                    _own_feedback(request, conversation, m.id),
                )
                for m in conversation.messages
            ),
            progress=_progress(conversation),
        )
    )


def _own_feedback(
    request: web.Request, conversation: Conversation, message_id: str
) -> tuple[FeedbackAnswer, ...]:
    """The caller's own votes on a message."""
    if not conversation.feedback:
        return ()
    user_id = request[ACCESS].user_id
    return tuple(
        feedback_answer(request, vote)
        for vote in conversation.feedback
        if (vote.message_id, vote.user_id) == (message_id, user_id)
    )


def feedback_answer(request: web.Request, vote: Feedback) -> FeedbackAnswer:
    """A vote as this client reads it."""
    user_id = str(vote.user_id) if wants_string_ids(request) else vote.user_id
    return FeedbackAnswer(vote.id, vote.vote, user_id, vote.text, timestamp(vote.created_at))


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


class _MessageRow(msgspec.Struct, frozen=True):
    """A message as `get_conversation.sql` has it."""

    id: str
    role: str
    text: str | None
    created_at: datetime
    feedback_id: str | None
    vote: str | None
    feedback_message: str | None
    voted_at: datetime | None


_encoder = msgspec.json.Encoder()
_messages = msgspec.json.Decoder(list[_MessageRow])


def conversation_of_row(row: asyncpg.Record, viewer: int, *, string_ids: bool) -> dict[str, Any]:
    """A conversation with all messages, of a row of `get_conversation.sql`.

    Args:
        viewer: The user whose votes the row has.
    """
    said = _messages.decode(row["messages"])
    return summary_of_row(row, string_ids=string_ids) | {
        "messages": [_message(one, str(viewer) if string_ids else viewer) for one in said]
    }


def summary_of_row(row: asyncpg.Record, *, string_ids: bool) -> dict[str, Any]:
    """A conversation without what was said."""
    kind = str if string_ids else int
    return {
        "id": kind(row["conversation_id"]),
        "user_id": str(row["user_id"]),
        "workflow_state": row["workflow_state"],
        "all_objectives_met": row["all_objectives_met"],
        "created_at": timestamp(row["created_at"]),
        "updated_at": timestamp(row["updated_at"]),
        "progress": msgspec.Raw((row["progress"] or "null").encode()),
    }


def active_conversation_json(row: asyncpg.Record, *, string_ids: bool) -> bytes:
    """The active conversation, of a row of `get_active_conversation.sql`, as JSON."""
    if row["conversation_id"] is None:
        return b"{}"
    quote = '"' if string_ids else ""
    body = (
        f'{{"id":{quote}{row["conversation_id"]}{quote},'
        f'"messages":[{row["messages"]}],"progress":{row["progress"] or "null"}}}'
    )
    return body.encode()


def _message(said: _MessageRow, viewer: int | str) -> dict[str, Any]:
    votes = []
    if said.voted_at is not None:
        votes.append(
            {
                "id": said.feedback_id,
                "vote": said.vote,
                "user_id": viewer,
                "feedback_message": said.feedback_message,
                "created_at": timestamp(said.voted_at.astimezone(UTC)),
            }
        )
    return {
        "id": said.id,
        "role": said.role,
        "text": said.text,
        "created_at": timestamp(said.created_at.astimezone(UTC)),
        "feedback": votes,
    }
