"""The analysts' view of turns, with every outcome, and of assessments beside replies."""

import msgspec
import pytest

from eventstore.reply_records import Usage
from tests.eventstore.building import REPLY, Learner, dialogue
from tests.eventstore.reply_attempts import OTHER_MODEL, PRICED, RETRIED, UNPRICED
from tests.projections.analysing import Analysis

TOKENS = "input_tokens, output_tokens, cache_creation_input_tokens, cache_read_input_tokens"
JUDGED = "assessment_outcome, assessment_ms, assessment_cost_microusd"


async def test_a_turn_is_pending_until_it_ends(analysis: Analysis) -> None:
    learner = Learner(101, experience_id=2, course_id=3)
    (asked,) = await analysis.happens(learner.asks_to_open())
    row = await analysis.sees_one("turn_facts", "*")
    assert row.pop("turn_id") is not None
    known = {name: value for name, value in row.items() if value is not None}
    assert known == {
        "account_id": 1,
        "conversation_id": 1,
        "course_id": 3,
        "experience_id": 2,
        "user_id": 101,
        "kind": "opening",
        "retry": False,
        "takeovers": 0,
        "requested_at": asked.recorded_at,
        "outcome": "pending",
        "model": REPLY.model_requested,
        "position": asked.position,
    }


async def test_a_completed_turn_has_its_tokens_times_and_cost(analysis: Analysis) -> None:
    learner = Learner()
    reply = msgspec.structs.replace(PRICED, stop_reason="max_tokens", usage=Usage(1, 2, 3, 4))
    await analysis.happens(*dialogue(learner, 0))
    asked, ended = await analysis.happens(learner.says(), learner.is_answered(reply=reply))
    columns = f"""
        requested_at, ended_at, kind, outcome, code, retryable, model, fallback, prompt,
        stop_reason, first_token_ms, duration_ms, {TOKENS}, attempts, cost_microusd, position
    """
    assert (await analysis.sees("turn_facts", columns))[-1] == (
        *(asked.recorded_at, ended.recorded_at, "message", "completed", None, None),
        *(REPLY.model, False, "tutor", "max_tokens", 250, 1500),
        *(1, 2, 3, 4, 1, 700, ended.position),
    )


async def test_a_fallbacks_answer_says_so_and_counts_all_requests(analysis: Analysis) -> None:
    """Except for the attempt that an open circuit prevented."""
    learner = Learner()
    await analysis.happens(learner.asks_to_open(), learner.opens(reply=RETRIED))
    assert await analysis.sees_one("turn_facts", "model, fallback, attempts, cost_microusd") == {
        "model": OTHER_MODEL,
        "fallback": True,
        "attempts": 3,
        "cost_microusd": 100,
    }


@pytest.mark.parametrize(
    ("usage", "share"),
    [(Usage(1, 9, 3, 4), 0.5), (Usage(10, 2), 0.0), (Usage(0, 2), None), (None, None)],
)
async def test_the_cached_share_is_of_all_input_tokens(
    analysis: Analysis, usage: Usage | None, share: float | None
) -> None:
    learner = Learner()
    await analysis.happens(
        *dialogue(learner, 0), learner.says(), learner.is_not_answered(usage=usage)
    )
    assert (await analysis.sees("turn_facts", "requested_at, cached_input_share"))[-1][1] == share


async def test_a_failed_turn_has_its_known_tokens_times_and_cost(
    analysis: Analysis,
) -> None:
    learner = Learner()
    failed = learner.is_not_answered
    await analysis.happens(*dialogue(learner, 0), learner.says(), failed())
    await analysis.happens(learner.says(), failed(model=REPLY.model, usage=Usage(1, 2, 3, 4)))
    seen = await analysis.sees("turn_facts", f"requested_at, outcome, retryable, model, {TOKENS}")
    assert [row[1:] for row in seen][1:] == [
        ("failed", True, REPLY.model_requested, None, None, None, None),
        ("failed", True, REPLY.model, 1, 2, 3, 4),
    ]


async def test_every_way_to_end_a_turn_has_its_outcome(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(learner.asks_to_open(), learner.opening_fails("stalled"))
    await analysis.happens(learner.asks_to_open(), learner.opening_fails("cancelled"))
    await analysis.happens(learner.asks_to_open(), learner.opens())
    await analysis.happens(learner.says(), learner.is_not_answered("overloaded"))
    await analysis.happens(learner.says(), learner.is_answered(), *learner.is_evaluated())
    await analysis.happens(*learner.is_evaluated(code="refused"))
    await analysis.happens(learner.says(), learner.deletes())
    seen = await analysis.sees(
        "turn_facts", "requested_at, kind, outcome, code, duration_ms, model"
    )
    asked, model = REPLY.model_requested, REPLY.model
    assert [row[1:] for row in seen] == [
        ("opening", "failed", "stalled", 900, asked),
        ("opening", "cancelled", "cancelled", 900, asked),
        ("opening", "completed", None, 1500, model),
        ("message", "failed", "overloaded", None, asked),
        ("message", "completed", None, 1500, model),
        ("evaluation", "completed", None, 1500, model),
        ("evaluation", "failed", "refused", None, asked),
        ("message", "cancelled", "conversation_completed", None, asked),
    ]


async def test_the_assessment_beside_a_reply_is_counted_separately(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(*dialogue(learner, 0))
    await analysis.happens(learner.says(), learner.is_answered(reply=PRICED, covers=[]))
    await analysis.happens(learner.says(), learner.is_answered(reply=PRICED))
    await analysis.happens(learner.is_judged_late(reply=UNPRICED))
    await analysis.happens(learner.says(), learner.is_answered())
    (failed,) = await analysis.happens(learner.is_not_judged())
    seen = await analysis.sees("turn_facts", f"requested_at, cost_microusd, {JUDGED}, position")
    assert [row[1:] for row in seen[1:]] == [
        (700, "completed", 1500, 700, 5),
        (700, "completed", 1500, None, 8),
        (None, "failed", None, None, failed.position),
    ]
