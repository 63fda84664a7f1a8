"""A conversation as its learner saw it at a position of the log.

The statements of the live projections fill temporary tables of a transaction, and the statements
that answer the learner read these. So the result is the answer that the learner got.
"""

from typing import Any

import msgspec

from eventstore.connections import AccountPool
from service.conversations.answers import active_conversation, conversation_detail
from service.json_values import NUMBER_IDS
from sql.loader import in_replay, query


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation's owner, course and experience; `position` is where it began."""

    position: int
    course_id: int
    experience_id: int
    experience_version: int
    user_id: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to the learner's requests at a position.

    `conversation` is None before it began (the learner got a 404). `active` is None while it was
    not the learner's active conversation.
    """

    conversation: dict[str, Any] | None
    active: dict[str, Any] | None
    user_name: str | None


_opened = msgspec.json.Decoder(dict[str, Any])


async def find_opening(pool: AccountPool, account_id: int, conversation_id: int) -> Opened | None:
    """The beginning of a conversation; None if it does not exist."""
    row = await pool.fetchrow(account_id, query("find_opening"), account_id, conversation_id)
    if row is None:
        return None
    stored = _opened.decode(row["data"]) | {"position": row["position"]}
    return msgspec.convert(stored, Opened)


async def replay(
    pool: AccountPool, account_id: int, conversation_id: int, opened: Opened, upto: int
) -> Seen:
    """What the learner saw at position `upto`.

    Raises:
        asyncpg.SerializationError: A view is being replaced; try again.
    """
    async with pool.acquire(account_id) as connection, connection.transaction():
        await connection.execute(query("replay_conversation"), account_id, conversation_id, upto)
        row = await connection.fetchrow(
            in_replay(query("get_conversation")), account_id, conversation_id, opened.user_id
        )
        active = await connection.fetchrow(
            in_replay(query("get_active_conversation")),
            *(account_id, None, opened.user_id, opened.course_id, opened.experience_id),
        )
    assert active is not None, "the statement gives one row"
    return Seen(
        conversation=_plain(conversation_detail(row)) if row else None,
        active=_plain(active_conversation(active)) or None,
        user_name=row["user_name"] if row else None,
    )


def _plain(answer: msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.json.decode(NUMBER_IDS.encode(answer))
    return plain
