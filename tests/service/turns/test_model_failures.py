"""What a learner gets, and what the log keeps, when the provider fails in each of its ways.

The provider is a real server that speaks its protocol; the SDK in between is the real one.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from eventstore.dialogue_events import (
    AssessmentFailed,
    ConversationStarted,
    ObjectivesAssessed,
    OpeningFailed,
    OpeningRequested,
    ReplyCompleted,
    ReplyFailed,
)
from eventstore.envelope import RecordedEvent
from eventstore.reply_records import AttemptRecord, ContextRecord, PromptVersion, ReplyRecord, Usage
from service.model.anthropic_provider import AnthropicModel
from service.model.circuit_breaker import CircuitBreaker
from service.model.client import BreakerPolicy, ModelClient
from service.model.errors import LEARNER_SENTENCES
from service.model.prompt_templates import TutorPrompt
from tests.databases import cloned_database
from tests.fake_anthropic import (
    Behaviour,
    Chooser,
    FakeAnthropic,
    HttpError,
    Received,
    Speech,
    Stall,
)
from tests.fake_anthropic_behaviours import BEHAVIOURS
from tests.running import CONVERSATIONS, TEACHER, Service, messages_of, running_service
from tests.service.histories import assert_lawful, types_of
from tests.service.kept_messages import assert_kept, with_kept, without_ids
from tests.service.reading_streams import SSE, pieces_of, read_stream

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPLY_TIMEOUT = 60.0
KEY = "sk-secret-of-the-school"
MODEL, JUDGE, FALLBACK = "claude-haiku-5-5", "claude-opus-5-5", "claude-sonnet-5-5"
REPLY = "What do you already know about it?"
MESSAGE = "It is the Moon"
HALF = ("What do you ", "already ")
BEGUN = Usage(input_tokens=12, output_tokens=1, cache_read_input_tokens=2048)
WHOLE = Usage(input_tokens=12, output_tokens=7, cache_read_input_tokens=2048)
COSTS = {BEGUN: 22, WHOLE: 25, None: None}
"""Micro-dollars of MODEL for these tokens, at 0.1, 0.5 and, from the cache, 0.01 for one."""

OPENING_FAILED = ["opening_requested", "opening_failed"]
REPLY_FAILED = ["message_posted", "reply_failed"]


class Failing(msgspec.Struct, frozen=True, kw_only=True):
    """A way to fail: what it is to the learner, and what it has taken.

    `attempts` of two; `pieces` of the reply that had arrived, None where the clock decides;
    `usage` of each attempt.
    """

    code: str
    attempts: int = 1
    retryable: bool = True
    retry_after: float | None = None
    pieces: tuple[str, ...] | None = ()
    usage: Usage | None = None
    provider_request_id: bool = True


WRONG = Failing(code="model_misconfigured", retryable=False)
NO_PROTOCOL = Failing(code="model_interrupted", attempts=2, provider_request_id=False)
CUT = Failing(code="model_interrupted", pieces=HALF, usage=BEGUN)
UNREACHABLE = Failing(code="model_unavailable", attempts=2, provider_request_id=False)

FAILINGS = {
    "bad_request_400": WRONG,
    "unauthenticated_401": WRONG,
    "payment_402": WRONG,
    "forbidden_403": WRONG,
    "not_found_404": WRONG,
    "too_large_413": WRONG,
    "unprocessable_422": WRONG,
    "rate_limited_429": Failing(code="model_rate_limited", retry_after=2.0),
    "spending_cap_429": Failing(code="model_rate_limited", retryable=False),
    "server_error_500": Failing(code="model_unavailable", attempts=2),
    "unavailable_503": Failing(code="model_overloaded", attempts=2),
    "overloaded_529": Failing(code="model_overloaded", attempts=2),
    "stall_before_headers": Failing(code="model_timeout", attempts=2, provider_request_id=False),
    "stall_in_stream": Failing(code="model_timeout", pieces=HALF[:1], usage=BEGUN),
    "drip": Failing(code="model_timeout", pieces=None, usage=BEGUN),
    "cut": CUT,
    "early_end": CUT,
    "sse_overloaded": Failing(code="model_overloaded", pieces=HALF, usage=BEGUN),
    "sse_api_error": Failing(code="model_unavailable", pieces=HALF, usage=BEGUN),
    "refusal": Failing(code="model_refused", retryable=False, pieces=("I ",), usage=WHOLE),
    "empty_text": Failing(code="model_empty", attempts=2, usage=WHOLE),
    "blank_text": Failing(code="model_empty", pieces=(" ", "\n"), usage=WHOLE),
    "empty_200": NO_PROTOCOL,
    "plain_text_200": NO_PROTOCOL,
    "wrong_json_200": NO_PROTOCOL,
    "malformed_stream": NO_PROTOCOL,
}
LIMITS: dict[str, dict[str, Any]] = {
    "rate_limited_429": {"reply_timeout": 1.9},
    "stall_before_headers": {"stall_timeout": 1.0},
    "stall_in_stream": {"stall_timeout": 1.0},
    "drip": {"reply_timeout": 3.0},
}
"""Settings that cut short what the provider draws out; in all else it may take its time."""

REPLIES = ("good", "slow", "patient", "max_tokens", "context_window", "tool_use")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A learner who has this conversation and asks for a new one, or for a reply in it."""

    learner: int
    before: Any
    opening: bool
    streaming: bool

    @property
    def message(self) -> str:
        """What they say: something new each time."""
        return f"Is it the Moon ({len(self.before['messages'])})?"

    @property
    def request_id(self) -> str:
        """Which the learner's client chose."""
        return str(UUID(int=self.learner))


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: the JSON in the end, and the pieces of the reply before, in a stream."""

    done: bool
    body: Any
    pieces: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fake() -> AsyncIterator[FakeAnthropic]:
    """The provider, with the SDK imported already: that takes longer than a reply may here."""
    async with FakeAnthropic() as server:
        model = AnthropicModel(KEY, server.url, 1.0, 1)
        await model.warm_up()
        await model.close()
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(fake: FakeAnthropic, server_url: str) -> AsyncIterator[Service]:
    """A service that asks the fake provider; every test brings learners of its own."""
    async with cloned_database(server_url) as url, reply_task(fake.url, url) as running:
        yield running


class NeverWary(ModelClient):
    """Has a new circuit breaker each time, so that failures do not add up between requests."""

    def _breaker(self, name: str) -> CircuitBreaker:
        return CircuitBreaker(name, BreakerPolicy())


@asynccontextmanager
async def reply_task(
    provider: str,
    database_url: str,
    asker: Callable[..., ModelClient] = NeverWary,
    **settings: Any,
) -> AsyncIterator[Service]:
    """A service that asks a provider twice, at once."""
    small = {
        "anthropic_api_key": KEY,
        "assessment_model": JUDGE,
        "reply_timeout": REPLY_TIMEOUT,
        "max_attempts": 2,
        "retry_pause": 0.005,
    }
    chosen = {**small, "anthropic_base_url": provider, **settings}
    async with AsyncExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("service.app.ModelClient", asker)
            running = await stack.enter_async_context(running_service(database_url, **chosen))
        yield running


@asynccontextmanager
async def in_time(
    service: Service, fake: FakeAnthropic, behaviour: Behaviour | str
) -> AsyncIterator[Service]:
    """The service, or where the provider would keep it for long, one that has less patience."""
    limits = LIMITS.get(behaviour) if isinstance(behaviour, str) else None
    if limits is None:
        yield service
        return
    async with reply_task(fake.url, service.database_url, **limits) as hurried:
        hurried.tokens = service.tokens
        yield hurried


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def learners(service: Service) -> list[int]:
    """Four who go through all that the provider can do to them."""
    return [await service.enroll() for _ in range(4)]


@pytest_asyncio.fixture(loop_scope="module")
async def learner(service: Service, fake: FakeAnthropic) -> int:
    """A learner whose dialogue is empty; the provider has not been asked anything yet."""
    fake.requests.clear()
    return await service.enroll()


@pytest.fixture(autouse=True)
def _provider_recovers(fake: FakeAnthropic) -> Iterator[None]:
    yield
    fake.default = "good"
    fake.release()


@pytest.fixture
def known_url(service: Service) -> str:
    """The database that all services here share; each has circuits of its own."""
    return service.database_url


async def four_ways(service: Service, learners: Sequence[int] = ()) -> list[Asked]:
    """For a message and for an opening, plain and streaming; each by a learner of its own."""
    learners = learners or [await service.enroll() for _ in range(4)]

    async def asked(learner: int, opening: bool, streaming: bool) -> Asked:
        before = await service.active(learner) or await service.open(learner)
        return Asked(learner=learner, before=before, opening=opening, streaming=streaming)

    ways = product((False, True), repeat=2)
    each = zip(learners, ways, strict=True)
    return await asyncio.gather(*(asked(learner, *way) for learner, way in each))


async def ask(service: Service, asked: Asked) -> Told:
    """Asks, and reads the answer to its end."""
    path = CONVERSATIONS if asked.opening else messages_of(asked.before["id"])
    options: dict[str, Any] = {
        "user": asked.learner,
        "headers": {"X-Request-Id": asked.request_id},
        "json": {} if asked.opening else {"message": asked.message},
    }
    if asked.streaming:
        events = await read_stream(service, "POST", path, **options)
        last = events[-1]
        return Told(done=last.name == "done", body=last.data, pieces=tuple(pieces_of(events)))
    response = await service.request("POST", path, **options)
    body = await response.json()
    done = response.status == (201 if asked.opening else 200)
    assert done or response.status == 503, (response.status, body)
    return Told(done=done, body=body, headers=response.headers)


def dialogue(log: list[RecordedEvent], learner: int) -> list[RecordedEvent]:
    """A learner's part of the log, but for judging beside the replies."""
    beside = ObjectivesAssessed | AssessmentFailed
    own = (event for event in log if event.stream == f"dialogue-1-{learner}")
    return [event for event in own if not isinstance(event.event, beside)]


