"""What a learner gets, and what the log keeps, when the provider fails in each of its ways.

The provider is a real server that speaks its protocol; the SDK in between is the real one.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from eventstore.events import (
    ConversationStarted,
    OpeningFailed,
    PromptVersion,
    ReplyCompleted,
    ReplyFailed,
    ReplyRecord,
    Usage,
)
from service.model.anthropic_provider import AnthropicModel
from service.model.errors import LEARNER_SENTENCES
from service.model.prompts import TutorPrompt
from tests.fake_anthropic import FakeAnthropic, Received, Speech
from tests.running import (
    CONVERSATIONS,
    Service,
    cloned_database,
    messages_of,
    running_service,
)
from tests.service.histories import assert_lawful, types_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPLY_TIMEOUT = 2.0
KEY = "sk-secret-of-the-school"
REPLY = "What do you already know about it?"
HALF = "What do you already "
PIECE = "What do you "


class Failing(msgspec.Struct, frozen=True):
    """A way to fail: what it is to the learner, and what had arrived until then."""

    behaviour: str
    code: str
    retryable: bool = True
    partial: str | None = None
    provider_request_id: bool = True


FAILINGS = (
    Failing("rate_limited_429", "model_rate_limited", provider_request_id=False),
    Failing("spending_cap_429", "model_rate_limited", retryable=False, provider_request_id=False),
    Failing("overloaded_529", "model_overloaded", provider_request_id=False),
    Failing("server_error_500", "model_unavailable", provider_request_id=False),
    Failing("unavailable_503", "model_overloaded", provider_request_id=False),
    Failing(
        "unauthenticated_401", "model_misconfigured", retryable=False, provider_request_id=False
    ),
    Failing("stall_before_headers", "model_timeout", provider_request_id=False),
    Failing("stall_in_stream", "model_timeout", partial=PIECE),
    Failing("drip", "model_timeout"),
    Failing("cut", "model_interrupted", partial=HALF),
    Failing("early_end", "model_interrupted", partial=HALF),
    Failing("refusal", "model_refused", retryable=False, partial="I "),
    Failing("empty_text", "model_empty"),
    Failing("sse_overloaded", "model_overloaded", partial=HALF),
    Failing("malformed_stream", "model_interrupted", provider_request_id=False),
)
each_failing = pytest.mark.parametrize("failing", FAILINGS, ids=lambda f: f.behaviour)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fake() -> AsyncIterator[FakeAnthropic]:
    """The provider, with the SDK imported already: that takes longer than a reply may here."""
    async with FakeAnthropic() as server:
        model = AnthropicModel("any", KEY, server.url, 1.0)
        await model.warm_up()
        await model.close()
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(fake: FakeAnthropic, server_url: str) -> AsyncIterator[Service]:
    """A service that asks the fake provider; every test brings a learner of its own."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(
            database_url,
            anthropic_base_url=fake.url,
            anthropic_api_key=KEY,
            stall_timeout=0.5,
            reply_timeout=REPLY_TIMEOUT,
        ) as running,
    ):
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def learner(service: Service, fake: FakeAnthropic) -> int:
    """A learner whose dialogue is empty; the provider has not been asked anything yet."""
    fake.requests.clear()
    return await service.enroll()


def assert_told(failing: Failing, status: int, body: Any) -> None:
    """The documented body and nothing of what is behind it."""
    assert status == 503
    assert body.pop("reference_id")
    assert body == {
        "error": LEARNER_SENTENCES[failing.code],
        "code": failing.code,
        "retryable": failing.retryable,
    }


def assert_recorded(failing: Failing, event: OpeningFailed | ReplyFailed, content: Any) -> None:
    assert event.code == failing.code
    if failing.behaviour != "drip":  # how much of it arrives is up to the clock
        assert content == failing.partial
    assert (event.provider_request_id or "").startswith("req_fake_" * failing.provider_request_id)
    assert event.duration_ms is not None
    assert event.duration_ms >= 0
    assert KEY not in event.detail


