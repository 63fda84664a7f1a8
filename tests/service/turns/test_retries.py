"""Messages without an answer: in sight, asked about again, and answered by the next reply."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from eventstore.dialogue_events import MessageRetried, ReplyCompleted
from tests.databases import cloned_database
from tests.fake_anthropic import FakeAnthropic, Speech, Stall, StreamError
from tests.running import (
    CONVERSATIONS,
    TEACHER,
    Service,
    messages_of,
    running_beside,
    running_service,
)
from tests.service.histories import assert_lawful, types_of
from tests.service.kept_messages import assert_kept
from tests.service.reading_streams import Talk, pieces_of, read_stream, talk_of, turn_path

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPLY = "What do you already know about it?"
HALF = Stall(after=1, speech=Speech(pieces=("What do you ", "know?")))
NOTHING = {
    "error": "this turn's message has an answer, or it is not the newest one",
    "code": "nothing_to_retry",
    "retryable": False,
}
NOT_FOUND = {"error": "Resource Not Found"}
REUSED = {"error": "this Idempotency-Key was used for another request"}
QUESTION = {"message": "Why?"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(fake: FakeAnthropic, server_url: str) -> AsyncIterator[Service]:
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, anthropic_base_url=fake.url, max_attempts=1) as running,
    ):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(service: Service, fake: FakeAnthropic) -> AsyncIterator[Service]:
    async with running_beside(service, anthropic_base_url=fake.url, max_attempts=1) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def talk(service: Service) -> Talk:
    """A learner who has a conversation."""
    return await talk_of(service)


async def left_unanswered(talk: Talk, fake: FakeAnthropic) -> str:
    """The learner says something and gets no reply; returns the path that retries it."""
    fake.script("overloaded_529")
    status, body = await talk.service.call(*talk.question, **talk.options)
    assert status == 503, body
    return turn_path(talk.conversation["id"], body["turn_id"], "retry")


async def stopped(talk: Talk, fake: FakeAnthropic) -> str:
    """The learner says something and stops the reply; returns the path that retries it."""
    fake.script(HALF)
    waiting = asyncio.create_task(talk.service.call(*talk.question, **talk.options))
    await fake.wait_until(lambda: fake.stalled == 1)
    asked = (await talk.events())[-1].event
    path = turn_path(talk.conversation["id"], asked.turn_id, "cancel")  # type: ignore[union-attr]
    assert (await talk.service.call("POST", path, user=talk.learner))[0] == 200
    fake.release()
    assert (await waiting)[0] == 409
    return path.replace("/cancel", "/retry")


def said_in(body: Any) -> list[tuple[str, str]]:
    """Role and text of what came after the opening; nothing of it has a state."""
    messages = body["messages"][2:]
    assert not any("state" in message or "incomplete" in message for message in messages)
    return [(message["role"], message["text"]) for message in messages]


@pytest.mark.parametrize("leave", [left_unanswered, stopped])
@pytest.mark.parametrize("streaming", [False, True], ids=["plain", "streaming"])
async def test_a_message_without_an_answer_is_answered_at_its_retry(
    leave: Any, streaming: bool, talk: Talk, other: Service, fake: FakeAnthropic
) -> None:
    """By any process; the model is given what the learner sees."""
    path = await leave(talk, fake)
    before = await talk.service.active(talk.learner)
    if leave is stopped:
        assert_kept(talk.conversation, before, "Why?", partial="What do you ")
    else:
        assert_kept(talk.conversation, before, "Why?", "model_overloaded")
    if streaming:
        events = await read_stream(other, "POST", path, user=talk.learner)
        assert events[0].data["message_id"] == before["messages"][2]["id"]
        assert "".join(pieces_of(events)) == REPLY
        body = events[-1].data
    else:
        status, body = await other.call("POST", path, user=talk.learner)
        assert status == 200
    assert body["id"] == talk.conversation["id"]
    assert said_in(body) == [("User", "Why?"), ("Assistant", REPLY)]
    assert body["messages"][2]["id"] == before["messages"][2]["id"]
    assert await talk.service.active(talk.learner) == body
    assert [m["content"] for m in fake.requests[-1].body["messages"][2:]] == ["Why?"]
    assert types_of(await talk.events())[-2:] == ["message_retried", "reply_completed"]


async def test_a_retry_that_fails_too_can_be_retried(talk: Talk, fake: FakeAnthropic) -> None:
    """By the turn that failed last; the earlier one has nothing to retry any more."""
    first = await left_unanswered(talk, fake)
    fake.script(StreamError(speech=Speech(pieces=("Half a ",))))
    status, body = await talk.service.call("POST", first, user=talk.learner)
    assert (status, body["code"]) == (503, "model_overloaded")
    second = turn_path(talk.conversation["id"], body["turn_id"], "retry")
    assert second != first
    await talk.service.refused(409, NOTHING, "POST", first, user=talk.learner)
    assert (await talk.service.call("POST", second, user=talk.learner))[0] == 200
    await talk.service.refused(409, NOTHING, "POST", second, user=talk.learner)


async def test_the_same_words_again_are_a_retry(talk: Talk, fake: FakeAnthropic) -> None:
    """Of a client that knows none: the message stands there once."""
    await left_unanswered(talk, fake)
    status, body = await talk.service.call(*talk.question, **talk.options)
    assert status == 200
    assert said_in(body) == [("User", "Why?"), ("Assistant", REPLY)]
    assert isinstance((await talk.events())[-2].event, MessageRetried)


async def test_the_next_reply_answers_all_that_was_said_since_the_last_one(
    talk: Talk, fake: FakeAnthropic
) -> None:
    """The model gets it as one turn of the learner."""
    await left_unanswered(talk, fake)
    unanswered = (await talk.service.active(talk.learner))["messages"][2]["id"]
    status, body = await talk.service.say(talk.conversation["id"], "Or how?", talk.learner)
    assert status == 200
    assert said_in(body) == [("User", "Why?"), ("User", "Or how?"), ("Assistant", REPLY)]
    assert await talk.service.active(talk.learner) == body
    asked = fake.requests[-1].body["messages"]
    assert [(m["role"], m["content"]) for m in asked[2:]] == [("user", "Why?\n\nOr how?")]
    completed = (await talk.events())[-1].event
    assert isinstance(completed, ReplyCompleted)
    assert completed.answers == (unanswered,)
    path = messages_of(talk.conversation["id"])
    await talk.service.call("POST", path, user=talk.learner, json={"message": "Go on"})
    roles = [m["role"] for m in fake.requests[-1].body["messages"]]
    assert roles == ["user", "assistant", "user", "assistant", "user"]


async def test_only_the_learner_retries_and_only_where_the_turn_is(
    talk: Talk, fake: FakeAnthropic
) -> None:
    path = await left_unanswered(talk, fake)
    for user in (TEACHER, await talk.service.enroll()):
        await talk.service.refused(404, NOT_FOUND, "POST", path, user=user)
    elsewhere = path.replace("/ai_experiences/1/", "/ai_experiences/2/")
    await talk.service.refused(404, NOT_FOUND, "POST", elsewhere, user=talk.learner)
    conversation = f"{CONVERSATIONS}/{talk.conversation['id']}"
    await talk.service.call("DELETE", conversation, user=talk.learner)
    await talk.service.refused(404, NOT_FOUND, "POST", path, user=talk.learner)


async def test_a_retry_waits_for_no_other_turn(talk: Talk, fake: FakeAnthropic) -> None:
    path = await left_unanswered(talk, fake)
    fake.script(HALF)
    first = asyncio.create_task(talk.service.call("POST", path, user=talk.learner))
    await fake.wait_until(lambda: fake.stalled == 1)
    status, body = await talk.service.call("POST", path, user=talk.learner)
    assert (status, body["code"]) == (409, "turn_in_progress")
    fake.release()
    assert (await first)[0] == 200


@pytest.mark.parametrize("outcome", ["good", "overloaded_529"])
async def test_a_retry_with_a_key_is_carried_out_once(
    outcome: str, talk: Talk, other: Service, fake: FakeAnthropic
) -> None:
    """And the question's own key keeps the answer that it got."""
    talk.options["headers"] = {"Idempotency-Key": "question"}
    path = await left_unanswered(talk, fake)
    failed = await talk.service.call(*talk.question, **talk.options)
    fake.script(outcome)
    keyed: Any = {"user": talk.learner, "headers": {"Idempotency-Key": "retry"}}
    first = await talk.service.call("POST", path, **keyed)
    assert first[0] == (200 if outcome == "good" else 503)
    head, asked = await talk.service.head(), len(fake.requests)
    for process in (talk.service, other):
        assert await process.call("POST", path, **keyed) == first
        assert await process.call(*talk.question, **talk.options) == failed
    assert (await talk.service.head(), len(fake.requests)) == (head, asked)
    await talk.service.refused(422, REUSED, *talk.question, **{**keyed, "json": {"message": "No"}})


