"""The analysts' view of each model's requests and costs."""

from datetime import date

import pytest

from tests.eventstore.building import Learner
from tests.eventstore.reply_attempts import MODEL, OLD, OTHER_MODEL, PRICED, RETRIED, UNPRICED
from tests.projections.analysing import Analysis

REQUESTS = """
    model, purpose, requests, failed_requests, cancelled_requests, held_back_requests,
    unpriced_requests
"""
COST = """
    model, purpose, input_tokens, output_tokens, cache_creation_input_tokens,
    cache_read_input_tokens, cost_microusd
"""


@pytest.fixture
async def learner(analysis: Analysis) -> Learner:
    """A learner with a conversation, whose opening used a model without a price."""
    await analysis.at("2040-01-01T23:59:00+00:00")
    one = Learner(103, experience_id=2, course_id=3)
    await analysis.happens(one.asks_to_open(), one.opens(reply=UNPRICED))
    return one


async def test_a_request_without_a_price_is_counted_as_such(
    analysis: Analysis, learner: Learner
) -> None:
    row = await analysis.sees_one("model_daily_cost", "*")
    assert {name: value for name, value in row.items() if value != 0} == {
        "account_id": 1,
        "day": date(2040, 1, 1),
        "model": OTHER_MODEL,
        "purpose": "opening",
        "course_id": 3,
        "requests": 1,
        "input_tokens": 7,
        "output_tokens": 3,
        "unpriced_requests": 1,
        "position": 2,
    }


async def test_each_attempt_counts_for_the_model_that_it_was_made_to(
    analysis: Analysis, learner: Learner
) -> None:
    """The third was not made, since the circuit was open."""
    await analysis.happens(learner.says(), learner.is_answered(reply=RETRIED))
    assert (await analysis.sees("model_daily_cost", REQUESTS))[0] == (
        *(OTHER_MODEL, "message"),
        *(1, 0, 0, 0, 0),
    )
    assert (await analysis.sees("model_daily_cost", REQUESTS))[2] == (
        *(MODEL, "message"),
        *(2, 2, 0, 1, 0),
    )
    seen = await analysis.sees("model_daily_cost", COST)
    assert seen[0] == (OTHER_MODEL, "message", 100, 20, 30, 40, 40)
    assert seen[2] == (MODEL, "message", 5, 1, 0, 0, 60)


async def test_every_purpose_has_its_row(analysis: Analysis, learner: Learner) -> None:
    await analysis.happens(learner.says(), learner.is_answered(reply=PRICED, covers=[1]))
    await analysis.happens(learner.says(), learner.is_answered(reply=PRICED, covers=[]))
    await analysis.happens(*learner.is_evaluated(reply=PRICED))
    columns = "course_id, model, purpose, requests, cost_microusd"
    assert await analysis.sees("model_daily_cost", columns) == [
        (3, OTHER_MODEL, "opening", 1, 0),
        (3, MODEL, "assessment", 2, 1400),
        (3, MODEL, "evaluation", 1, 700),
        (3, MODEL, "message", 2, 1400),
    ]


async def test_an_answer_from_before_attempts_were_recorded_counts_with_its_own_figures(
    analysis: Analysis, learner: Learner
) -> None:
    """Its two attempts have unknown costs."""
    await analysis.happens(learner.says(), learner.is_answered(reply=OLD))
    assert (await analysis.sees("model_daily_cost", REQUESTS))[1] == (
        *(MODEL, "message"),
        *(2, 1, 0, 0, 2),
    )
    assert (await analysis.sees("model_daily_cost", COST))[1] == (
        *(MODEL, "message"),
        *(100, 20, 30, 40, 0),
    )


async def test_an_abandoned_turn_counts_as_an_unknown_cost(
    analysis: Analysis, learner: Learner
) -> None:
    await analysis.happens(learner.says(), learner.is_not_answered("abandoned"))
    assert (await analysis.sees("model_daily_cost", REQUESTS))[1] == (
        *("unknown", "message"),
        *(1, 1, 0, 0, 1),
    )


async def test_a_day_ends_at_midnight_utc(analysis: Analysis, learner: Learner) -> None:
    await analysis.happens(learner.says())
    await analysis.at("2040-01-02T00:01:00+00:00")
    await analysis.happens(learner.is_answered(reply=PRICED))
    assert await analysis.sees("model_daily_cost", "day, purpose, requests") == [
        (date(2040, 1, 1), "opening", 1),
        (date(2040, 1, 2), "message", 1),
    ]
