import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import count

import aiohttp
import msgspec
import pytest

from eventstore.reply_records import Usage
from service.model.anthropic_provider import PLACEHOLDER_KEY, AnthropicModel
from service.model.errors import LEARNER_SENTENCES, MODEL_EMPTY, ModelFailure
from service.model.interface import ChatMessage, Model, ReplyRequest, Scenario
from service.model.prompt_templates import TutorPrompt
from service.model.response import OnDelta, Reply, StreamedResponse
from tests.fake_anthropic import (
    BEHAVIOURS,
    Cut,
    EarlyEnd,
    FakeAnthropic,
    HttpError,
    RawAnswer,
    Speech,
    Stall,
    StreamError,
)
from tests.service.model.scripted import LoopTime

HAIKU = "claude-haiku-5-5"
SECRET_KEY = "sk-secret-of-the-school"
LEARNERS_TEXT = "My sister is called Wilhelmina"
PATIENT, HASTY = 10.0, 0.4  # stall timeouts in seconds
DRIP = BEHAVIOURS["drip"].delay  # type: ignore[union-attr]  # a Speech
SCENARIO = Scenario("Seasons", "On an observatory", "Axial tilt", ("Explain winter",), "Be brief")


REQUEST = ReplyRequest(
    scenario=SCENARIO,
    messages=(
        ChatMessage("user", "Let us begin"),
        ChatMessage("assistant", "What is winter?"),
        ChatMessage("user", LEARNERS_TEXT),
    ),
    max_tokens=300,
)


def model_at(
    url: str | None, stall_timeout: float = PATIENT, key: str | None = SECRET_KEY
) -> AnthropicModel:
    return AnthropicModel(key, url, stall_timeout, max_connections=100)


async def reply_of(model: Model, budget: float = 20.0, on_delta: OnDelta | None = None) -> Reply:
    response = StreamedResponse(HAIKU, on_delta)
    await model.answer(REQUEST, response, budget)
    return response.reply()


async def failure_of(
    model: Model, budget: float = 20.0, on_delta: OnDelta | None = None
) -> ModelFailure:
    with pytest.raises(ModelFailure) as caught:
        await model.answer(REQUEST, StreamedResponse(HAIKU, on_delta), budget)
    return caught.value


def label(value: object) -> str | None:
    """A short test id for a behaviour."""
    return type(value).__name__ if isinstance(value, msgspec.Struct) else None


@pytest.fixture
async def fake() -> AsyncIterator[FakeAnthropic]:
    async with FakeAnthropic() as server:
        yield server


@pytest.fixture
async def loop_time(monkeypatch: pytest.MonkeyPatch) -> LoopTime:
    return LoopTime(monkeypatch)


@pytest.fixture
async def model(fake: FakeAnthropic) -> AsyncIterator[Model]:
    tutor = model_at(fake.url)
    await tutor.warm_up()
    yield tutor
    await tutor.close()


@pytest.fixture
async def hasty_model(fake: FakeAnthropic) -> AsyncIterator[Model]:
    tutor = model_at(fake.url, HASTY)
    await tutor.warm_up()
    yield tutor
    await tutor.close()


async def test_a_good_reply_carries_all_that_an_auditor_needs(
    fake: FakeAnthropic, model: Model
) -> None:
    fake.script(
        Speech(
            pieces=("What ", "is ", "winter?"),
            model="claude-haiku-5-5-20261001",
            input_tokens=31,
            output_tokens=9,
            cache_creation_input_tokens=100,
            cache_read_input_tokens=2000,
        )
    )
    reply = await reply_of(model)
    assert reply.text == "What is winter?"
    assert reply.model == "claude-haiku-5-5-20261001"
    assert reply.stop_reason == "end_turn"
    assert reply.usage == Usage(31, 9, 100, 2000)
    assert reply.provider_request_id == "req_fake_000001"
    assert reply.first_token_ms is not None
    assert 0 <= reply.first_token_ms <= reply.duration_ms


async def test_the_provider_receives_the_instructions_and_the_conversation(
    fake: FakeAnthropic, model: Model
) -> None:
    await reply_of(model)
    received = fake.requests[0]
    assert received.body == {
        "model": HAIKU,
        "max_tokens": 300,
        "stream": True,
        "system": [
            {
                "type": "text",
                "text": TutorPrompt().render(SCENARIO),
                "cache_control": {"type": "ephemeral"},
            }
        ],
        "cache_control": {"type": "ephemeral"},
        "messages": [
            {"role": "user", "content": "Let us begin"},
            {"role": "assistant", "content": "What is winter?"},
            {"role": "user", "content": LEARNERS_TEXT},
        ],
    }
    assert received.headers["authorization"] == f"Bearer {SECRET_KEY}"


