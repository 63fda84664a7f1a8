"""A replay equals the answers to the learner, which were recorded at each position."""

from typing import Any

import asyncpg
import msgspec
import pytest

from eventstore.connections import AccountPool, Connection
from eventstore.dialogue_events import OpeningRequested
from eventstore.log import EventLog
from service.audit.replay import Opened, Seen, find_opening, replay
from service.conversations.answers import active_conversation, conversation_detail
from service.json_values import NUMBER_IDS
from sql.loader import in_replay, query
from tests.eventstore.building import append, history
from tests.eventstore.log_reading import read_all

ACCOUNT = 1


@pytest.fixture
def pool(log_parts: tuple[EventLog, AccountPool, Any]) -> AccountPool:
    return log_parts[1]


async def seen_at(pool: AccountPool, conversation_id: int, position: int) -> Seen:
    opened = await find_opening(pool, ACCOUNT, conversation_id)
    assert opened is not None
    return await replay(pool, ACCOUNT, conversation_id, opened, position)


def plain(answer: msgspec.Struct) -> Any:
    return msgspec.json.decode(NUMBER_IDS.encode(answer))


async def answered_now(pool: AccountPool, number: int, opened: OpeningRequested) -> Seen:
    """The present answers of the handlers' statements, from the live views."""
    user = opened.user_id
    row = await pool.fetchrow(ACCOUNT, query("get_conversation"), ACCOUNT, number, user)
    active = await pool.fetchrow(
        ACCOUNT,
        query("get_active_conversation"),
        *(ACCOUNT, None, user, opened.course_id, opened.experience_id),
    )
    assert active is not None
    found = plain(active_conversation(active))
    return Seen(
        conversation=plain(conversation_detail(row)) if row else None,
        active=found if found.get("id") == number else None,
        user_name=None,
    )


@pytest.mark.parametrize("seed", range(1, 4))
async def test_any_history_replays_at_each_position_as_it_was_read_there(
    log: EventLog, pool: AccountPool, seed: int
) -> None:
    read: dict[tuple[int, int], Seen] = {}
    known: dict[int, OpeningRequested] = {}
    for step in history(seed, steps=60):
        await append(log, step.stream, *step.events)
        head = await log.head(ACCOUNT)
        for event in (new.event for new in step.events):
            if isinstance(event, OpeningRequested):
                known[event.conversation_id] = event
            if (number := getattr(event, "conversation_id", None)) in known:
                assert isinstance(number, int)
                read[number, head] = await answered_now(pool, number, known[number])
    assert len(read) > 40
    for (number, position), answer in read.items():
        seen = await seen_at(pool, number, position)
        assert (seen.conversation, seen.active) == (answer.conversation, answer.active)


async def test_a_replay_leaves_nothing_after_its_transaction(
    log: EventLog, pool: AccountPool, owner: Connection
) -> None:
    for step in history(7, steps=20):
        await append(log, step.stream, *step.events)
    [number, *_] = [
        e.event.conversation_id
        for e in await read_all(log, ACCOUNT)
        if isinstance(e.event, OpeningRequested)
    ]
    for _ in range(3):
        await seen_at(pool, number, await log.head(ACCOUNT))
    left = "SELECT count(*) FROM pg_class WHERE relnamespace IN (SELECT oid FROM pg_namespace"
    assert await owner.fetchval(f"{left} WHERE nspname LIKE 'pg_temp%')") == 0
    assert await owner.fetchval(f"{left} WHERE nspname LIKE 'pg_toast_temp%')") == 0


async def test_a_replay_of_another_account_is_refused(pool: AccountPool) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="has not entered account 2"):
        await pool.fetch(1, query("replay_conversation"), 2, 1, 1)


async def test_a_temporary_table_of_the_session_stops_a_replay(
    database_url: str, log: EventLog, pool: AccountPool
) -> None:
    """Otherwise the owner would run code of the table's creator."""
    async with pool.acquire(ACCOUNT) as connection, connection.transaction():
        await connection.execute("CREATE TEMPORARY TABLE events (n int) ON COMMIT DROP")
        with pytest.raises(asyncpg.DuplicateTableError):
            await connection.execute(query("replay_conversation"), ACCOUNT, 1, 1)


async def test_appends_go_on_while_a_replay_is_open(log: EventLog, pool: AccountPool) -> None:
    steps = history(8, steps=30)
    for step in steps[:20]:
        await append(log, step.stream, *step.events)
    async with pool.acquire(ACCOUNT) as connection, connection.transaction():
        await connection.execute(query("replay_conversation"), ACCOUNT, 8_000_001, 20)
        for step in steps[20:]:
            await append(log, step.stream, *step.events)
        row = await connection.fetchrow(
            in_replay(query("get_conversation")), ACCOUNT, 8_000_001, 8000
        )
    assert row is None or row["conversation_id"] == 8_000_001


def test_the_replayed_statements_read_only_replayed_views() -> None:
    assert "read." not in in_replay(query("get_conversation"))
    assert "read." not in in_replay(query("get_active_conversation"))


def test_a_conversations_opening_names_its_owner() -> None:
    fields = {name for name in Opened.__struct_fields__ if name != "position"}
    assert fields <= set(OpeningRequested.__struct_fields__)
