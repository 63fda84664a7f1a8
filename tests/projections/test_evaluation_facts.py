"""The analysts' view of evaluations."""

from tests.eventstore.building import REPLY, Learner, dialogue
from tests.eventstore.reply_attempts import PRICED
from tests.projections.analysing import Analysis

TOOK = """
    duration_ms, input_tokens, output_tokens, cache_creation_input_tokens,
    cache_read_input_tokens, attempts, cost_microusd
"""


async def test_an_evaluation_is_pending_until_it_ends(analysis: Analysis) -> None:
    learner = Learner(103, experience_id=2, course_id=3)
    await analysis.happens(*dialogue(learner, 1))
    begun, _ = learner.is_evaluated()
    (asked,) = await analysis.happens(begun)
    row = await analysis.sees_one("evaluation_facts", "*")
    assert f"evaluation-{row.pop('evaluation_id')}" == begun.stream
    assert {name: value for name, value in row.items() if value is not None} == {
        "account_id": 1,
        "conversation_id": 1,
        "course_id": 3,
        "experience_id": 2,
        "experience_version": 1,
        "user_id": 103,
        "asked_by": 101,
        "requested_at": asked.recorded_at,
        "outcome": "pending",
        "model": REPLY.model_requested,
        "position": asked.position,
    }


async def test_a_completed_evaluation_has_its_tokens_times_and_cost(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(*dialogue(learner, 1))
    asked, ended = await analysis.happens(*learner.is_evaluated(reply=PRICED))
    columns = "requested_at, ended_at, outcome, code, retryable, model, fallback, prompt"
    assert await analysis.sees("evaluation_facts", f"{columns}, {TOOK}, position") == [
        (
            *(asked.recorded_at, ended.recorded_at, "completed", None, None),
            *(REPLY.model, False, "tutor", 1500, 100, 20, 30, 40, 1, 700, ended.position),
        )
    ]


async def test_a_failed_evaluation_says_why_and_another_one_is_another_row(
    analysis: Analysis,
) -> None:
    learner = Learner()
    await analysis.happens(*dialogue(learner, 1))
    await analysis.happens(*learner.is_evaluated(code="stalled"), *learner.is_evaluated())
    columns = "outcome, code, retryable, model, cost_microusd"
    assert await analysis.sees("evaluation_facts", columns) == [
        ("completed", None, None, REPLY.model, None),
        ("failed", "stalled", True, REPLY.model_requested, None),
    ]


async def test_other_turns_have_no_row(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(*dialogue(learner, 1), learner.says(), learner.is_not_answered())
    assert await analysis.sees("evaluation_facts", "*") == []