def assert_never_two_user_turns(requests: list[Received]) -> None:
    for request in requests:
        roles = [message["role"] for message in request.body["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"], roles


@each_failing
async def test_a_failed_opening_is_told_recorded_and_costs_nobody_their_conversation(
    failing: Failing, service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """The old conversation is still the active one, and the next opening works."""
    old = await service.open(learner)
    known = await service.head()
    fake.script(failing.behaviour)
    status, body = await service.call("POST", CONVERSATIONS, user=learner)
    assert_told(failing, status, body)
    requested, failed = await service.history(known)
    assert types_of([requested, failed]) == ["opening_requested", "opening_failed"]
    assert isinstance(failed.event, OpeningFailed)
    assert_recorded(failing, failed.event, failed.content)
    assert await service.active(learner) == old
    assert (await service.say(old["id"], "Then we go on", learner))[0] == 200
    new = await service.open(learner)
    assert await service.active(learner) == new != old
    assert_never_two_user_turns(fake.requests)
    assert_lawful(await service.history())


@each_failing
async def test_a_failed_reply_is_told_recorded_and_leaves_the_learners_view(
    failing: Failing, service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """The learner can send again at once, and the model sees the message once."""
    before = await service.open(learner)
    known = await service.head()
    fake.script(failing.behaviour)
    status, body = await service.say(before["id"], "It is the Moon", learner)
    assert_told(failing, status, body)
    posted, failed = await service.history(known)
    assert (types_of([posted]), posted.content) == (["message_posted"], "It is the Moon")
    assert isinstance(failed.event, ReplyFailed)
    assert_recorded(failing, failed.event, failed.content)
    assert await service.active(learner) == before
    status, body = await service.say(before["id"], "It is the Moon", learner)
    assert status == 200
    assert body["messages"][:2] == before["messages"]
    assert [(m["role"], m["text"]) for m in body["messages"][2:]] == [
        ("User", "It is the Moon"),
        ("Assistant", REPLY),
    ]
    assert_never_two_user_turns(fake.requests)
    assert str(fake.requests[-1].body["messages"]).count("It is the Moon") == 1
    assert_lawful(await service.history())


async def test_a_first_opening_that_fails_leaves_no_conversation(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    fake.script("overloaded_529")
    assert (await service.call("POST", CONVERSATIONS, user=learner))[0] == 503
    assert await service.active(learner) == {}
    assert (await service.open(learner))["messages"][1]["text"] == REPLY


@pytest.mark.parametrize("failing", FAILINGS[:6], ids=lambda f: f.behaviour)
async def test_nothing_internal_leaks_into_an_answer(
    failing: Failing, service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """No key, no address, no class, no words of the provider, in the body or the headers."""
    conversation = await service.open(learner)
    fake.script(failing.behaviour)
    response = await service.request(
        "POST", messages_of(conversation["id"]), user=learner, json={"message": "Hello"}
    )
    whole = f"{response.headers} {await response.text()}"
    for internal in (KEY, fake.url, "nthropic", "Error", "scripted", "HTTP", "Traceback"):
        assert internal not in whole


async def test_the_record_of_an_opening_says_how_it_came_about(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """And the model's words are the content, which the event itself does not repeat."""
    fake.script(speech_of_a_dated_model())
    await service.open(learner)
    started = (await service.history())[-1]
    assert isinstance(started.event, ConversationStarted)
    assert_record_of_the_speech(started.event.reply)
    assert started.event.starting_prompt == fake.requests[-1].body["messages"][0]["content"]
    assert started.content == REPLY
    assert REPLY not in str(started.event)
    assert (started.metadata.actor.role, started.metadata.actor.id) == ("model", None)


async def test_the_record_of_a_reply_says_how_it_came_about(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """It names the question as its cause, and shares its correlation and its request."""
    conversation = await service.open(learner)
    fake.script(speech_of_a_dated_model())
    await service.say(conversation["id"], "Why?", learner)
    posted, completed = (await service.history())[-2:]
    assert isinstance(completed.event, ReplyCompleted)
    assert_record_of_the_speech(completed.event.reply)
    assert completed.content == REPLY
    assert completed.metadata.causation_id == str(posted.event_id)
    assert completed.metadata.correlation_id == posted.metadata.correlation_id is not None
    assert completed.metadata.request_id == posted.metadata.request_id is not None
    assert (posted.metadata.actor.id, posted.metadata.actor.role) == (learner, "learner")
    assert posted.metadata.token_id is not None
    assert completed.metadata.token_id is None


async def test_the_deadline_of_a_turn_lies_behind_the_replys_time_limit(
    service: Service, learner: int
) -> None:
    """So that nobody takes a turn for abandoned whose model may still answer."""
    await service.open(learner)
    requested = (await service.history())[-2]
    allowed = requested.event.deadline_at - requested.recorded_at  # type: ignore[union-attr]
    assert timedelta(seconds=REPLY_TIMEOUT) < allowed < timedelta(seconds=60)


async def test_the_model_reads_the_whole_conversation_and_the_experience(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    conversation = await service.open(learner)
    await service.say(conversation["id"], "The Moon pulls", learner)
    await service.say(conversation["id"], "And the Sun", learner)
    body = fake.requests[-1].body
    assert [m["role"] for m in body["messages"]] == ["user", "assistant"] * 2 + ["user"]
    assert [m["content"] for m in body["messages"]][1:] == [
        *(REPLY, "The Moon pulls"),
        *(REPLY, "And the Sun"),
    ]
    assert "gravity" in str(body["system"])
    assert "gravity" not in str(body["messages"])


async def test_a_reply_cut_off_by_its_length_is_a_reply(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    conversation = await service.open(learner)
    fake.script("max_tokens")
    assert (await service.say(conversation["id"], "Go on", learner))[0] == 200
    completed = (await service.history())[-1].event
    assert isinstance(completed, ReplyCompleted)
    assert completed.reply.stop_reason == "max_tokens"


async def test_a_bug_in_the_model_code_fails_the_turn_and_not_the_conversation(
    service: Service, learner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody foresaw is told like any other, and its words go to the log only."""
    conversation = await service.open(learner)
    with monkeypatch.context() as patch:
        patch.setattr("service.model.arrival.Arrival.reply", broken)
        status, body = await service.say(conversation["id"], "Hello", learner)
    assert_told(Failing("", "internal_error"), status, body)
    assert types_of(await service.history())[-1] == "reply_failed"
    assert (await service.say(conversation["id"], "Hello again", learner))[0] == 200
    assert_lawful(await service.history())


async def test_a_reply_is_kept_with_marks_where_the_database_cannot_hold_it(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    conversation = await service.open(learner)
    fake.script(Speech(pieces=("What do\0 you ", "know?")))
    status, body = await service.say(conversation["id"], "Hello", learner)
    assert (status, body["messages"][-1]["text"]) == (200, "What do\ufffd you know?")
    assert (await service.active(learner))["messages"] == body["messages"]


async def test_a_reply_that_the_database_refuses_fails_the_turn_at_once(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """Here a gateway's name of its model; without this the turn would stay open."""
    conversation = await service.open(learner)
    fake.script(Speech(model="mod\0el"))
    status, body = await service.say(conversation["id"], "Hello", learner)
    assert_told(Failing("", "internal_error"), status, body)
    assert types_of(await service.history())[-1] == "reply_failed"
    assert (await service.say(conversation["id"], "Hello again", learner))[0] == 200
    assert_lawful(await service.history())


def broken(_arrival: object) -> None:
    raise RuntimeError("wires crossed")


def speech_of_a_dated_model() -> Speech:
    return Speech(
        model="claude-haiku-5-5-20261001",
        input_tokens=31,
        output_tokens=9,
        cache_creation_input_tokens=100,
        cache_read_input_tokens=2000,
        first_delay=0.02,
    )


def assert_record_of_the_speech(reply: ReplyRecord) -> None:
    prompt = TutorPrompt().version
    assert reply.provider_request_id is not None
    assert reply.provider_request_id.startswith("req_fake_")
    assert reply.first_token_ms is not None
    assert 20 <= reply.first_token_ms <= reply.duration_ms
    measured = {"provider_request_id", "first_token_ms", "duration_ms"}
    stated = {k: v for k, v in msgspec.structs.asdict(reply).items() if k not in measured}
    assert stated == {
        "model_requested": "claude-haiku-5-5",
        "model": "claude-haiku-5-5-20261001",
        "max_tokens": 1024,
        "prompt": PromptVersion(name=prompt.name, sha256=prompt.sha256),
        "stop_reason": "end_turn",
        "usage": Usage(
            input_tokens=31,
            output_tokens=9,
            cache_creation_input_tokens=100,
            cache_read_input_tokens=2000,
        ),
        "attempts": 1,
    }
