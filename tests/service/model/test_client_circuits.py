"""A failing model gets no requests, and its fallback answers, until a trial succeeds."""

import pytest

from service.model import errors
from service.model.client import AttemptLog, BreakerPolicy, ModelClient, RetryPolicy
from tests.service.model.scripted import (
    FIRST,
    PRICES,
    REQUEST,
    SECOND,
    ScriptedModel,
    Time,
    client_with,
    fails,
    failure_of,
    outcomes_of,
    raises,
    says,
)

OVERLOADED = fails(errors.MODEL_OVERLOADED)
CIRCUIT = RetryPolicy(
    attempts=2, first_pause=1.0, longest_pause=1.0, breaker=BreakerPolicy(failures=2, pause=20.0)
)


async def test_an_open_circuit_makes_no_request_and_says_when_to_try_again() -> None:
    model, time = ScriptedModel(*[OVERLOADED] * 2), Time()
    client, attempt_log = client_with(model, time, CIRCUIT), AttemptLog(PRICES)
    await failure_of(client, AttemptLog(PRICES))
    time.spend(5.0)
    failure = await failure_of(client, attempt_log)
    assert len(model.asked) == 2
    assert outcomes_of(attempt_log) == [(FIRST, "circuit_open")]
    assert (failure.code, failure.detail) == (errors.MODEL_UNAVAILABLE, "circuit open")
    assert (failure.retryable, failure.retry_after, failure.model) == (True, 15.0, FIRST)
    assert (attempt_log.model, attempt_log.usage, attempt_log.cost_microusd) == (FIRST, None, 0)


@pytest.mark.parametrize("code", [errors.MODEL_OVERLOADED, errors.MODEL_TIMEOUT])
async def test_a_circuit_that_opens_meanwhile_does_not_replace_the_failures_code(
    code: str,
) -> None:
    """For example, a reply and its assessment get a 529 each, which together open the circuit."""
    model, time = ScriptedModel(*[fails(code)] * 2), Time()
    attempt_log = AttemptLog(PRICES)

    async def judged_meanwhile(seconds: float) -> None:
        await failure_of(client, AttemptLog(PRICES), budget=0.5)
        await time.sleep(seconds)

    client = ModelClient(
        model, PRICES, CIRCUIT, rng=lambda: 1.0, clock=time, sleep=judged_meanwhile
    )
    failure = await failure_of(client, attempt_log)
    assert outcomes_of(attempt_log) == [(FIRST, code), (FIRST, "circuit_open")]
    assert (failure.code, failure.detail) == (code, "circuit open")
    assert failure.retryable
    assert failure.retry_after == pytest.approx(19.0)


async def test_a_fallback_with_a_circuit_of_its_own_answers_while_the_first_is_open() -> None:
    model, time = ScriptedModel(*[OVERLOADED] * 2, says("Good day.")), Time()
    client, attempt_log = client_with(model, time, CIRCUIT), AttemptLog(PRICES)
    await failure_of(client, AttemptLog(PRICES))
    _, record = await client.ask_for_text(REQUEST, [FIRST, SECOND], 60.0, attempt_log)
    assert outcomes_of(attempt_log) == [(FIRST, "circuit_open"), (SECOND, "completed")]
    assert (record.fallback, record.attempts, record.cost_microusd) == (True, 2, 340)


async def test_there_is_no_pause_for_a_circuit_that_stays_open_longer() -> None:
    policy = RetryPolicy(first_pause=1.0, breaker=BreakerPolicy(failures=1, pause=20.0))
    model, time = ScriptedModel(OVERLOADED, says("Good day.")), Time()
    client = client_with(model, time, policy)
    await client.ask_for_text(REQUEST, [FIRST, SECOND], 60.0, AttemptLog(PRICES))
    assert (model.asked, time.slept) == ([FIRST, SECOND], [])


async def test_a_rate_limited_model_is_asked_again_when_its_own_pause_has_opened_the_circuit() -> (
    None
):
    model, time = ScriptedModel(fails(errors.MODEL_RATE_LIMITED, 7.0), says("Good day.")), Time()
    client = client_with(model, time, CIRCUIT)
    text, _ = await client.ask_for_text(REQUEST, [FIRST], 60.0, AttemptLog(PRICES))
    assert (text, time.slept) == ("Good day.", [7.0])


async def test_other_requests_skip_a_rate_limited_model_until_its_retry_after() -> None:
    model, time = ScriptedModel(fails(errors.MODEL_RATE_LIMITED, 50.0)), Time()
    client = client_with(model, time, CIRCUIT)
    await failure_of(client, AttemptLog(PRICES), budget=30.0)
    time.spend(10.0)
    failure = await failure_of(client, AttemptLog(PRICES), budget=30.0)
    assert (failure.detail, failure.retry_after) == ("circuit open", 40.0)
    assert len(model.asked) == 1


async def test_a_sleep_that_ends_early_is_continued() -> None:
    model, time = ScriptedModel(fails(errors.MODEL_RATE_LIMITED, 8.0), says("Good day.")), Time()

    async def too_short(seconds: float) -> None:
        await time.sleep(seconds / 2 if seconds > 1 else seconds)

    client = ModelClient(model, PRICES, CIRCUIT, rng=lambda: 1.0, clock=time, sleep=too_short)
    text, record = await client.ask_for_text(REQUEST, [FIRST], 60.0, AttemptLog(PRICES))
    assert (text, time.slept) == ("Good day.", [4.0, 2.0, 1.0, 1.0])
    assert [r.waited_ms for r in record.attempt_records] == [0, 8000]


async def test_a_success_after_the_pause_closes_the_circuit_for_all() -> None:
    model, time = ScriptedModel(*[OVERLOADED] * 2, *[says("Good day.")] * 2), Time()
    client = client_with(model, time, CIRCUIT)
    await failure_of(client, AttemptLog(PRICES))
    time.spend(20.0)
    await client.ask_for_text(REQUEST, [FIRST], 60.0, AttemptLog(PRICES))
    await client.ask_for_text(REQUEST, [FIRST], 60.0, AttemptLog(PRICES))
    assert len(model.asked) == 4


async def test_an_unexpected_error_in_a_trial_returns_its_permit() -> None:
    model = ScriptedModel(*[OVERLOADED] * 2, raises(KeyError("oh")), says("Good day."))
    time = Time()
    client = client_with(model, time, CIRCUIT)
    await failure_of(client, AttemptLog(PRICES))
    time.spend(20.0)
    with pytest.raises(KeyError):
        await client.ask_for_text(REQUEST, [FIRST], 60.0, AttemptLog(PRICES))
    text, _ = await client.ask_for_text(REQUEST, [FIRST], 60.0, AttemptLog(PRICES))
    assert text == "Good day."