async def test_the_prompt_of_a_reply_is_the_tutors(model: Model) -> None:
    assert model.prompt(REQUEST) == TutorPrompt().version


async def test_each_request_says_which_model_to_ask(fake: FakeAnthropic, model: Model) -> None:
    for name in (HAIKU, "claude-sonnet-5-5"):
        response = StreamedResponse(name)
        await model.answer(REQUEST, response, 20.0)
        assert (fake.requests[-1].body["model"], response.model) == (name, name)


async def test_a_gateway_without_a_key_gets_the_placeholder(fake: FakeAnthropic) -> None:
    model = model_at(fake.url, key=None)
    await reply_of(model)
    await model.close()
    assert fake.requests[0].headers["authorization"] == f"Bearer {PLACEHOLDER_KEY}"


async def test_deltas_arrive_one_by_one_and_join_to_the_reply(
    fake: FakeAnthropic, model: Model
) -> None:
    fake.script(Stall(after=1, speech=Speech(pieces=("What ", "is ", "winter?"))))
    deltas: list[str] = []
    reply = asyncio.create_task(reply_of(model, on_delta=deltas.append))
    await fake.wait_until(lambda: fake.stalled == 1)
    fake.release()
    assert "".join(deltas) in ("", "What ")
    assert (await reply).text == "".join(deltas) == "What is winter?"
    assert len(deltas) == 3


async def test_the_first_token_is_timed(fake: FakeAnthropic, model: Model) -> None:
    fake.script(Speech(pieces=("What ", "is ", "winter?"), first_delay=0.05, delay=0.05))
    reply = await reply_of(model)
    assert reply.first_token_ms is not None
    assert 50 <= reply.first_token_ms <= reply.duration_ms - 50


async def test_an_error_in_the_delta_callback_is_the_callers_own(model: Model) -> None:
    def refuse(_text: str) -> None:
        raise ValueError("the callers own")

    with pytest.raises(ValueError, match="the callers own"):
        await reply_of(model, on_delta=refuse)


async def test_a_timeout_of_the_delta_callback_is_the_callers_own_too(model: Model) -> None:
    def refuse(_text: str) -> None:
        raise TimeoutError("the callers own")

    with pytest.raises(TimeoutError, match="the callers own"):
        await reply_of(model, on_delta=refuse)


async def test_a_model_that_pauses_goes_on_where_it_was(fake: FakeAnthropic, model: Model) -> None:
    """One answer, with the tokens of all requests."""
    first = Speech(pieces=("What do ", "you "), stop_reason="pause_turn", output_tokens=3)
    fake.script(first, Speech(pieces=("know", "?"), input_tokens=20, output_tokens=4))
    pieces: list[str] = []
    reply = await reply_of(model, on_delta=pieces.append)
    assert (reply.text, reply.stop_reason) == ("What do you know?", "end_turn")
    assert "".join(pieces) == reply.text
    assert reply.usage == Usage(12 + 20, 3 + 4, 0, 2 * 2048)
    asked, resumed = (one.body["messages"] for one in fake.requests)
    assert resumed == [*asked, {"role": "assistant", "content": "What do you"}]


async def test_a_model_that_pauses_again_and_again_is_asked_five_times(
    fake: FakeAnthropic, model: Model
) -> None:
    fake.script(*(Speech(pieces=(f"{n}",), stop_reason="pause_turn") for n in range(9)))
    reply = await reply_of(model)
    assert (reply.text, reply.stop_reason) == ("01234", "pause_turn")
    assert len(fake.requests) == 5


async def test_a_model_that_pauses_before_a_word_is_asked_the_same_again(
    fake: FakeAnthropic, model: Model
) -> None:
    fake.script(Speech(pieces=(" ",), stop_reason="pause_turn"), Speech())
    assert (await reply_of(model)).text == " What do you already know about it?"
    first, second = (one.body["messages"] for one in fake.requests)
    assert first == second


async def test_a_pause_does_not_lengthen_the_time_for_an_answer(
    fake: FakeAnthropic, model: Model
) -> None:
    fake.script(Speech(pieces=("I ",), stop_reason="pause_turn"), "patient")
    failure = await failure_of(model, budget=0.5)
    assert (failure.code, failure.partial_text[:2]) == ("model_timeout", "I ")


