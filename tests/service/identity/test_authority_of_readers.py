"""The permission to read is checked when the read is recorded; erased texts are not returned."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from eventstore.connections import connect
from eventstore.dialogue_events import MessagePosted
from eventstore.privacy_events import HistoryRead
from service.identity.tokens import create_token
from tests.running import CONVERSATIONS, Service
from tests.service.identity.test_authority import (
    Change,
    Scene,
    held_appends,
    hold_placed,
    learner_erased,
    membership_ended,
    recorded_by,
    role_lost,
    scene,
    token_expired,
    token_revoked,
    wait_for_appends,
)
from tests.service.reading_streams import turn_path

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = "zanzibarquince"


class Talk(NamedTuple):
    """A conversation with a message of the learner."""

    scene: Scene
    turn_id: str


class Reading(NamedTuple):
    """A request that reads a learner's data; `role` is the reader's."""

    role: str
    path: Callable[[Talk], str]


READINGS = {
    "a conversation": Reading("teacher", lambda t: t.scene.path),
    "a student's conversation": Reading(
        "teacher",
        lambda t: t.scene.path.replace("/conversations/", "/ai_conversations/"),
    ),
    "an evaluation": Reading("teacher", lambda t: f"{t.scene.path}/evaluation"),
    "a turn": Reading(
        "teacher", lambda t: turn_path(t.scene.conversation["id"], t.turn_id, "stream")
    ),
    "an active conversation": Reading(
        "admin", lambda t: f"{CONVERSATIONS}?as_user_id={t.scene.learner}"
    ),
    "a learner's record": Reading(
        "admin", lambda t: f"/api/v1/users/{t.scene.learner}/learner_record"
    ),
    "the log": Reading(
        "auditor", lambda t: f"/api/v1/audit/events?user_id={t.scene.learner}&per_page=100"
    ),
    "a replay": Reading(
        "auditor", lambda t: f"/api/v1/audit/conversations/{t.scene.conversation['id']}/replay"
    ),
}
every_reading = pytest.mark.parametrize("name", READINGS)


async def talk(service: Service) -> Talk:
    one = await scene(service)
    head = await service.head()
    assert (await service.say(one.conversation["id"], WORDS, one.learner))[0] == 200
    asked = (await service.history(head))[0].event
    assert isinstance(asked, MessagePosted)
    evaluated = await service.call("POST", f"{one.path}/evaluation", user=one.teacher)
    assert evaluated[0] == 200
    return Talk(one, asked.turn_id)


async def reader_of(service: Service, role: str) -> int:
    """A new reader, since repeated reads within an hour are not recorded again."""
    reader = await service.enroll("teacher")
    if role != "teacher":
        connection = await connect(service.database_url)
        options: dict[str, Any] = (
            {"admin": True} if role == "admin" else {"scopes": ["colloquy:audit"]}
        )
        service.tokens[str(reader)] = await create_token(connection, 1, reader, **options)
        await connection.close()
    return reader


async def read_while(
    service: Service, one: Talk, reader: int, name: str, change: Change
) -> tuple[int, str]:
    """Makes a change between the check of a read and its record."""
    async with held_appends(service) as connection:
        request = asyncio.create_task(service.request("GET", READINGS[name].path(one), user=reader))
        await wait_for_appends(service, request)
        await change(connection, one.scene, reader)
    response = await request
    return response.status, await response.text()


async def refused(service: Service, name: str, change: Change, status: int) -> None:
    one, reader = await talk(service), await reader_of(service, READINGS[name].role)
    head = await service.head()
    answer = await read_while(service, one, reader, name, change)
    assert answer[0] == status, answer
    assert await recorded_by(one.scene, reader, head) == []


@every_reading
@pytest.mark.parametrize("change", [token_revoked, token_expired])
async def test_a_token_must_be_valid_when_the_read_is_recorded(
    service: Service, name: str, change: Change
) -> None:
    await refused(service, name, change, 401)


@pytest.mark.parametrize("name", [n for n, r in READINGS.items() if r.role == "teacher"])
@pytest.mark.parametrize("change", [role_lost, membership_ended])
async def test_the_role_must_hold_when_the_read_is_recorded(
    service: Service, name: str, change: Change
) -> None:
    await refused(service, name, change, 403)


@every_reading
async def test_a_text_erased_before_the_read_is_recorded_is_not_returned(
    service: Service, name: str
) -> None:
    one, reader = await talk(service), await reader_of(service, READINGS[name].role)
    status, text = await read_while(service, one, reader, name, learner_erased)
    assert status in (200, 404, 409), text
    assert WORDS not in text


@every_reading
async def test_a_read_is_answered_although_a_hold_is_placed(service: Service, name: str) -> None:
    one, reader = await talk(service), await reader_of(service, READINGS[name].role)
    head = await service.head()
    status, text = await read_while(service, one, reader, name, hold_placed)
    assert status == 200, text
    (read,) = await recorded_by(one.scene, reader, head)
    assert isinstance(read.event, HistoryRead)
