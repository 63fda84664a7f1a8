"""A replay is what the learner was answered at that moment, recorded while it happened."""

from typing import Any

import msgspec
import pytest

from eventstore.connections import AccountPool
from eventstore.log import EventLog
from service.audit.replay import Seen, find_opening, replay
from service.shown import shown_active, shown_conversation
from sql.loader import query
from tests.eventstore.building import append, history

ACCOUNT = 1


async def seen_at(pool: AccountPool, conversation_id: int, position: int) -> Seen:
    opened = await find_opening(pool, ACCOUNT, conversation_id)
    assert opened is not None
    return await replay(pool, ACCOUNT, conversation_id, opened, position)


async def answered_now(pool: AccountPool, number: int, user: int, experience: int) -> Seen:
    """What the handlers' statements answer at this moment, on the views that everybody reads."""
    row = await pool.fetchrow(ACCOUNT, query("get_conversation"), ACCOUNT, number, user)
    active = await pool.fetchrow(
        ACCOUNT,
        query("get_active_conversation"),
        *(ACCOUNT, None, user, 1, experience, False),
    )
    assert active is not None
    found = msgspec.json.decode(shown_active(active, string_ids=False))
    shown = row and msgspec.json.decode(
        msgspec.json.encode(shown_conversation(row, user, string_ids=False))
    )
    return Seen(
        conversation=shown or None,
        active=found if found.get("id") == number else None,
        user_name=None,
    )


@pytest.mark.parametrize("seed", range(1, 5))
async def test_any_history_replays_at_each_position_as_it_was_read_there(
    log: EventLog, log_parts: Any, seed: int
) -> None:
    _, pool, _ = log_parts
    read: dict[tuple[int, int], Seen] = {}
    known: dict[int, tuple[int, int]] = {}
    for step in history(seed, steps=60):
        await append(log, step.stream, *step.events)
        head = await log.head(ACCOUNT)
        for new in step.events:
            number = getattr(new.event, "conversation_id", None)
            if number is not None and hasattr(new.event, "experience_id"):
                known[number] = (new.event.user_id, new.event.experience_id)
        touched = {getattr(new.event, "conversation_id", None) for new in step.events} & set(known)
        for number in touched:
            read[number, head] = await answered_now(pool, number, *known[number])
    assert len(read) > 40
    for (number, position), answer in read.items():
        seen = await seen_at(pool, number, position)
        assert (seen.conversation, seen.active) == (answer.conversation, answer.active)