async def test_the_same_words_with_another_key_are_answered_by_that_key_again(
    talk: Talk, other: Service, fake: FakeAnthropic
) -> None:
    """Though the log has a retry there, without the words; other words with it are refused."""
    await left_unanswered(talk, fake)
    keyed: Any = {**talk.options, "headers": {"Idempotency-Key": "again"}}
    first = await talk.service.call(*talk.question, **keyed)
    assert first[0] == 200
    assert await other.call(*talk.question, **keyed) == first
    keyed["json"] = {"message": "Something else"}
    await other.refused(422, REUSED, *talk.question, **keyed)


async def test_a_retry_counts_as_a_message(service: Service, fake: FakeAnthropic) -> None:
    limits: Any = {"max_messages": 2, "max_attempts": 1}
    async with running_beside(service, anthropic_base_url=fake.url, **limits) as bounded:
        bounded.tokens = service.tokens
        talk = await talk_of(bounded)
        path = await left_unanswered(talk, fake)
        assert (await bounded.call("POST", path, user=talk.learner))[0] == 200
        status, body = await bounded.say(talk.conversation["id"], "And?", talk.learner)
        assert (status, body["code"]) == (429, "rate_limited")


async def test_a_teacher_sees_what_the_learner_sees(talk: Talk, fake: FakeAnthropic) -> None:
    """Also where only the state of a message has changed, which moves the entity tag."""
    path = f"{CONVERSATIONS}/{talk.conversation['id']}"
    before = (await talk.service.request("GET", path, user=TEACHER)).headers["ETag"]
    await stopped(talk, fake)
    _, shown = await talk.service.call("GET", path, user=TEACHER)
    active = await talk.service.request("GET", CONVERSATIONS, user=talk.learner)
    assert shown["messages"] == (await active.json())["messages"]
    again = await talk.service.request("GET", path, user=TEACHER)
    assert before != again.headers["ETag"]
    retry = turn_path(talk.conversation["id"], shown["messages"][2]["turn_id"], "retry")
    fake.script(HALF)
    waiting = asyncio.create_task(talk.service.call("POST", retry, user=talk.learner))
    await fake.wait_until(lambda: fake.stalled == 1)
    known = {"If-None-Match": again.headers["ETag"]}
    under_way = await talk.service.request("GET", path, user=TEACHER, headers=known)
    assert under_way.status == 200
    assert said_in(await under_way.json()) == [("User", "Why?")]
    fake.release()
    assert (await waiting)[0] == 200


async def test_the_log_of_all_these_tests_is_lawful(service: Service) -> None:
    await service.open(await service.enroll())
    assert_lawful(await service.history())
