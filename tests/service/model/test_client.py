"""Retries, pauses and fallbacks of the model client."""

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.model import errors
from service.model.client import AttemptLog, BreakerPolicy, ModelClient, RetryPolicy
from service.model.errors import ModelFailure
from tests.service.model.scripted import (
    FIRST,
    PRICES,
    PROMPT,
    REQUEST,
    SECOND,
    USAGE,
    ScriptedModel,
    Step,
    Time,
    client_with,
    fails,
    failure_of,
    outcomes_of,
    says,
    takes,
)

OVERLOADED = fails(errors.MODEL_OVERLOADED)
RETRYABLE = [
    errors.MODEL_OVERLOADED,
    errors.MODEL_UNAVAILABLE,
    errors.MODEL_TIMEOUT,
    errors.MODEL_INTERRUPTED,
    errors.MODEL_EMPTY,
    errors.MODEL_INVALID,
]


async def test_an_answer_comes_with_the_record_of_how_it_came_about() -> None:
    model = ScriptedModel(says("Good day.", model=f"{FIRST}-20261101"))
    attempt_log = AttemptLog(PRICES)
    text, record = await client_with(model, Time()).ask_for_text(
        REQUEST, [FIRST], 60.0, attempt_log
    )
    assert text == "Good day."
    assert (record.model_requested, record.model) == (FIRST, f"{FIRST}-20261101")
    assert (record.max_tokens, record.prompt, record.stop_reason) == (300, PROMPT, "end_turn")
    assert (record.usage, record.provider_request_id) == (USAGE, "req_good")
    assert (record.attempts, record.fallback, record.context) == (1, False, None)
    assert (record.price_version, record.cost_microusd) == ("of-the-test", 170)
    assert record.attempt_records == attempt_log.attempt_records
    assert outcomes_of(attempt_log) == [(FIRST, "completed")]


@pytest.mark.parametrize("code", RETRYABLE)
async def test_a_retryable_failure_is_retried(code: str) -> None:
    model, attempt_log = ScriptedModel(fails(code), says("Good day.")), AttemptLog(PRICES)
    text, record = await client_with(model, Time()).ask_for_text(
        REQUEST, [FIRST], 60.0, attempt_log
    )
    assert (text, record.attempts, record.fallback) == ("Good day.", 2, False)
    assert outcomes_of(attempt_log) == [(FIRST, code), (FIRST, "completed")]


async def test_the_policy_limits_the_attempts_with_a_model() -> None:
    model, attempt_log = ScriptedModel(*[OVERLOADED] * 9), AttemptLog(PRICES)
    failure = await failure_of(client_with(model, Time()), attempt_log)
    assert failure.code == errors.MODEL_OVERLOADED
    assert model.asked == [FIRST] * 3


@pytest.mark.parametrize(
    "code", [errors.MODEL_MISCONFIGURED, errors.MODEL_REFUSED, errors.MODEL_RATE_LIMITED]
)
async def test_a_wrong_setting_a_refusal_and_a_spending_cap_are_not_retried(code: str) -> None:
    model, time = ScriptedModel(fails(code), says("Too late.")), Time()
    failure = await failure_of(client_with(model, time), AttemptLog(PRICES))
    assert (failure.code, failure.retryable) == (code, False)
    assert (model.asked, time.slept) == ([FIRST], [])


async def test_nothing_is_retried_after_streaming_has_started() -> None:
    cut = fails(errors.MODEL_INTERRUPTED, text="The Moon ", usage=USAGE)
    model, seen = ScriptedModel(cut, says("Too late.")), list[str]()
    attempt_log = AttemptLog(PRICES, seen.append)
    failure = await failure_of(client_with(model, Time()), attempt_log, (FIRST, SECOND))
    assert failure.code == errors.MODEL_INTERRUPTED
    assert model.asked == [FIRST]
    assert (attempt_log.streaming_started, attempt_log.text, seen) == (
        True,
        "The Moon ",
        ["The Moon "],
    )


async def test_unstreamed_text_does_not_prevent_a_retry() -> None:
    cut = fails(errors.MODEL_INTERRUPTED, text='{"covered', usage=USAGE)
    model, attempt_log = ScriptedModel(cut, says("{}")), AttemptLog(PRICES)
    text, _ = await client_with(model, Time()).ask_for_text(REQUEST, [FIRST], 60.0, attempt_log)
    assert (text, attempt_log.text, attempt_log.streaming_started) == ("{}", "{}", False)