@pytest.mark.parametrize("behaviour", ["max_tokens", "context_window", "tool_use"])
async def test_an_odd_stop_with_text_is_a_reply_that_records_the_reason(
    fake: FakeAnthropic, model: Model, behaviour: str
) -> None:
    fake.script(behaviour)
    expected = BEHAVIOURS[behaviour]
    assert isinstance(expected, Speech)
    reply = await reply_of(model)
    assert (reply.text, reply.stop_reason) == ("".join(expected.pieces), expected.stop_reason)


@pytest.mark.parametrize(
    ("behaviour", "code", "retryable"),
    [
        ("bad_request_400", "model_misconfigured", False),
        ("unauthenticated_401", "model_misconfigured", False),
        ("payment_402", "model_misconfigured", False),
        ("forbidden_403", "model_misconfigured", False),
        ("not_found_404", "model_misconfigured", False),
        ("too_large_413", "model_misconfigured", False),
        ("unprocessable_422", "model_misconfigured", False),
        ("rate_limited_429", "model_rate_limited", True),
        ("spending_cap_429", "model_rate_limited", False),
        ("server_error_500", "model_unavailable", True),
        (HttpError(504, "timeout_error"), "model_unavailable", True),
        ("unavailable_503", "model_overloaded", True),
        ("overloaded_529", "model_overloaded", True),
        (HttpError(408, "timeout_error"), "model_timeout", True),
        ("empty_200", "model_interrupted", True),
        ("plain_text_200", "model_interrupted", True),
        ("wrong_json_200", "model_interrupted", True),
        ("malformed_stream", "model_interrupted", True),
        (
            RawAnswer(
                b'event: message_start\ndata: {"type": "message_start", "message": {}}\n\n'
                b"event: content_block_start\n"
                b'data: {"type": "content_block_start", "index": 0}\n\n',
                "text/event-stream",
            ),
            "model_interrupted",
            True,
        ),
        ("empty_text", "model_empty", True),
        (Cut(Speech(pieces=())), "model_interrupted", True),
    ],
    ids=label,
)
async def test_a_failure_before_any_text_has_its_code(
    fake: FakeAnthropic, model: Model, behaviour: str, code: str, retryable: bool
) -> None:
    fake.script(behaviour)
    failure = await failure_of(model)
    assert (failure.code, failure.retryable, failure.partial_text) == (code, retryable, "")
    assert len(fake.requests) == 1


async def test_a_refused_request_has_the_providers_id_of_it(
    fake: FakeAnthropic, model: Model
) -> None:
    fake.script("overloaded_529")
    assert (await failure_of(model)).provider_request_id == "req_fake_000001"


@pytest.mark.parametrize(
    ("behaviour", "code", "retryable", "partial_text"),
    [
        (Cut(), "model_interrupted", True, "What do you already "),
        (EarlyEnd(), "model_interrupted", True, "What do you already "),
        (StreamError("overloaded_error"), "model_overloaded", True, "What do you already "),
        (StreamError("api_error"), "model_unavailable", True, "What do you already "),
        (StreamError("authentication_error"), "model_misconfigured", False, "What do you already "),
        (StreamError("news_to_us"), "model_unavailable", True, "What do you already "),
        ("refusal", "model_refused", False, "I "),
        ("blank_text", "model_empty", True, " \n"),
    ],
    ids=label,
)
async def test_a_failure_in_mid_stream_keeps_what_had_arrived(
    fake: FakeAnthropic,
    model: Model,
    behaviour: str,
    code: str,
    retryable: bool,
    partial_text: str,
) -> None:
    fake.script(behaviour)
    failure = await failure_of(model)
    assert (failure.code, failure.retryable) == (code, retryable)
    assert failure.partial_text == partial_text
    assert failure.model == HAIKU
    assert failure.usage is not None
    assert failure.usage.cache_read_input_tokens == 2048
    assert failure.provider_request_id == "req_fake_000001"
    assert failure.duration_ms is not None