async def assert_failed_as_documented(
    failing: Failing, service: Service, provider: str, ways: list[Asked]
) -> None:
    """Asks in all ways at once while the provider fails, and looks at everything after it."""
    known = await service.head()
    answers = await asyncio.gather(*(ask(service, asked) for asked in ways))
    log = await service.history(known)
    for asked, told in zip(ways, answers, strict=True):
        active = await service.active(asked.learner)
        if asked.opening:
            assert active == asked.before
        else:
            assert_kept(
                asked.before, active, asked.message, failing.code, retryable=failing.retryable
            )
        assert_told(failing, asked, told, provider, active["messages"][-1])
        events = dialogue(log, asked.learner)
        assert types_of(events) == (OPENING_FAILED if asked.opening else REPLY_FAILED)
        assert_recorded(failing, asked, *events)


def assert_told(failing: Failing, asked: Asked, told: Told, provider: str, newest: Any) -> None:
    """The documented answer and nothing of what is behind it."""
    assert not told.done
    error = {
        "error": LEARNER_SENTENCES[failing.code],
        "code": failing.code,
        "retryable": failing.retryable,
        "reference_id": asked.request_id,
    }
    assert told.body == (error if asked.opening else with_kept(error, newest))
    wait = failing.retry_after
    assert told.headers.get("Retry-After") == (
        None if wait is None or asked.streaming else f"{wait:.0f}"
    )
    if asked.streaming and failing.pieces is not None:
        assert told.pieces == failing.pieces
    whole = f"{told.headers} {told.body}"
    for internal in (KEY, provider, "nthropic", "claude", "Error", "scripted", "HTTP", "Trace"):
        assert internal not in whole