@pytest.mark.parametrize(("rng", "pauses"), [(0.0, [0.5, 1, 2, 2]), (1.0, [1, 2, 4, 4])])
async def test_pauses_double_up_to_the_longest_and_are_random_between_half_and_whole(
    rng: float, pauses: list[float]
) -> None:
    policy = RetryPolicy(
        attempts=5, first_pause=1.0, longest_pause=4.0, breaker=BreakerPolicy(failures=1000)
    )
    time, attempt_log = Time(), AttemptLog(PRICES)
    await failure_of(client_with(ScriptedModel(*[OVERLOADED] * 5), time, policy, rng), attempt_log)
    assert time.slept == pauses
    waits = [record.waited_ms for record in attempt_log.attempt_records]
    assert waits == [0, *(pause * 1000 for pause in pauses)]


async def test_a_pause_is_at_least_the_providers_retry_after() -> None:
    pauses = (fails(errors.MODEL_OVERLOADED, seconds) for seconds in (7.0, 0.1))
    model, time = ScriptedModel(*pauses, says("Good day.")), Time()
    await client_with(model, time).ask_for_text(REQUEST, [FIRST], 60.0, AttemptLog(PRICES))
    assert time.slept == [7.0, 2.0]


async def test_a_retry_after_beyond_the_budget_fails_immediately_and_is_passed_on() -> None:
    model, time = ScriptedModel(fails(errors.MODEL_RATE_LIMITED, 3600.0)), Time()
    failure = await failure_of(client_with(model, time), AttemptLog(PRICES))
    assert (failure.code, failure.retry_after) == (errors.MODEL_RATE_LIMITED, 3600.0)
    assert time.slept == []


@pytest.mark.parametrize(("budget", "slept"), [(1.0, []), (1.5, [1.0]), (3.0, [1.0])])
async def test_no_pause_reaches_the_deadline(budget: float, slept: list[float]) -> None:
    time = Time()
    client = client_with(ScriptedModel(*[OVERLOADED] * 3), time)
    await failure_of(client, AttemptLog(PRICES), budget=budget)
    assert time.slept == slept


async def test_there_is_no_attempt_after_a_pause_that_ended_late() -> None:
    time = Time()

    async def oversleep(seconds: float) -> None:
        await time.sleep(seconds + 9.5)

    model = ScriptedModel(OVERLOADED, says("Too late."))
    client = ModelClient(model, PRICES, RetryPolicy(), clock=time, sleep=oversleep)
    failure = await failure_of(client, AttemptLog(PRICES), (FIRST, SECOND), budget=9.0)
    assert (failure.code, model.asked) == (errors.MODEL_OVERLOADED, [FIRST])


async def test_each_attempt_gets_the_rest_of_the_budget() -> None:
    time = Time()
    steps = (takes(time, 5.0, OVERLOADED), takes(time, 3.0, OVERLOADED), says("Good day."))
    model = ScriptedModel(*steps)
    await client_with(model, time).ask_for_text(REQUEST, [FIRST], 60.0, AttemptLog(PRICES))
    assert model.budgets == [60.0, 54.0, 49.0]


async def test_a_fallback_answers_when_the_first_model_has_failed() -> None:
    model, attempt_log = ScriptedModel(*[OVERLOADED] * 4, says("Good day.")), AttemptLog(PRICES)
    client = client_with(model, Time())
    text, record = await client.ask_for_text(REQUEST, [FIRST, SECOND], 60.0, attempt_log)
    assert (text, record.fallback, record.attempts) == ("Good day.", True, 5)
    assert (record.model_requested, record.model) == (SECOND, SECOND)
    assert model.asked == [FIRST] * 3 + [SECOND] * 2
    assert [r.waited_ms for r in attempt_log.attempt_records] == [0, 1000, 2000, 0, 1000]


@pytest.mark.parametrize("code", [errors.MODEL_MISCONFIGURED, errors.MODEL_RATE_LIMITED])
async def test_a_fallback_is_asked_without_a_pause_if_no_retry_can_help(code: str) -> None:
    model, time = ScriptedModel(fails(code), says("Good day.")), Time()
    client = client_with(model, time)
    _, record = await client.ask_for_text(REQUEST, [FIRST, SECOND], 60.0, AttemptLog(PRICES))
    assert (model.asked, time.slept, record.fallback) == ([FIRST, SECOND], [], True)


async def test_a_fallback_is_asked_without_a_pause_if_retry_after_is_too_long() -> None:
    model, time = ScriptedModel(fails(errors.MODEL_RATE_LIMITED, 60.0), says("Good day.")), Time()
    await client_with(model, time).ask_for_text(REQUEST, [FIRST, SECOND], 60.0, AttemptLog(PRICES))
    assert (model.asked, time.slept) == ([FIRST, SECOND], [])


