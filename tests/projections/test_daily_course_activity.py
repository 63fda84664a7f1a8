"""The analysts' view of a course's days."""

from datetime import date
from itertools import count
from typing import Any, Literal

import pytest

from tests.eventstore.building import Learner, dialogue
from tests.eventstore.reply_attempts import OLD, PRICED
from tests.projections.analysing import Analysis

FIRST, SECOND = date(2040, 1, 1), date(2040, 1, 2)


async def seen(analysis: Analysis, columns: str, course_id: int = 1) -> list[tuple[Any, ...]]:
    rows = await analysis.sees("daily_course_activity", f"course_id, day, {columns}")
    return [row[1:] for row in rows if row[0] == course_id]


@pytest.fixture
async def learner(analysis: Analysis) -> Learner:
    """A learner on their first day."""
    await analysis.at("2040-01-01T23:59:00+00:00")
    return Learner()


async def next_day(analysis: Analysis) -> None:
    await analysis.at("2040-01-02T00:01:00+00:00")


async def test_a_day_has_all_counts(analysis: Analysis, learner: Learner) -> None:
    await analysis.happens(learner.asks_to_open(), learner.opening_fails())
    await analysis.happens(learner.asks_to_open(), learner.opening_fails("cancelled"))
    await analysis.happens(learner.asks_to_open(), learner.opens(reply=PRICED))
    await analysis.happens(learner.says(), learner.is_answered(reply=PRICED, covers=[1]))
    await analysis.happens(learner.says(), learner.is_not_answered(), learner.says())
    await analysis.happens(*learner.is_evaluated(reply=PRICED), learner.is_answered(reply=OLD))
    votes: tuple[Literal["liked", "disliked"], ...] = ("liked", "liked", "disliked")
    for vote in votes:
        await analysis.happens(learner.gets_feedback(learner.replies[0], vote))
    await analysis.happens(learner.says())
    *_, over = await analysis.happens(learner.deletes())
    row = await analysis.sees_one("daily_course_activity", "*")
    assert row == {
        "account_id": 1,
        "course_id": 1,
        "day": FIRST,
        "active_learners": 1,
        "conversations_opened": 1,
        "conversations_completed": 1,
        "messages": 4,
        "replies": 2,
        "failed_turns": 2,
        "cancelled_turns": 2,
        "objectives_covered": 1,
        "conversations_met": 1,
        "votes_liked": 2,
        "votes_disliked": 1,
        "evaluations": 1,
        "cost_microusd": 4 * 700,
        "unpriced": 5,
        "position": over.position,
    }


async def test_a_learner_counts_once_a_day_and_course(analysis: Analysis, learner: Learner) -> None:
    other = Learner(102, conversation_ids=count(10))
    elsewhere = Learner(101, experience_id=2, course_id=2, conversation_ids=count(20))
    await analysis.happens(*dialogue(learner, 2), *dialogue(other, 2), *dialogue(elsewhere, 1))
    await next_day(analysis)
    await analysis.happens(other.says(), other.is_answered())
    columns = "active_learners, conversations_opened, messages"
    assert await seen(analysis, columns) == [(FIRST, 2, 2, 4), (SECOND, 1, 0, 1)]
    assert await seen(analysis, columns, course_id=2) == [(FIRST, 1, 1, 1)]


async def test_a_conversation_is_met_on_the_day_of_its_last_objective(
    analysis: Analysis, learner: Learner
) -> None:
    await analysis.happens(learner.asks_to_open(), learner.opens_with_more())
    await analysis.happens(learner.says(), learner.is_answered_well())
    columns = "objectives_covered, conversations_met"
    assert await seen(analysis, columns) == [(FIRST, 1, 0)]
    await next_day(analysis)
    await analysis.happens(learner.says(), learner.is_answered_well())
    assert await seen(analysis, columns) == [(FIRST, 1, 0), (SECOND, 1, 1)]


async def test_what_ends_after_midnight_counts_for_the_new_day(
    analysis: Analysis, learner: Learner
) -> None:
    await analysis.happens(*dialogue(learner, 0), learner.says())
    await next_day(analysis)
    await analysis.happens(learner.is_answered(reply=PRICED), *learner.is_evaluated())
    columns = "active_learners, messages, replies, evaluations, cost_microusd"
    assert await seen(analysis, columns) == [(FIRST, 1, 1, 0, 0, 0), (SECOND, 0, 0, 1, 1, 700)]