def assert_recorded(
    failing: Failing, asked: Asked, question: RecordedEvent, end: RecordedEvent
) -> None:
    assert question.metadata.request_id == end.metadata.request_id == asked.request_id
    assert (question.metadata.actor.id, question.metadata.actor.role) == (asked.learner, "learner")
    assert (end.metadata.actor.id, end.metadata.actor.role) == (None, "model")
    assert end.metadata.causation_id == str(question.event_id)
    assert question.content == (None if asked.opening else asked.message)
    if failing.pieces is not None:
        assert end.content == ("".join(failing.pieces) or None)
    assert isinstance(end.event, OpeningFailed | ReplyFailed)
    assert_cause_recorded(failing, end.event)
    assert_attempts_recorded(failing, end.event)


def assert_cause_recorded(failing: Failing, event: OpeningFailed | ReplyFailed) -> None:
    billed = COSTS[failing.usage] or 0
    assert (event.code, event.retryable) == (failing.code, failing.retryable)
    assert event.retry_after == failing.retry_after
    assert (event.model, event.usage) == (MODEL, failing.usage)
    assert (event.price_version, event.cost_microusd) == (
        "2026-11-22",
        billed * len(event.attempt_records),
    )
    assert event.provider_request_id == event.attempt_records[-1].provider_request_id
    assert event.duration_ms is not None
    assert event.duration_ms >= 0
    assert event.detail
    assert KEY not in str(event)


