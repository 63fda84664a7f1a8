"""Puts a learner's texts into all places that can have them, and searches for them."""

from typing import Any

from eventstore.connections import Connection, connect
from eventstore.dialogue_events import MessagePosted
from eventstore.envelope import RecordedEvent
from service.identity.tokens import create_token
from tests.running import (
    CONVERSATIONS,
    LEARNER,
    TEACHER,
    Service,
    eventually,
)

MARKER = "zanzibarquince"
REASON = {"reason": "letter of 3 May"}
TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""


def erasing(user: int) -> str:
    return f"/api/v1/accounts/self/users/{user}/learner_data"


async def create_admin(service: Service) -> None:
    """Makes an administrator's token, "admin", for the demo's auditor."""
    connection = await connect(service.database_url)
    service.tokens["admin"] = await create_token(connection, 1, 900, admin=True)
    await connection.close()


def by(service: Service, user: object) -> dict[str, Any]:
    return {"user": None, "headers": {"Authorization": f"Bearer {service.tokens[str(user)]}"}}


async def erase(service: Service, user: int = LEARNER) -> tuple[int, Any]:
    return await service.call("DELETE", erasing(user), json=REASON, **by(service, "admin"))


async def tables_with(connection: Connection, words: str) -> list[str]:
    """All tables of the database with a row that contains these words.

    The planner's statistics too, which have copies of values.
    """
    names = [*(row[0] for row in await connection.fetch(TABLES)), "pg_stats"]
    assert {"event_content", "events", "users"} <= set(names)
    return [
        name
        for name in names
        if await connection.fetchval(
            f"SELECT EXISTS (SELECT FROM {name} t WHERE position($1 in t::text) > 0)", words
        )
    ]


async def talk(service: Service, user: int, *texts: str) -> Any:
    opened = await service.open(user)
    for text in texts:
        status, opened = await service.say(opened["id"], text, user)
        assert status == 200, opened
    return opened


def turn_of(log: list[RecordedEvent], text: str) -> str:
    """A turn with these messages of a learner."""
    (turn,) = [
        e.event.turn_id for e in log if isinstance(e.event, MessagePosted) and e.content == text
    ]
    return turn


async def speak_everywhere(service: Service) -> Any:
    """Puts texts by and about the learner into all places that can have them; the conversation."""
    shown = await talk(service, LEARNER, f"It is {MARKER} one", f"It is {MARKER} two")
    path = f"{CONVERSATIONS}/{shown['id']}"
    for voter in (LEARNER, TEACHER):
        vote = {"vote": "liked", "feedback_message": f"Very {MARKER}"}
        feedback = f"{path}/messages/{shown['messages'][-1]['id']}/feedback"
        assert (await service.call("POST", feedback, user=voter, json=vote))[0] == 200
    assert (await service.call("POST", f"{path}/evaluation", user=TEACHER))[0] == 200
    return shown


async def followed_views_are_fresh(service: Service, owner: Connection) -> None:
    async def fresh() -> bool:
        behind = "SELECT max(lag_events) FROM analytics.freshness"
        return bool(await owner.fetchval(behind) == 0)

    await eventually(fresh)