async def test_there_is_no_fallback_after_a_refusal() -> None:
    model = ScriptedModel(fails(errors.MODEL_REFUSED), says("Too late."))
    failure = await failure_of(client_with(model, Time()), AttemptLog(PRICES), (FIRST, SECOND))
    assert (failure.code, model.asked) == (errors.MODEL_REFUSED, [FIRST])


async def test_there_is_no_fallback_after_the_deadline() -> None:
    time = Time()
    model = ScriptedModel(takes(time, 99.0, says("Too late.")), says("Too late."))
    failure = await failure_of(client_with(model, time), AttemptLog(PRICES), (FIRST, SECOND))
    assert (failure.code, model.asked) == (errors.MODEL_TIMEOUT, [FIRST])


@pytest.mark.parametrize(("first", "second"), [(90.0, 70.0), (70.0, 90.0), (70.0, None)])
async def test_when_all_fail_the_last_failure_carries_the_shortest_known_pause(
    first: float, second: float | None
) -> None:
    model = ScriptedModel(
        fails(errors.MODEL_RATE_LIMITED, first), *[fails(errors.MODEL_OVERLOADED, second)] * 3
    )
    failure = await failure_of(client_with(model, Time()), AttemptLog(PRICES), (FIRST, SECOND))
    assert (failure.code, failure.retry_after) == (errors.MODEL_OVERLOADED, 70.0)


async def test_a_failure_that_is_not_retryable_has_no_retry_after() -> None:
    model = ScriptedModel(fails(errors.MODEL_RATE_LIMITED, 90.0), fails(errors.MODEL_MISCONFIGURED))
    failure = await failure_of(client_with(model, Time()), AttemptLog(PRICES), (FIRST, SECOND))
    assert (failure.code, failure.retry_after) == (errors.MODEL_MISCONFIGURED, None)


async def test_a_text_that_cannot_be_read_is_a_failure_of_its_attempt() -> None:
    def read(text: str) -> int:
        if not text.isdigit():
            raise ModelFailure(errors.MODEL_INVALID, retryable=True, detail="not a number")
        return int(text)

    model, attempt_log = ScriptedModel(says("many"), says("12")), AttemptLog(PRICES)
    number, record = await client_with(model, Time()).ask(REQUEST, [FIRST], 60.0, attempt_log, read)
    assert (number, record.attempts, record.cost_microusd) == (12, 2, 340)
    assert outcomes_of(attempt_log) == [(FIRST, errors.MODEL_INVALID), (FIRST, "completed")]
    assert attempt_log.attempt_records[0].detail == "not a number"


async def test_an_empty_list_of_models_is_an_error() -> None:
    with pytest.raises(ValueError, match="no model"):
        await client_with(ScriptedModel(), Time()).ask_for_text(
            REQUEST, [], 60.0, AttemptLog(PRICES)
        )


CODES = st.sampled_from([*RETRYABLE, errors.MODEL_RATE_LIMITED, errors.MODEL_REFUSED])
SECONDS = st.floats(0.0, 90.0)


@st.composite
def steps(draw: st.DrawFn) -> tuple[float, Step]:
    """A failure or an answer, with or without text, after some seconds."""
    if draw(st.integers(0, 5)) == 0:
        return draw(SECONDS), says("Good day.")
    text = draw(st.sampled_from(["", "", "The Moon "]))
    return draw(SECONDS), fails(draw(CODES), draw(st.none() | SECONDS), text=text)


@settings(deadline=None)
@given(
    script=st.lists(steps(), min_size=8, max_size=8),
    budget=st.floats(0.1, 120.0),
    rng=st.floats(0.0, 1.0),
    failures=st.integers(1, 6),
)
def test_whatever_happens_the_budget_holds_and_nothing_follows_a_delta(
    script: list[tuple[float, Step]], budget: float, rng: float, failures: int
) -> None:
    time = Time()
    model = ScriptedModel(*(takes(time, seconds, step) for seconds, step in script))
    policy = RetryPolicy(breaker=BreakerPolicy(failures=failures))
    deltas: list[int] = []
    attempt_log = AttemptLog(PRICES, lambda _: deltas.append(len(model.asked)))
    began = time.now
    client = client_with(model, time, policy, rng)
    with contextlib.suppress(ModelFailure):
        asyncio.run(client.ask_for_text(REQUEST, [FIRST, SECOND], budget, attempt_log))
    assert sum(time.slept) < budget
    assert time.now - began <= budget + 1e-6
    assert all(left > 0 for left in model.budgets)
    assert model.asked.count(FIRST) <= 3
    assert model.asked.count(SECOND) <= 3
    assert deltas in ([], [len(model.asked)])
