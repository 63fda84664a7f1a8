"""The analysts' view of conversations."""

from datetime import UTC, datetime

from tests.eventstore.building import Learner, dialogue
from tests.eventstore.reply_attempts import OLD, PRICED, RETRIED
from tests.projections.analysing import Analysis

TURNS = "conversation_id, messages, replies, failed_turns, cancelled_turns"
PROGRESS = "objectives, objectives_covered, all_objectives_met_at"


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2040, 1, 1, hour, minute, tzinfo=UTC)


async def test_a_conversation_begins_when_the_model_has_opened_it(analysis: Analysis) -> None:
    learner = Learner(103, experience_id=2, course_id=3)
    await analysis.at("2040-01-01T10:00:00+00:00")
    await analysis.happens(learner.asks_to_open())
    assert await analysis.sees("conversation_facts", "*") == []
    await analysis.happens(learner.opens(reply=PRICED))
    row = await analysis.sees_one("conversation_facts", "*")
    assert {name: value for name, value in row.items() if value not in (None, 0)} == {
        "account_id": 1,
        "conversation_id": 1,
        "course_id": 3,
        "experience_id": 2,
        "experience_version": 1,
        "user_id": 103,
        "started_at": at(10),
        "last_activity_at": at(10),
        "objectives": 1,
        "input_tokens": 100,
        "output_tokens": 20,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 40,
        "cost_microusd": 700,
        "position": 2,
    }
    assert row["duration_seconds"] == 0


async def test_messages_and_outcomes_are_counted(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.at("2040-01-01T10:00:00+00:00")
    await analysis.happens(*dialogue(learner, 0))
    await analysis.at("2040-01-01T10:05:00+00:00")
    await analysis.happens(learner.says(), learner.is_answered())
    await analysis.happens(learner.says(), learner.is_not_answered())
    await analysis.at("2040-01-01T10:30:00+00:00")
    await analysis.happens(learner.says(), learner.is_answered(), learner.says())
    await analysis.at("2040-01-01T11:00:00+00:00")
    (cancelled, over) = await analysis.happens(learner.deletes())
    assert await analysis.sees("conversation_facts", TURNS) == [(1, 4, 2, 1, 1)]
    times = "first_message_at, last_activity_at, duration_seconds, completed_at, completion_reason"
    assert await analysis.sees("conversation_facts", f"{times}, position") == [
        (at(10, 5), at(11), 3600.0, at(11), "deleted", over.position)
    ]
    assert cancelled.position < over.position


async def test_a_new_conversation_supersedes_the_one_before_it(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(*dialogue(learner, 1), *dialogue(learner, 2))
    assert await analysis.sees("conversation_facts", f"{TURNS}, completion_reason") == [
        (1, 1, 1, 0, 0, "superseded"),
        (2, 2, 2, 0, 0, None),
    ]


async def test_all_objectives_are_met_when_the_last_of_them_is_covered(
    analysis: Analysis,
) -> None:
    learner = Learner()
    await analysis.at("2040-01-01T10:00:00+00:00")
    await analysis.happens(learner.asks_to_open(), learner.opens_with_more())
    await analysis.happens(learner.says(), learner.is_answered_well())
    assert await analysis.sees("conversation_facts", PROGRESS) == [(2, 1, None)]
    await analysis.at("2040-01-01T10:05:00+00:00")
    await analysis.happens(learner.says(), learner.is_answered(), learner.is_judged_late([2]))
    await analysis.at("2040-01-01T10:10:00+00:00")
    await analysis.happens(learner.says(), learner.is_answered(covers=[]))
    assert await analysis.sees("conversation_facts", PROGRESS) == [(2, 2, at(10, 5))]


async def test_without_objectives_none_are_ever_met(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(learner.asks_to_open(), learner.opens(objectives=()))
    await analysis.happens(learner.says(), learner.is_answered())
    assert await analysis.sees("conversation_facts", PROGRESS) == [(0, 0, None)]


async def test_its_cost_sums_up_all_requests_and_unknown_costs_are_counted(
    analysis: Analysis,
) -> None:
    """700 for the opening, twice 100 for the second reply and its judgement, 700 to evaluate."""
    learner = Learner()
    await analysis.happens(learner.asks_to_open(), learner.opens(reply=PRICED))
    await analysis.happens(learner.says(), learner.is_answered(reply=OLD))
    await analysis.happens(learner.says(), learner.is_answered(reply=RETRIED, covers=[]))
    await analysis.happens(*learner.is_evaluated(reply=PRICED))
    await analysis.happens(*learner.is_evaluated(code="stalled"))
    columns = "cost_microusd, unpriced, evaluations, input_tokens, output_tokens"
    assert await analysis.sees("conversation_facts", columns) == [(1600, 2, 1, 500, 100)]


async def test_withdrawn_votes_are_not_counted(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(*dialogue(learner, 1))
    first, second = learner.replies
    given = (
        learner.gets_feedback(first, "liked"),
        learner.gets_feedback(first, "disliked"),
        learner.gets_feedback(first, "liked", voter=1),
        learner.gets_feedback(second, "liked"),
    )
    *_, last = await analysis.happens(*given)
    seen = "liked, disliked, position"
    assert await analysis.sees("conversation_facts", seen) == [(2, 1, last.position)]
    taken_back = learner.loses_feedback(learner.votes[second.message_id, 101])
    (gone,) = await analysis.happens(taken_back)
    assert await analysis.sees("conversation_facts", seen) == [(1, 1, gone.position)]


async def test_an_erasure_leaves_the_row_and_its_time(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(*dialogue(learner, 1))
    before = await analysis.sees("conversation_facts", TURNS)
    await analysis.at("2040-01-01T12:00:00+00:00")
    await analysis.happens(learner.loses_texts(1))
    assert await analysis.sees("conversation_facts", "text_removed_at") == [(at(12),)]
    assert await analysis.sees("conversation_facts", TURNS) == before
