"""The analysts' view of learners' progress with an experience."""

from datetime import UTC, datetime
from itertools import count

from tests.eventstore.building import Learner, dialogue
from tests.projections.analysing import Analysis

CONVERSATIONS = """
    experience_id, conversations_opened, conversations_replied, conversations_completed,
    conversations_with_objectives, conversations_met
"""
LEARNERS = """
    experience_id, learners_opened, learners_replied, learners_completed,
    learners_with_objectives, learners_met
"""


async def test_an_experience_has_a_row_from_its_first_conversation_on(analysis: Analysis) -> None:
    learner = Learner(103, experience_id=2, course_id=3)
    await analysis.happens(learner.asks_to_open(), learner.opening_fails(), learner.asks_to_open())
    assert await analysis.sees("experience_funnel", "*") == []
    await analysis.at("2040-01-01T10:00:00+00:00")
    await analysis.happens(learner.opens())
    row = await analysis.sees_one("experience_funnel", "*")
    assert {name: value for name, value in row.items() if value != 0} == {
        "account_id": 1,
        "course_id": 3,
        "experience_id": 2,
        "first_opened_at": datetime(2040, 1, 1, 10, tzinfo=UTC),
        "conversations_opened": 1,
        "conversations_with_objectives": 1,
        "learners_opened": 1,
        "learners_with_objectives": 1,
        "position": 4,
    }


async def test_a_conversation_counts_once_at_each_stage(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(*dialogue(learner, 0), learner.says(), learner.is_not_answered())
    assert await analysis.sees("experience_funnel", CONVERSATIONS) == [(1, 1, 0, 0, 1, 0)]
    await analysis.happens(learner.says(), learner.is_answered_well())
    assert await analysis.sees("experience_funnel", CONVERSATIONS) == [(1, 1, 1, 0, 1, 1)]
    await analysis.happens(learner.says(), learner.is_answered(), learner.deletes())
    assert await analysis.sees("experience_funnel", CONVERSATIONS) == [(1, 1, 1, 1, 1, 1)]


async def test_all_objectives_must_be_covered_in_one_conversation(analysis: Analysis) -> None:
    learner = Learner()
    for covered in (1, 2):
        await analysis.happens(learner.asks_to_open(), learner.opens_with_more())
        await analysis.happens(learner.says(), learner.is_answered(covers=[covered]))
    assert await analysis.sees("experience_funnel", CONVERSATIONS) == [(1, 2, 2, 1, 2, 0)]
    await analysis.happens(learner.says(), learner.is_answered(covers=[1]))
    assert await analysis.sees("experience_funnel", CONVERSATIONS) == [(1, 2, 2, 1, 2, 1)]


async def test_a_learner_counts_once_at_each_stage_however_many_conversations(
    analysis: Analysis,
) -> None:
    ids = count(1)
    anna, ben = Learner(101, conversation_ids=ids), Learner(102, conversation_ids=ids)
    elsewhere = Learner(101, experience_id=2, conversation_ids=ids)
    await analysis.happens(*dialogue(anna, 1), *dialogue(anna, 1), *dialogue(anna, 0))
    await analysis.happens(*dialogue(ben, 0), *dialogue(elsewhere, 1))
    assert await analysis.sees("experience_funnel", CONVERSATIONS) == [
        (1, 4, 2, 2, 4, 0),
        (2, 1, 1, 0, 1, 0),
    ]
    assert await analysis.sees("experience_funnel", LEARNERS) == [
        (1, 2, 1, 1, 2, 0),
        (2, 1, 1, 0, 1, 0),
    ]


async def test_without_objectives_a_conversation_is_never_met(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(learner.asks_to_open(), learner.opens(objectives=()))
    await analysis.happens(learner.says(), learner.is_answered(covers=[]))
    assert await analysis.sees("experience_funnel", CONVERSATIONS) == [(1, 1, 1, 0, 0, 0)]
