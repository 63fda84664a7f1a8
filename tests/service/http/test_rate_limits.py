"""How often a user may ask in a day: exact, whichever processes are asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.databases import cloned_database
from tests.running import (
    API,
    CONVERSATIONS,
    TEACHER,
    Service,
    fetch_value,
    messages_of,
    running_service,
)
from tests.service.histories import types_of
from tests.service.raw_http import connected

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 5
ENOUGH_OF_A_DAY = 40
"""Seconds that any of these tests should take at most."""

EXPERIENCES = "/api/v1/courses/1/ai_experiences"
SPENT = {
    "error": "You have asked very often today. Please go on tomorrow.",
    "code": "rate_limited",
    "retryable": True,
}
LIMITS: dict[str, Any] = {
    "max_creates": LIMIT,
    "max_messages": LIMIT,
    "max_evaluations": LIMIT,
    "max_feedback": LIMIT,
}
COUNTS = "SELECT coalesce(sum(requests), 0)::bigint FROM read.request_counts WHERE user_id = $1"
TO_YESTERDAY = "UPDATE read.request_counts SET day = day - 1 WHERE user_id = $1"
DRAFT = {
    "title": "x",
    "learning_objective": "x",
    "pedagogical_guidance": "x",
    "workflow_state": "published",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(server_url: str) -> AsyncIterator[Service]:
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, **LIMITS) as running,
    ):
        yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _today_lasts() -> None:
    """A test that would see the end of the database's day waits for the next."""
    now = datetime.now(UTC)
    next_day = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    if (left := (next_day - now).total_seconds()) < ENOUGH_OF_A_DAY:
        await asyncio.sleep(left + 1)


async def use_up_creates(service: Service, user: int) -> None:
    for _ in range(LIMIT):
        await service.open(user)


async def spent(service: Service, path: str, user: int, **options: Any) -> None:
    """The request must be refused for the limit, and leave no trace."""
    response = await service.refused(429, SPENT, "POST", path, user=user, **options)
    assert 1 <= int(response.headers["Retry-After"]) <= 86_400


async def counted(service: Service, user: int) -> int:
    """The user's requests of all kinds that the view has counted."""
    return int(await fetch_value(service.database_url, COUNTS, user))


async def test_conversations_are_limited(service: Service, learner: int) -> None:
    await use_up_creates(service, learner)
    before = await service.active(learner)
    await spent(service, CONVERSATIONS, learner)
    assert await service.active(learner) == before
    assert await counted(service, learner) == LIMIT


async def test_messages_are_limited_apart_from_conversations(
    service: Service, learner: int
) -> None:
    """And a new conversation does not give new messages."""
    conversation = await service.open(learner)
    for number in range(LIMIT):
        assert (await service.say(conversation["id"], f"{number}", learner))[0] == 200
    path = messages_of(conversation["id"])
    await spent(service, path, learner, json={"message": "One more"})
    path = messages_of((await service.open(learner))["id"])
    await spent(service, path, learner, json={"message": "One more"})


async def test_evaluations_are_limited_for_who_asks_for_them(
    service: Service, learner: int
) -> None:
    """Not for the learner whose conversation it is, nor for another manager."""
    path = f"{CONVERSATIONS}/{(await service.open(learner))['id']}/evaluation"
    ta, other = await service.enroll("ta"), await service.enroll("ta")
    for _ in range(LIMIT):
        assert (await service.call("POST", path, user=ta))[0] == 200
    await spent(service, path, ta)
    assert (await service.call("GET", path, user=ta))[0] == 200
    assert (await service.call("POST", path, user=other))[0] == 200
    assert await counted(service, learner) == 1


async def test_others_are_not_affected(service: Service, learner: int) -> None:
    await use_up_creates(service, learner)
    other = await service.enroll()
    await service.open(other)
    await spent(service, CONVERSATIONS, learner)


async def test_a_limit_counts_over_all_experiences(service: Service, learner: int) -> None:
    elsewhere = (await new_experiences(service, 1))[0]
    await use_up_creates(service, learner)
    await spent(service, elsewhere, learner)


async def test_a_stream_is_refused_plainly(service: Service, learner: int) -> None:
    await use_up_creates(service, learner)
    await spent(service, CONVERSATIONS, learner, headers={"Accept": "text/event-stream"})


async def test_what_is_refused_for_other_reasons_does_not_count(
    service: Service, learner: int
) -> None:
    conversation = await service.open(learner)
    path = messages_of(conversation["id"])
    for _ in range(LIMIT + 1):
        status, _ = await service.call("POST", path, user=learner, json={"message": " "})
        assert status == 400
    assert await counted(service, learner) == 1
    assert (await service.say(conversation["id"], "Hello", learner))[0] == 200


async def test_a_repeated_key_gets_its_first_answer_at_the_limit(
    service: Service, learner: int
) -> None:
    """Of each kind; a new key is refused, and stays free."""
    ta = await service.enroll("ta")
    conversation = await service.open(learner)
    requests: list[tuple[str, int, dict[str, Any]]] = [
        (messages_of(conversation["id"]), learner, {"json": {"message": "Hello"}}),
        (f"{CONVERSATIONS}/{conversation['id']}/evaluation", ta, {}),
        (CONVERSATIONS, await service.enroll(), {}),
    ]
    for path, user, body in requests:
        options = {"user": user, "headers": {"Idempotency-Key": f"first-{user}"}, **body}
        first = await service.call("POST", path, **options)
        assert first[0] in (200, 201)
        for _ in range(LIMIT - 1):
            assert (await service.call("POST", path, user=user, **body))[0] == first[0]
        assert await service.call("POST", path, **options) == first
        late = {"Idempotency-Key": f"late-{user}"}
        await spent(service, path, user, headers=late, **body)
        await fetch_value(service.database_url, TO_YESTERDAY, user)
        assert (await service.call("POST", path, user=user, headers=late, **body))[0] == first[0]