@pytest.mark.parametrize(
    ("behaviour", "partial_text"),
    [(Stall(after=None), ""), (Stall(after=2), "What do you already know ")],
    ids=label,
)
async def test_silence_times_out_long_before_the_deadline(
    fake: FakeAnthropic,
    hasty_model: Model,
    loop_time: LoopTime,
    behaviour: Stall,
    partial_text: str,
) -> None:
    fake.script(behaviour)
    heard = asyncio.Queue[str]()
    failing = asyncio.create_task(failure_of(hasty_model, on_delta=heard.put_nowait))
    await fake.wait_until(lambda: fake.stalled == 1)
    for _ in range(behaviour.after or 0):
        await heard.get()
    await loop_time.until(HASTY - 0.01)
    assert not failing.done()
    await loop_time.until(HASTY + 0.01)
    failure = await failing
    assert (failure.code, failure.retryable) == ("model_timeout", True)
    assert failure.partial_text == partial_text
    await fake.wait_until(lambda: fake.disconnects == 1)


async def test_a_rate_limit_says_how_long_to_wait(fake: FakeAnthropic, model: Model) -> None:
    fake.script("rate_limited_429")
    assert (await failure_of(model)).retry_after == 2.0


async def test_the_overall_deadline_holds_against_a_dripping_stream(
    fake: FakeAnthropic, model: Model, loop_time: LoopTime
) -> None:
    fake.script("drip")
    failure = await failure_of(model, budget=0.3, on_delta=lambda _: loop_time.spend(DRIP))
    assert 0.3 <= loop_time.spent < 0.3 + 2 * DRIP
    assert (failure.code, failure.retryable) == ("model_timeout", True)
    assert failure.partial_text.startswith("and and ")
    await fake.wait_until(lambda: fake.disconnects == 1)


async def test_a_spent_budget_makes_no_request(fake: FakeAnthropic, model: Model) -> None:
    assert (await failure_of(model, budget=0.0)).code == "model_timeout"
    assert fake.requests == []


@pytest.mark.parametrize(
    ("behaviour", "text"), [("stall_before_headers", ""), ("stall_in_stream", "What do you ")]
)
async def test_a_cancelled_answer_drops_its_connection_and_keeps_what_had_arrived(
    fake: FakeAnthropic, behaviour: str, text: str
) -> None:
    model = model_at(fake.url, stall_timeout=60)
    fake.script(behaviour)
    heard = asyncio.Event()
    response = StreamedResponse(HAIKU, lambda _text: heard.set())
    answering = asyncio.create_task(model.answer(REQUEST, response, 60))
    await fake.wait_until(lambda: fake.stalled == 1)
    if text:
        await asyncio.wait_for(heard.wait(), 20)
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    await fake.wait_until(lambda: fake.disconnects == 1)
    assert (response.text, response.model) == (text, HAIKU)
    if text:
        assert response.usage == Usage(12, 1, 0, 2048)
        assert response.provider_request_id == "req_fake_000001"
    await model.close()


@pytest.mark.parametrize(
    ("key", "base_url", "code", "retryable"),
    [
        (SECRET_KEY, "http://127.0.0.1:1", "model_unavailable", True),
        (SECRET_KEY, "http://no-such-host.invalid", "model_unavailable", True),
        (SECRET_KEY, "localhost:8080", "model_misconfigured", False),
        (SECRET_KEY, "http://[::not-a-url", "model_misconfigured", False),
        (None, None, "model_misconfigured", False),
    ],
)
async def test_an_unreachable_provider_has_its_code(
    key: str | None, base_url: str | None, code: str, retryable: bool
) -> None:
    model = model_at(base_url, key=key)
    failure = await failure_of(model)
    await model.close()
    assert (failure.code, failure.retryable) == (code, retryable)


async def test_a_server_that_speaks_no_tls_is_unavailable(fake: FakeAnthropic) -> None:
    model = model_at(fake.url.replace("http", "https"))
    assert (await failure_of(model)).code == "model_unavailable"
    await model.close()


async def test_a_key_with_a_line_break_is_misconfigured_and_stays_secret(
    fake: FakeAnthropic,
) -> None:
    model = model_at(fake.url, key=SECRET_KEY + "\n")
    failure = await failure_of(model)
    await model.close()
    assert failure.code == "model_misconfigured"
    assert SECRET_KEY not in repr(failure)


@pytest.mark.parametrize("behaviour", ["bad_request_400", "sse_api_error", "cut", "empty_200"])
async def test_a_failure_has_no_text_and_no_cause_that_could_quote_it(
    fake: FakeAnthropic, model: Model, behaviour: str
) -> None:
    fake.script(behaviour)
    failure = await failure_of(model)
    assert LEARNERS_TEXT not in str(failure)
    assert failure.detail in str(failure)
    assert len(failure.detail) < 120
    assert failure.__cause__ is None
    assert failure.__suppress_context__ or failure.__context__ is None


