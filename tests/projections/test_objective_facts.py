"""The analysts' view of each objective of a conversation."""

from datetime import UTC, datetime

from eventstore.dialogue_events import MessagePosted
from eventstore.envelope import RecordedEvent
from tests.eventstore.building import Learner
from tests.projections.analysing import Analysis

COVERED = "objective, covered, turn_number, seconds_to_cover"


def posted(event: RecordedEvent) -> MessagePosted:
    assert isinstance(event.event, MessagePosted)
    return event.event


async def test_every_objective_has_a_row_from_the_opening_on(analysis: Analysis) -> None:
    learner = Learner(103, experience_id=2, course_id=3)
    await analysis.at("2040-01-01T10:00:00+00:00")
    await analysis.happens(learner.asks_to_open(), learner.opens_with_more())
    started = datetime(2040, 1, 1, 10, tzinfo=UTC)
    facts = (1, 1, 3, 2, 1, 103, started)
    columns = """
        objective, account_id, conversation_id, course_id, experience_id, experience_version,
        user_id, started_at, covered, covered_at, seconds_to_cover, turn_id, turn_number,
        evidence_message_id, position
    """
    uncovered = (False, *[None] * 5, 2)
    assert await analysis.sees("objective_facts", columns) == [
        (1, *facts, *uncovered),
        (2, *facts, *uncovered),
    ]


async def test_without_objectives_there_are_no_rows(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(learner.asks_to_open(), learner.opens(objectives=()))
    assert await analysis.sees("objective_facts", "*") == []


async def test_a_covered_objective_names_its_turn_its_evidence_and_its_time(
    analysis: Analysis,
) -> None:
    learner = Learner()
    await analysis.at("2040-01-01T10:00:00+00:00")
    await analysis.happens(learner.asks_to_open(), learner.opens_with_more())
    await analysis.happens(learner.says(), learner.is_not_answered())
    await analysis.at("2040-01-01T10:01:30+00:00")
    asked, judged, _ = await analysis.happens(learner.says(), learner.is_answered(covers=[2]))
    message = posted(asked)
    columns = f"{COVERED}, covered_at, turn_id::text, evidence_message_id::text, position"
    assert await analysis.sees("objective_facts", columns) == [
        (1, False, None, None, None, None, None, 2),
        (
            *(2, True, 2, 90.0, judged.recorded_at),
            *(message.turn_id, message.message_id, judged.position),
        ),
    ]


async def test_a_late_judgement_counts_for_the_turn_that_it_is_about(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(learner.asks_to_open(), learner.opens_with_more())
    asked, *_ = await analysis.happens(learner.says(), learner.is_answered())
    await analysis.happens(learner.says(), learner.is_judged_late([1]), learner.is_answered_well())
    seen = await analysis.sees("objective_facts", "objective, turn_number, turn_id::text")
    assert seen[0] == (1, 1, posted(asked).turn_id)


async def test_a_covered_objective_keeps_its_first_evidence(analysis: Analysis) -> None:
    """The service covers an objective once; of two events the first would count."""
    learner = Learner()
    await analysis.happens(learner.asks_to_open(), learner.opens())
    await analysis.happens(learner.says(), learner.is_answered(covers=[1]))
    before = await analysis.sees("objective_facts", "*")
    await analysis.happens(learner.says(), learner.is_answered(covers=[1, 7]))
    assert await analysis.sees("objective_facts", "*") == before
