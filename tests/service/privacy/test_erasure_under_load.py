"""Two processes serve a course while one of its learners is erased."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from eventstore.connections import Connection
from tests.running import (
    CONVERSATIONS,
    LEARNER,
    TEACHER,
    Service,
    client,
    demo_tokens,
    eventually,
    messages_of,
    service_process,
)
from tests.service.histories import assert_lawful
from tests.service.privacy.erasing import MARKER, create_admin, erase, tables_with, turn_of

pytestmark = pytest.mark.slow

OTHERS = 6
ENOUGH = 4
"""Messages of each learner that are answered before the erasure, and again after it."""


@asynccontextmanager
async def two_processes(database_url: str) -> AsyncIterator[tuple[Service, Service]]:
    environment = {"DATABASE_URL": database_url}
    tokens = await demo_tokens(database_url)
    async with (
        service_process(environment) as first,
        service_process(environment) as second,
        client(first.url, tokens, database_url) as one,
        client(second.url, tokens, database_url) as other,
    ):
        await create_admin(one)
        other.tokens["admin"] = one.tokens["admin"]
        yield one, other


async def chatter(service: Service, user: int, word: str, said: list[str]) -> None:
    """Sends messages until it is cancelled or refused; answered messages are in `said`."""
    with suppress(asyncio.CancelledError):
        opened = await service.open(user)
        for number in range(1_000):
            text = f"{word} {number} of {user}"
            status, body = await service.say(opened["id"], text, user)
            if status != 200:
                assert word == MARKER, body
                return
            said.append(text)


async def texts_of(owner: Connection, user: int) -> list[str]:
    rows = await owner.fetch(
        "SELECT c.content FROM event_content c JOIN events e USING (account_id, position)"
        " WHERE c.subject_id = $1 AND e.type = 'message_posted.v1' ORDER BY c.position",
        user,
    )
    return [row[0] for row in rows]


async def copied(owner: Connection, folder: Path) -> str:
    """All rows of all tables, as COPY writes them."""
    tables = await owner.fetch(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = c.relnamespace WHERE c.relkind = 'r'"
        " AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
    )
    assert len(tables) > 15
    file = folder / "rows"
    with file.open("wb") as out:
        for (name,) in tables:
            await owner.copy_from_query(f"SELECT * FROM {name}", output=out)
    return file.read_text("utf-8")


async def test_a_learner_is_erased_while_the_course_goes_on(
    database_url: str, owner: Connection, tmp_path: Path
) -> None:
    async with two_processes(database_url) as (one, other):
        others: dict[int, list[str]] = {await one.enroll(): [] for _ in range(OTHERS)}
        other.tokens.update(one.tokens)
        own: list[str] = []
        talking = [asyncio.create_task(chatter(one, LEARNER, MARKER, own))] + [
            asyncio.create_task(chatter((one, other)[user % 2], user, "Word", said))
            for user, said in others.items()
        ]
        await eventually(lambda: all(len(said) >= ENOUGH for said in (own, *others.values())))
        assert MARKER in await copied(owner, tmp_path)
        status, report = await erase(other)
        before = {user: len(said) for user, said in others.items()}
        await eventually(
            lambda: all(len(said) >= before[user] + ENOUGH for user, said in others.items())
        )
        await asyncio.wait(talking[:1])
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking)
        log = await one.history()
    assert (status, report["erased"]["names"]) == (200, 1)
    assert len(own) >= ENOUGH
    assert_lawful(log, ended=False)
    for user, said in others.items():
        assert (await texts_of(owner, user))[: len(said)] == said
    assert await tables_with(owner, MARKER) == []
    assert MARKER not in await copied(owner, tmp_path)


async def test_no_process_returns_a_text_after_another_has_erased_it(
    database_url: str, owner: Connection
) -> None:
    """One process has answered and cached the texts, the other one erases them."""
    async with two_processes(database_url) as (one, other):
        opened = await one.open()
        key = {"Idempotency-Key": "first"}
        post: dict[str, Any] = {"json": {"message": f"It is {MARKER}"}, "headers": key}
        status, answer = await one.call("POST", messages_of(opened["id"]), **post)
        assert status == 200
        reply = answer["messages"][-1]["text"]
        turn = turn_of(await one.history(), f"It is {MARKER}")
        assert (await erase(other))[0] == 200
        await one.enroll(user=LEARNER)
        path = f"{CONVERSATIONS}/{opened['id']}"
        again = await one.call("POST", messages_of(opened["id"]), **post)
        stream = await one.request("GET", f"{path}/turns/{turn}/stream")
        seen = [
            again,
            await stream.text(),
            await one.active(),
            await one.call("GET", path, user=TEACHER),
            await one.call("GET", path),
        ]
    # The key went with its secret, and the conversation takes no more messages.
    assert (again[0], stream.status) == (404, 200)
    for shown in seen:
        assert MARKER not in str(shown)
        assert reply not in str(shown)