async def test_the_model_serves_again_after_each_kind_of_failure(
    fake: FakeAnthropic, model: Model
) -> None:
    for behaviour in ("cut", "overloaded_529", "early_end", "malformed_stream"):
        fake.script(behaviour, "good")
        await failure_of(model)
        assert (await reply_of(model)).text


async def test_many_learners_are_served_at_once(fake: FakeAnthropic, model: Model) -> None:
    fake.default = "stall_in_stream"
    replies = [asyncio.create_task(reply_of(model)) for _ in range(50)]
    await fake.wait_until(lambda: fake.stalled == 50)
    fake.release()
    assert {reply.text for reply in await asyncio.gather(*replies)} == {
        "What do you already know about it?"
    }


async def test_a_request_beyond_the_connections_waits_and_then_finds_the_model_unavailable(
    fake: FakeAnthropic, loop_time: LoopTime
) -> None:
    model = AnthropicModel(SECRET_KEY, fake.url, HASTY, max_connections=2)
    fake.default = "drip"
    heard = count(1)

    def hear(_text: str) -> None:
        if next(heard) % 2 == 0:  # both of them
            loop_time.spend(DRIP)

    open_ones = [asyncio.create_task(reply_of(model, on_delta=hear)) for _ in range(2)]
    await fake.wait_until(lambda: len(fake.requests) == 2)
    began = loop_time.spent
    failure = await failure_of(model)
    assert HASTY <= loop_time.spent - began < 2 * HASTY
    assert (failure.code, failure.retryable) == ("model_unavailable", True)
    assert "ConnectTimeout" in failure.detail
    assert len(fake.requests) == 2
    for task in open_ones:
        task.cancel()
    await asyncio.gather(*open_ones, return_exceptions=True)
    fake.default = "good"
    assert (await reply_of(model)).text
    await model.close()


async def test_the_fake_provider_runs_as_a_program_scripted_from_outside() -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fake_anthropic", "--behaviour", "good"),
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    url = (await program.stdout.readline()).decode().strip()
    model = model_at(url, key=None)
    async with aiohttp.ClientSession() as session:
        script = {"behaviours": ["overloaded_529", "good"], "default": "refusal"}
        async with session.post(f"{url}/control", json=script) as answer:
            assert (await answer.json())["scripted"] == 2
        async with session.post(f"{url}/control", json={"behaviours": ["x"]}) as answer:
            assert answer.status == 400
    assert (await failure_of(model)).code == "model_overloaded"
    assert (await reply_of(model)).stop_reason == "end_turn"
    assert (await failure_of(model)).code == "model_refused"
    await model.close()
    program.terminate()
    assert await program.wait() == 0


def test_the_sdk_is_imported_only_when_it_is_needed() -> None:
    program = (
        "import sys, service.model.anthropic_provider as p\n"
        "p.AnthropicModel('k', None, 1.0, 10)\n"
        "sys.exit(int('anthropic' in sys.modules or 'httpx2' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_warming_up_leaves_nothing_slow_for_the_first_reply() -> None:
    program = """
import asyncio, sys
from service.model.anthropic_provider import AnthropicModel
async def main():
    model = AnthropicModel('k', 'http://127.0.0.1:1', 1.0, 10)
    await model.warm_up()
    before = set(sys.modules)
    model._client.messages.create
    print(len([m for m in set(sys.modules) - before if m.startswith('anthropic.resources')]))
    await model.close()
asyncio.run(main())
"""
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=subprocess.PIPE
    )
    output, _ = await done.communicate()
    assert output.strip() == b"0"


def test_every_failure_code_has_a_sentence_for_learners() -> None:
    expected = {
        "model_overloaded",
        "model_rate_limited",
        "model_unavailable",
        "model_misconfigured",
        "model_timeout",
        "model_interrupted",
        "model_refused",
        "internal_error",
        "model_empty",
        "model_invalid",
        "cancelled",
        "abandoned",
        "service_stopping",
    }
    assert set(LEARNER_SENTENCES) == expected
    assert all(sentence.endswith(".") for sentence in LEARNER_SENTENCES.values())


@pytest.mark.parametrize("text", [" \n", "\u200b", "\ufeff\u2060", "\u3164", "\u2800 \x07"])
def test_an_answer_of_invisible_characters_is_empty(text: str) -> None:
    response = StreamedResponse(HAIKU)
    response.stop_reason = "end_turn"
    response.add(text)
    with pytest.raises(ModelFailure) as failed:
        response.reply()
    assert failed.value.code == MODEL_EMPTY