async def test_a_new_day_starts_anew(service: Service, learner: int) -> None:
    await use_up_creates(service, learner)
    await spent(service, CONVERSATIONS, learner)
    await fetch_value(service.database_url, TO_YESTERDAY, learner)
    await use_up_creates(service, learner)
    await spent(service, CONVERSATIONS, learner)


async def new_experiences(service: Service, number: int) -> list[str]:
    """Where conversations with so many new experiences begin."""
    made = [
        await service.call("POST", EXPERIENCES, user=TEACHER, json=DRAFT) for _ in range(number)
    ]
    return [f"{EXPERIENCES}/{body['id']}/conversations" for _, body in made]


async def test_the_limit_is_exact_with_many_at_once_in_two_processes(service: Service) -> None:
    """Conversations with different experiences, which nothing but the limit holds back."""
    paths = await new_experiences(service, 3 * LIMIT)
    learner = await service.enroll()
    async with running_service(service.database_url, **LIMITS) as other:
        other.tokens = service.tokens
        known = await service.head()
        answers = await asyncio.gather(
            *(
                (service, other)[n % 2].call("POST", path, user=learner)
                for n, path in enumerate(paths)
            )
        )
    statuses = [status for status, _ in answers]
    assert sorted(statuses) == [201] * LIMIT + [429] * (2 * LIMIT)
    events = types_of(await service.history(known))
    assert events.count("opening_requested") == LIMIT
    assert await counted(service, learner) == LIMIT


async def test_votes_are_limited(service: Service, learner: int) -> None:
    """A withdrawal is none, and does not give one back."""
    conversation = await service.open(learner)
    message = conversation["messages"][1]["id"]
    path = f"{CONVERSATIONS}/{conversation['id']}/messages/{message}/feedback"
    for _ in range(LIMIT):
        status, given = await service.call("POST", path, user=learner, json={"vote": "liked"})
        assert status == 200
    await spent(service, path, learner, json={"vote": "liked"})
    withdrawn = f"{path}/{given['feedback']['id']}"
    assert (await service.call("DELETE", withdrawn, user=learner))[0] == 200
    await spent(service, path, learner, json={"vote": "disliked"})
    assert await counted(service, learner) == 1 + LIMIT


async def test_bodies_that_come_late_are_counted_when_they_are_there(server_url: str) -> None:
    """All of them were let in while nothing was used up."""
    limit, number = 52, 60
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, max_evaluations=limit) as service,
        AsyncExitStack() as stack,
    ):
        path = f"{CONVERSATIONS}/{(await service.open())['id']}/evaluation"
        held = [await stack.enter_async_context(connected(service)) for _ in range(number)]
        for raw in held:
            await raw.ask("POST", path, service.tokens[str(TEACHER)], length=2, expect=True)
            await raw.send(b"{")
        for raw in held:
            await raw.send(b"}")
        statuses = [(await raw.answer()).status for raw in held]
        assert sorted(statuses) == [200] * limit + [429] * (number - limit)
        assert await counted(service, TEACHER) == limit


async def test_a_clock_that_was_ahead_once_does_not_switch_limits_off(server_url: str) -> None:
    """Appends are of its day from then on, and so is the count."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, **LIMITS) as service,
    ):
        await fetch_value(database_url, "UPDATE log_heads SET recorded_at = now() + interval '3 d'")
        await use_up_creates(service, 101)
        response = await service.refused(429, SPENT, "POST", CONVERSATIONS, user=101)
        assert int(response.headers["Retry-After"]) > 2 * 86_400


async def test_it_is_exact_in_waves_over_two_processes(server_url: str) -> None:
    limit = 70
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, max_evaluations=limit) as one,
        running_service(database_url, max_evaluations=limit) as two,
    ):
        two.tokens = one.tokens
        path = f"{CONVERSATIONS}/{(await one.open())['id']}/evaluation"
        statuses: list[int] = []
        for _ in range(4):
            answers = await asyncio.gather(
                *((one, two)[n % 2].call("POST", path, user=TEACHER) for n in range(20))
            )
            statuses += [status for status, _ in answers]
        assert sorted(statuses) == [200] * limit + [429] * (80 - limit)
        assert await counted(one, TEACHER) == limit


async def test_a_restart_forgets_nothing(server_url: str) -> None:
    async with cloned_database(server_url) as database_url:
        async with running_service(database_url, **LIMITS) as before:
            user = await before.enroll()
            await use_up_creates(before, user)
        async with running_service(database_url, **LIMITS) as after:
            after.tokens = before.tokens
            await spent(after, CONVERSATIONS, user)
            assert (await after.call("GET", API, user=user))[0] == 200


async def test_a_limit_of_none_lets_nobody_through(server_url: str) -> None:
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, max_creates=0) as closed,
    ):
        await spent(closed, CONVERSATIONS, 101)