def assert_attempts_recorded(failing: Failing, event: OpeningFailed | ReplyFailed) -> None:
    records = event.attempt_records
    assert [(r.model, r.outcome, r.usage, r.cost_microusd) for r in records] == [
        (MODEL, failing.code, failing.usage, COSTS[failing.usage])
    ] * failing.attempts
    for record in records:
        known = (record.provider_request_id or "").startswith("req_fake_")
        assert known == failing.provider_request_id
        assert record.duration_ms is not None
    assert records[0].waited_ms == 0


async def assert_next_turns_work(service: Service, ways: list[Asked]) -> None:
    """The same requests again, now that the provider is well."""
    answers = await asyncio.gather(*(ask(service, asked) for asked in ways))
    for asked, told in zip(ways, answers, strict=True):
        assert told.done
        assert await service.active(asked.learner) == told.body
        said = [(m["role"], m["text"]) for m in told.body["messages"]]
        if asked.opening:
            assert told.body["id"] != asked.before["id"]
            assert said[1:] == [("Assistant", REPLY)]
        else:
            count = len(asked.before["messages"])
            assert told.body["messages"][:count] == asked.before["messages"]
            assert said[count:] == [("User", asked.message), ("Assistant", REPLY)], "a retry"
            assert "state" not in told.body["messages"][count]


