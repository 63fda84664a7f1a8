"""A learner is erased in the middle of things, and nothing of their words is left anywhere."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from eventstore.connections import Connection, connect
from eventstore.protection import LearnerErased, TextExpired
from service.tokens import create_token
from tests.running import (
    CONVERSATIONS,
    LEARNER,
    OTHER_LEARNER,
    TEACHER,
    Service,
    running_service,
)

MARKER = "zanzibarquince"
REASON = {"reason": "letter of 3 May"}
TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""


def erasing(user: int) -> str:
    return f"/api/v1/accounts/self/users/{user}/learner_data"


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[Service]:
    async with running_service(database_url) as running:
        await let_in_admin(running)
        yield running


async def let_in_admin(service: Service) -> None:
    """The token "900" of the demo's auditor becomes an administrator's."""
    connection = await connect(service.database_url)
    service.tokens["admin"] = await create_token(connection, 1, 900, admin=True)
    await connection.close()


def by(service: Service, user: object) -> dict[str, Any]:
    return {"user": None, "headers": {"Authorization": f"Bearer {service.tokens[str(user)]}"}}


async def erase(service: Service, user: int = LEARNER) -> tuple[int, Any]:
    return await service.call("DELETE", erasing(user), json=REASON, **by(service, "admin"))


async def tables_with(connection: Connection, words: str) -> list[str]:
    """All tables of the database that have these words in some row, as text."""
    names = [row[0] for row in await connection.fetch(TABLES)]
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


async def speak_everywhere(service: Service) -> Any:
    """The learner's words, and words about them, wherever such can be; the conversation."""
    shown = await talk(service, LEARNER, f"It is {MARKER} one", f"It is {MARKER} two")
    path = f"{CONVERSATIONS}/{shown['id']}"
    for voter in (LEARNER, TEACHER):
        vote = {"vote": "liked", "feedback_message": f"Very {MARKER}"}
        feedback = f"{path}/messages/{shown['messages'][-1]['id']}/feedback"
        assert (await service.call("POST", feedback, user=voter, json=vote))[0] == 200
    assert (await service.call("POST", f"{path}/evaluation", user=TEACHER))[0] == 200
    return shown


async def test_no_word_of_an_erased_learner_is_left_in_any_table(
    service: Service, owner: Connection
) -> None:
    await owner.execute("UPDATE users SET name = $1 WHERE user_id = $2", MARKER, LEARNER)
    await owner.execute("INSERT INTO identities VALUES (1, $1, $2)", MARKER, LEARNER)
    first = await talk(service, LEARNER, f"An earlier {MARKER}")
    shown = await speak_everywhere(service)
    others = await talk(service, OTHER_LEARNER, "Words that stay")
    assert set(await tables_with(owner, MARKER)) >= {"event_content", "users", "identities"}
    status, report = await erase(service)
    assert await tables_with(owner, MARKER) == []
    assert status == 200
    assert report["erased"] | {"texts": 0} == {
        "user_id": LEARNER,
        "texts": 0,
        "conversations": 2,
        "names": 1,
        "identities": 1,
        "tokens": 1,
    }
    assert await owner.fetchval("SELECT name FROM users WHERE user_id = $1", LEARNER) == "[erased]"
    assert (await service.active(OTHER_LEARNER)) == others
    log = await service.history()
    (erased,) = [e for e in log if isinstance(e.event, LearnerErased)]
    expired = [e for e in log if isinstance(e.event, TextExpired)]
    assert [e.event.conversation_id for e in expired] == [first["id"], shown["id"]]
    assert sum(e.event.texts for e in expired) == erased.event.texts == report["erased"]["texts"]
    assert (erased.event.reason, erased.metadata.actor.id) == ("letter of 3 May", 900)
    assert [e for e in log if e.erased and e.stream.endswith(f"-{OTHER_LEARNER}")] == []
