"""Every attempt is recorded, including cancelled ones."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from eventstore.reply_records import AttemptRecord, Usage
from service.model import errors
from service.model.client import AttemptLog, BreakerPolicy, ModelClient, RetryPolicy
from service.model.errors import ModelFailure
from tests.service.model.scripted import (
    FIRST,
    PRICES,
    REQUEST,
    SECOND,
    USAGE,
    ScriptedModel,
    Time,
    client_with,
    fails,
    hangs,
    raises,
    says,
)

MOST = Usage(input_tokens=100, output_tokens=1)


@asynccontextmanager
async def asking(
    client: ModelClient, attempt_log: AttemptLog
) -> AsyncIterator[asyncio.Task[object]]:
    """A request under way, which must be cancelled by the end."""
    task = asyncio.create_task(client.ask_for_text(REQUEST, [FIRST], 60.0, attempt_log))
    yield task
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_in_an_answer(
    client: ModelClient, attempt_log: AttemptLog, reached: asyncio.Event
) -> None:
    async with asyncio.timeout(10), asking(client, attempt_log) as task:
        await reached.wait()
        task.cancel()


async def test_the_log_is_empty_before_the_first_attempt() -> None:
    attempt_log = AttemptLog(PRICES)
    assert (attempt_log.attempt_records, attempt_log.text, attempt_log.streaming_started) == (
        (),
        "",
        False,
    )
    assert (attempt_log.model, attempt_log.usage, attempt_log.provider_request_id) == (
        None,
        None,
        None,
    )
    assert (attempt_log.first_token_ms, attempt_log.cost_microusd) == (None, 0)
    assert attempt_log.price_version == "of-the-test"


async def test_a_clients_attempt_log_has_its_prices() -> None:
    seen: list[str] = []
    client = client_with(ScriptedModel(says("Good day.")), Time())
    attempt_log = client.attempt_log(seen.append)
    await client.ask_for_text(REQUEST, [FIRST], 60.0, attempt_log)
    assert (attempt_log.cost_microusd, attempt_log.streaming_started, seen) == (
        170,
        True,
        ["Good day."],
    )


async def test_every_attempt_has_its_tokens_time_and_cost() -> None:
    model = ScriptedModel(
        fails(errors.MODEL_OVERLOADED), fails(errors.MODEL_INTERRUPTED, usage=MOST), says("Hello.")
    )
    attempt_log = AttemptLog(PRICES)
    await client_with(model, Time()).ask_for_text(REQUEST, [FIRST], 60.0, attempt_log)
    first, second, third = attempt_log.attempt_records
    assert first == AttemptRecord(
        model=FIRST,
        outcome=errors.MODEL_OVERLOADED,
        detail="as scripted",
        provider_request_id="req_bad",
        duration_ms=first.duration_ms,
    )
    assert (second.usage, second.cost_microusd, second.waited_ms) == (MOST, 110, 1000)
    assert (third.usage, third.cost_microusd, third.waited_ms) == (USAGE, 170, 2000)
    assert (third.outcome, third.provider_request_id) == ("completed", "req_good")


async def test_the_duration_of_an_ended_attempt_is_fixed() -> None:
    attempt_log = AttemptLog(PRICES)
    client = client_with(ScriptedModel(says("Hello.")), Time())
    _, record = await client.ask_for_text(REQUEST, [FIRST], 60.0, attempt_log)
    later, deadline = attempt_log.elapsed_ms + 5, time.monotonic() + 10
    while attempt_log.elapsed_ms < later:
        assert time.monotonic() < deadline
    assert attempt_log.attempt_records == record.attempt_records


async def test_the_cost_sums_up_all_attempts_at_the_prices_of_the_models_that_answered() -> None:
    cut = fails(errors.MODEL_INTERRUPTED, usage=MOST)
    model = ScriptedModel(cut, cut, cut, says("Hello.", model=f"{SECOND}-20261101"))
    attempt_log = AttemptLog(PRICES)
    client = client_with(model, Time())
    _, record = await client.ask_for_text(REQUEST, [FIRST, SECOND], 60.0, attempt_log)
    assert record.cost_microusd == attempt_log.cost_microusd == 3 * 110 + 340


async def test_the_cost_is_unknown_where_one_attempt_has_no_price() -> None:
    cut = fails(errors.MODEL_INTERRUPTED, usage=MOST)
    model, attempt_log = (
        ScriptedModel(cut, says("Hello.", model="somebody-else")),
        AttemptLog(PRICES),
    )
    _, record = await client_with(model, Time()).ask_for_text(REQUEST, [FIRST], 60.0, attempt_log)
    assert record.cost_microusd is None
    assert [r.cost_microusd for r in record.attempt_records] == [110, None]


async def test_the_cost_is_unknown_where_text_came_without_its_tokens() -> None:
    model, attempt_log = ScriptedModel(says("Hello.", usage=None)), AttemptLog(PRICES)
    _, record = await client_with(model, Time()).ask_for_text(REQUEST, [FIRST], 60.0, attempt_log)
    assert (record.usage, record.cost_microusd) == (Usage(), None)


async def test_the_first_text_is_timed_from_the_beginning_of_all() -> None:
    policy = RetryPolicy(first_pause=0.02, longest_pause=0.02)
    model = ScriptedModel(fails(errors.MODEL_OVERLOADED), says("Hello."))
    attempt_log, clock = AttemptLog(PRICES), Time()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        await clock.sleep(seconds)

    client = ModelClient(model, PRICES, policy, rng=lambda: 1.0, clock=clock, sleep=sleep)
    _, record = await client.ask_for_text(REQUEST, [FIRST], 60.0, attempt_log)
    assert record.first_token_ms is not None
    assert 20 <= record.first_token_ms <= record.duration_ms <= attempt_log.elapsed_ms
    assert record.attempt_records[1].waited_ms == 20


async def test_the_first_text_of_a_failed_attempt_does_not_count() -> None:
    model = ScriptedModel(
        fails(errors.MODEL_INTERRUPTED, text='{"covered'), *[fails(errors.MODEL_OVERLOADED)] * 2
    )
    attempt_log = AttemptLog(PRICES)
    with pytest.raises(ModelFailure):
        await client_with(model, Time()).ask_for_text(REQUEST, [FIRST], 60.0, attempt_log)
    assert (attempt_log.first_token_ms, attempt_log.text) == (None, "")


async def test_a_call_that_is_cancelled_leaves_its_attempt_on_record() -> None:
    reached, seen = asyncio.Event(), list[str]()
    model = ScriptedModel(fails(errors.MODEL_OVERLOADED), hangs(reached, "The Moon ", MOST))
    attempt_log = AttemptLog(PRICES, seen.append)
    await cancelled_in_an_answer(client_with(model, Time()), attempt_log, reached)
    assert [r.outcome for r in attempt_log.attempt_records] == ["model_overloaded", "cancelled"]
    assert attempt_log.attempt_records[1].usage == attempt_log.usage == MOST
    assert (attempt_log.text, seen, attempt_log.streaming_started) == (
        "The Moon ",
        ["The Moon "],
        True,
    )
    assert (attempt_log.model, attempt_log.cost_microusd) == (FIRST, 110)


async def test_an_attempt_that_is_still_under_way_counts_as_cancelled() -> None:
    reached = asyncio.Event()
    attempt_log = AttemptLog(PRICES)
    client = client_with(ScriptedModel(hangs(reached, "The Moon ", MOST)), Time())
    async with asyncio.timeout(10), asking(client, attempt_log) as task:
        await reached.wait()
        (record,) = attempt_log.attempt_records
        assert (record.outcome, record.usage, record.cost_microusd) == ("cancelled", MOST, 110)
        assert (attempt_log.text, attempt_log.cost_microusd) == ("The Moon ", 110)
        task.cancel()


async def test_a_call_that_is_cancelled_in_a_pause_has_only_the_attempts_that_were_made() -> None:
    pausing = asyncio.Event()

    async def pause(seconds: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    model = ScriptedModel(fails(errors.MODEL_OVERLOADED))
    client = ModelClient(model, PRICES, RetryPolicy(), sleep=pause)
    attempt_log = AttemptLog(PRICES)
    await cancelled_in_an_answer(client, attempt_log, pausing)
    assert [r.outcome for r in attempt_log.attempt_records] == ["model_overloaded"]


async def test_a_cancelled_trial_returns_its_permit() -> None:
    reached, clock = asyncio.Event(), Time()
    policy = RetryPolicy(attempts=1, breaker=BreakerPolicy(failures=1, pause=20.0))
    model = ScriptedModel(fails(errors.MODEL_OVERLOADED), hangs(reached), says("Hello."))
    client = client_with(model, clock, policy)
    with pytest.raises(ModelFailure):
        await client.ask_for_text(REQUEST, [FIRST], 60.0, AttemptLog(PRICES))
    clock.spend(20.0)
    async with asyncio.timeout(10), asking(client, AttemptLog(PRICES)) as trial:
        await reached.wait()
        with pytest.raises(ModelFailure, match="circuit open"):
            await client.ask_for_text(REQUEST, [FIRST], 60.0, AttemptLog(PRICES))
        trial.cancel()
    text, _ = await client.ask_for_text(REQUEST, [FIRST], 60.0, AttemptLog(PRICES))
    assert text == "Hello."


async def test_an_unexpected_error_is_recorded_by_its_type_and_raised_unchanged() -> None:
    attempt_log = AttemptLog(PRICES)
    model = ScriptedModel(raises(KeyError("what the learner wrote")), says("Too late."))
    with pytest.raises(KeyError):
        await client_with(model, Time()).ask_for_text(REQUEST, [FIRST, SECOND], 60.0, attempt_log)
    (record,) = attempt_log.attempt_records
    assert (record.outcome, record.detail) == (errors.INTERNAL_ERROR, "KeyError")
    assert model.asked == [FIRST]


async def test_an_error_of_the_delta_callback_is_raised_unchanged_after_the_text_was_kept() -> None:
    def too_slow(text: str) -> None:
        raise BufferError

    attempt_log = AttemptLog(PRICES, too_slow)
    model = ScriptedModel(says("Hello."), says("Too late."))
    with pytest.raises(BufferError):
        await client_with(model, Time()).ask_for_text(REQUEST, [FIRST], 60.0, attempt_log)
    assert (attempt_log.text, attempt_log.streaming_started) == ("Hello.", True)
    assert [r.outcome for r in attempt_log.attempt_records] == [errors.INTERNAL_ERROR]
