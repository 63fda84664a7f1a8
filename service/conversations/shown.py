"""Conversations as clients are shown them, made of the rows of the queries that read the views."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec

from service.http.responses import timestamp


class _Said(msgspec.Struct, frozen=True):
    """A message as `get_conversation.sql` has it."""

    id: str
    role: str
    text: str | None
    created_at: datetime
    feedback_id: str | None
    vote: str | None
    feedback_message: str | None
    voted_at: datetime | None


_messages = msgspec.json.Decoder(list[_Said])


def shown_conversation(row: asyncpg.Record, viewer: int, *, string_ids: bool) -> dict[str, Any]:
    """A conversation with all messages, of a row of `get_conversation.sql`.

    Args:
        viewer: The user whose votes the row has.
    """
    said = _messages.decode(row["messages"])
    return shown_facts(row, string_ids=string_ids) | {
        "messages": [_message(one, str(viewer) if string_ids else viewer) for one in said]
    }


def shown_facts(row: asyncpg.Record, *, string_ids: bool) -> dict[str, Any]:
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


def shown_active(row: asyncpg.Record, *, string_ids: bool) -> bytes:
    """The active conversation, of a row of `get_active_conversation.sql`, as JSON."""
    if row["conversation_id"] is None:
        return b"{}"
    quote = '"' if string_ids else ""
    body = (
        f'{{"id":{quote}{row["conversation_id"]}{quote},'
        f'"messages":[{row["messages"]}],"progress":{row["progress"] or "null"}}}'
    )
    return body.encode()


def _message(said: _Said, viewer: int | str) -> dict[str, Any]:
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