def assert_never_two_user_turns(requests: list[Received]) -> None:
    for request in requests:
        roles = [message["role"] for message in request.body["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"], roles
        contents = [message["content"] for message in request.body["messages"][::2]]
        assert len(set(contents)) == len(contents), "a message came twice"


async def test_every_way_to_fail_is_in_the_table() -> None:
    assert set(FAILINGS) | set(REPLIES) == set(BEHAVIOURS)


@pytest.mark.parametrize("behaviour", FAILINGS)
async def test_a_failure_is_told_recorded_and_costs_nothing_but_the_turn(
    behaviour: str, service: Service, fake: FakeAnthropic, learners: list[int]
) -> None:
    """An opening's leaves the old conversation, a reply's the message, to be retried."""
    ways = await four_ways(service, learners)
    fake.requests.clear()
    fake.default = behaviour
    async with in_time(service, fake, behaviour) as hurried:
        await assert_failed_as_documented(FAILINGS[behaviour], hurried, fake.url, ways)
    assert len(fake.requests) == FAILINGS[behaviour].attempts * len(ways)
    fake.default = "good"
    await assert_next_turns_work(service, ways)
    assert_never_two_user_turns(fake.requests)


async def test_a_provider_that_cannot_be_reached_is_a_failure_like_any_other(
    known_url: str,
) -> None:
    """Nobody listens at its address for a while."""
    with kept_port() as port:
        async with reply_task(f"http://127.0.0.1:{port}", known_url) as service:
            async with FakeAnthropic(port=port, reuse_port=True) as fake:
                provider = fake.url
                ways = await four_ways(service)
            await assert_failed_as_documented(UNREACHABLE, service, provider, ways)
            async with FakeAnthropic(port=port, reuse_port=True):
                await assert_next_turns_work(service, ways)


async def test_a_first_opening_that_fails_leaves_no_conversation(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    fake.script("spending_cap_429")
    assert (await service.call("POST", CONVERSATIONS, user=learner))[0] == 503
    assert await service.active(learner) == {}
    assert (await service.open(learner))["messages"][1]["text"] == REPLY


@pytest.mark.parametrize(
    ("first", "outcome", "pause"),
    [
        ("overloaded_529", "model_overloaded", 0),
        ("server_error_500", "model_unavailable", 0),
        ("stall_before_headers", "model_timeout", 0),
        ("empty_200", "model_interrupted", 0),
        (HttpError(429, "rate_limit_error", retry_after="0.25"), "model_rate_limited", 250),
    ],
    ids=["529", "500", "stall", "empty", "429 with a short pause"],
)
async def test_a_failure_that_passes_is_seen_by_nobody_but_the_log(
    first: Behaviour | str, outcome: str, pause: int, service: Service, fake: FakeAnthropic
) -> None:
    """A pause that the provider asks for is kept, where it ends before the deadline."""
    for asked in (await four_ways(service))[1:3]:  # a message streaming, an opening plain
        known = await service.head()
        fake.script(first)
        async with in_time(service, fake, first) as hurried:
            told = await ask(hurried, asked)
        assert told.done
        assert "".join(told.pieces) == REPLY * asked.streaming
        assert told.body["messages"][-1]["text"] == REPLY
        reply = reply_of(dialogue(await service.history(known), asked.learner)[-1])
        failed, completed = reply.attempt_records
        assert (failed.outcome, completed.outcome) == (outcome, "completed")
        assert completed.waited_ms >= pause
        assert (reply.attempts, reply.fallback) == (2, False)
        assert (reply.usage, reply.cost_microusd) == (WHOLE, COSTS[WHOLE])


async def test_a_rate_limit_of_an_hour_gives_up_at_once(
    service: Service, fake: FakeAnthropic
) -> None:
    """And the learner's client is told how long it lasts."""
    ways = await four_ways(service)
    fake.requests.clear()
    fake.default = HttpError(429, "rate_limit_error", retry_after="3600")
    failing = Failing(code="model_rate_limited", retry_after=3600.0)
    await assert_failed_as_documented(failing, service, fake.url, ways)
    assert len(fake.requests) == len(ways)


async def test_the_fallback_answers_where_the_first_model_does_not(
    known_url: str, fake: FakeAnthropic
) -> None:
    """The learner sees nothing of it; the log names both and what each has cost."""
    fake.default = down(MODEL)
    async with reply_task(fake.url, known_url, fallback_model=FALLBACK) as service:
        for asked in await four_ways(service):
            known = await service.head()
            told = await ask(service, asked)
            assert told.done
            assert told.body["messages"][-1]["text"] == REPLY
            reply = reply_of(dialogue(await service.history(known), asked.learner)[-1])
            assert (reply.model_requested, reply.model, reply.fallback) == (
                *(FALLBACK, FALLBACK),
                True,
            )
            assert [(r.model, r.outcome, r.cost_microusd) for r in reply.attempt_records] == [
                (MODEL, "model_overloaded", None),
                (MODEL, "model_overloaded", None),
                (FALLBACK, "completed", 299),
            ]
            assert (reply.attempts, reply.cost_microusd) == (3, 299)


async def test_where_the_fallback_fails_too_its_failure_is_told(
    known_url: str, fake: FakeAnthropic
) -> None:
    """With the shortest pause that any of them asked for. A refusal is final, though."""
    async with reply_task(fake.url, known_url, fallback_model=FALLBACK, max_attempts=1) as service:
        asked = (await four_ways(service))[0]
        fake.script(HttpError(429, "rate_limit_error", retry_after="90"), "server_error_500")
        told = await ask(service, asked)
        assert (told.body["code"], told.headers["Retry-After"]) == ("model_unavailable", "90")
        failed = (await service.history())[-1].event
        assert isinstance(failed, ReplyFailed)
        assert [(r.model, r.outcome) for r in failed.attempt_records] == [
            (MODEL, "model_rate_limited"),
            (FALLBACK, "model_unavailable"),
        ]
        fake.requests.clear()
        fake.script(Speech(pieces=("",), stop_reason="refusal"))
        assert (await ask(service, asked)).body["code"] == "model_refused"
        assert len(fake.requests) == 1


class StandingClock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_provider_that_keeps_failing_is_left_alone_for_a_while(
    known_url: str, fake: FakeAnthropic
) -> None:
    """Five failures open the circuit for five seconds; a trial that fails for ten."""
    clock = StandingClock()
    wary = partial(ModelClient, clock=clock)
    async with reply_task(fake.url, known_url, wary, max_attempts=1) as service:
        learner = await service.enroll()
        fake.default = "overloaded_529"
        for _ in range(5):
            await assert_opening_fails(service, learner, "model_overloaded", None)
        fake.requests.clear()
        await assert_opening_fails(service, learner, "model_unavailable", "5")
        failed = (await service.history())[-1].event
        assert isinstance(failed, OpeningFailed)
        assert [r.outcome for r in failed.attempt_records] == ["circuit_open"]
        clock.now += 4
        await assert_opening_fails(service, learner, "model_unavailable", "1")
        assert not fake.requests, "the provider was asked"
        clock.now += 1
        await assert_opening_fails(service, learner, "model_overloaded", None)
        await assert_opening_fails(service, learner, "model_unavailable", "10")
        assert len(fake.requests) == 1
        fake.default = "good"
        clock.now += 10
        assert (await service.open(learner))["messages"][1]["text"] == REPLY
        fake.script("overloaded_529")
        await assert_opening_fails(service, learner, "model_overloaded", None)
        await service.open(learner)  # closed: one failure is none again


async def test_the_trial_of_a_model_that_was_down_is_a_reply_and_no_judgement_beside_it(
    known_url: str, fake: FakeAnthropic
) -> None:
    """As it comes, one model replies and judges; the learner must not have to wait for a judge."""
    clock = StandingClock()
    wary = partial(ModelClient, clock=clock)
    async with reply_task(
        fake.url, known_url, wary, max_attempts=1, assessment_model=MODEL
    ) as service:
        conversation = await service.open()
        fake.script(*["overloaded_529"] * 5)
        for _ in range(5):
            assert (await service.call("POST", CONVERSATIONS))[0] == 503
        clock.now += 5
        status, body = await service.say(conversation["id"], "Are you well again?")
        assert (status, body.get("code")) == (200, None)


async def assert_opening_fails(
    service: Service, learner: int, code: str, retry_after: str | None
) -> None:
    response = await service.request("POST", CONVERSATIONS, user=learner)
    assert (response.status, (await response.json())["code"]) == (503, code)
    assert response.headers.get("Retry-After") == retry_after


async def test_one_reply_too_many_is_refused_before_anything_is_recorded(
    known_url: str, fake: FakeAnthropic
) -> None:
    """In a stream too it is a plain 503; the learner may try again in a moment."""
    busy = {
        "error": "too many replies are under way; try again in a moment",
        "code": "busy",
        "retryable": True,
    }
    async with reply_task(fake.url, known_url, max_replies=1) as service:
        first, other = await service.enroll(), await service.enroll()
        conversations = {user: (await service.open(user))["id"] for user in (first, other)}
        fake.script(Stall(after=1))
        waiting = asyncio.create_task(service.say(conversations[first], MESSAGE, first))
        await fake.wait_until(lambda: fake.stalled == 1)
        asked = len(fake.requests)
        for path, accept in product(
            (CONVERSATIONS, messages_of(conversations[other])), ("application/json", SSE["Accept"])
        ):
            body = {} if path == CONVERSATIONS else {"message": MESSAGE}
            response = await service.refused(
                *(503, busy, "POST", path), user=other, json=body, headers={"Accept": accept}
            )
            assert response.headers["Retry-After"] == "2"
        assert len(fake.requests) == asked
        fake.release()
        assert (await waiting)[0] == 200
        assert (await service.say(conversations[other], MESSAGE, other))[0] == 200


async def test_the_record_of_an_opening_says_how_it_came_about(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """And the model's words are the content, which the event itself does not repeat."""
    fake.script(speech_of_a_dated_model())
    await service.open(learner)
    started = (await service.history())[-1]
    assert isinstance(started.event, ConversationStarted)
    assert_record_of_the_speech(started.event.reply, messages=1)
    assert started.event.starting_prompt == fake.requests[-1].body["messages"][0]["content"]
    assert started.content == REPLY
    assert REPLY not in str(started.event)
    assert (started.metadata.actor.role, started.metadata.actor.id) == ("model", None)


async def test_the_record_of_a_reply_says_how_it_came_about(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """It names the question as its cause, and shares its correlation and its request."""
    conversation = await service.open(learner)
    known = await service.head()
    fake.script(speech_of_a_dated_model())
    await service.say(conversation["id"], "Why?", learner)
    posted, completed = dialogue(await service.history(known), learner)
    assert isinstance(completed.event, ReplyCompleted)
    assert_record_of_the_speech(completed.event.reply, messages=3)
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
    assert isinstance(requested.event, OpeningRequested)
    allowed = requested.event.deadline_at - requested.recorded_at
    assert timedelta(0) < allowed - timedelta(seconds=REPLY_TIMEOUT) < timedelta(seconds=60)


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


@pytest.mark.parametrize(
    ("stop_reason", "code"),
    [
        ("max_tokens", "reply_too_long"),
        ("model_context_window_exceeded", "conversation_too_long"),
        ("tool_use", "reply_unfinished"),
        ("pause_turn", "reply_unfinished"),
        ("length", "reply_unfinished"),
        ("stop_sequence", None),
        ("end_turn", None),
    ],
)
async def test_a_reply_that_breaks_off_is_a_reply_that_says_so(
    stop_reason: str, code: str | None, service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """In the answer, the stream and all views, openings too; the log has the reason."""
    speech = Speech(stop_reason=stop_reason)
    mark = {} if code is None else {"incomplete": True, "code": code}
    fake.script(*[speech] * (10 if stop_reason == "pause_turn" else 2))
    opened = await service.open(learner)
    status, answer = await service.say(opened["id"], "Go on", learner)
    assert status == 200
    assert reply_of((await service.history())[-1]).stop_reason == stop_reason
    marks = [
        {name: message[name] for name in ("incomplete", "code") if name in message}
        for message in answer["messages"]
    ]
    assert marks == [{}, mark, {}, mark]
    assert await service.active(learner) == answer
    path = f"{CONVERSATIONS}/{opened['id']}"
    _, taught = await service.call("GET", path, user=TEACHER)
    assert taught["messages"] == answer["messages"]


async def test_a_bug_in_the_model_code_fails_the_turn_and_not_the_conversation(
    service: Service, learner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody foresaw is told like any other, and its words go to the log only."""
    conversation = await service.open(learner)
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr("service.model.response.StreamedResponse.reply", broken)
        await assert_internal_error(service, conversation["id"], learner)
    assert "model_broke" in {line["event"] for line in logs}


async def test_a_reply_that_the_database_refuses_fails_the_turn_at_once(
    service: Service, fake: FakeAnthropic, learner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were something let in that cannot be stored, the turn would stay open without this."""
    conversation = await service.open(learner)
    fake.script(Speech(model="mod\0el"))
    with monkeypatch.context() as patch:
        patch.setattr("eventstore.provider_values.storable", str)
        await assert_internal_error(service, conversation["id"], learner)
    assert (await service.say(conversation["id"], "Hello again", learner))[0] == 200


async def test_a_reply_is_kept_with_marks_where_the_database_cannot_hold_it(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    conversation = await service.open(learner)
    fake.script(Speech(pieces=("What do\0 you ", "know?")))
    status, body = await service.say(conversation["id"], "Hello", learner)
    assert (status, body["messages"][-1]["text"]) == (200, "What do\ufffd you know?")
    assert (await service.active(learner))["messages"] == body["messages"]


async def test_the_log_of_all_these_tests_is_lawful(service: Service) -> None:
    await service.open(await service.enroll())
    assert_lawful(await service.history())


async def assert_internal_error(service: Service, conversation_id: int, learner: int) -> None:
    status, body = await service.say(conversation_id, "Hello", learner)
    assert (status, without_ids(body)) == (
        503,
        {
            "error": LEARNER_SENTENCES["internal_error"],
            "code": "internal_error",
            "retryable": True,
        },
    )
    assert types_of(await service.history())[-1] == "reply_failed"


def broken(_arrival: object) -> None:
    raise RuntimeError("wires crossed")


def down(model: str) -> Chooser:
    """A provider that has trouble with one of its models."""
    return lambda request: BEHAVIOURS[
        "overloaded_529" if request.body["model"] == model else "good"
    ]


def reply_of(event: RecordedEvent) -> ReplyRecord:
    assert isinstance(event.event, ConversationStarted | ReplyCompleted)
    return event.event.reply


def speech_of_a_dated_model() -> Speech:
    return Speech(
        model="claude-haiku-5-5-20261001",
        input_tokens=31,
        output_tokens=9,
        cache_creation_input_tokens=100,
        cache_read_input_tokens=2000,
        first_delay=0.02,
    )


def assert_record_of_the_speech(reply: ReplyRecord, messages: int) -> None:
    prompt = TutorPrompt().version
    assert reply.provider_request_id is not None
    assert reply.provider_request_id.startswith("req_fake_")
    assert reply.first_token_ms is not None
    assert 20 <= reply.first_token_ms <= reply.duration_ms
    usage = Usage(
        input_tokens=31,
        output_tokens=9,
        cache_creation_input_tokens=100,
        cache_read_input_tokens=2000,
    )
    (attempt,) = reply.attempt_records
    assert reply.context is not None
    assert reply.context.estimated_tokens > 0
    assert reply == ReplyRecord(
        model_requested=MODEL,
        model="claude-haiku-5-5-20261001",
        max_tokens=1024,
        prompt=PromptVersion(name=prompt.name, sha256=prompt.sha256),
        stop_reason="end_turn",
        usage=usage,
        provider_request_id=reply.provider_request_id,
        first_token_ms=reply.first_token_ms,
        duration_ms=reply.duration_ms,
        attempts=1,
        attempt_records=(
            AttemptRecord(
                model=MODEL,
                outcome="completed",
                usage=usage,
                cost_microusd=40,  # 3.1 + 4.5 + 12.5 + 20
                provider_request_id=reply.provider_request_id,
                duration_ms=attempt.duration_ms,
            ),
        ),
        fallback=False,
        price_version="2026-11-22",
        cost_microusd=40,
        context=ContextRecord(
            messages_sent=messages,
            messages_left_out=0,
            estimated_tokens=reply.context.estimated_tokens,
        ),
    )


@contextmanager
def kept_port() -> Iterator[int]:
    """A port on which nobody listens, and which nobody gets who does not mean to share it."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0))
        yield int(sock.getsockname()[1])
