"""The analysts' view of votes on the model's messages."""

from datetime import UTC, datetime

from tests.eventstore.building import Learner, dialogue
from tests.projections.analysing import Analysis, together

VOTE = "voter_id, vote, replaced, given_at, withdrawn_at"


def at(hour: int) -> datetime:
    return datetime(2040, 1, 1, hour, tzinfo=UTC)


async def test_a_vote_names_its_message_and_whose_conversation_it_is(analysis: Analysis) -> None:
    learner = Learner(103, experience_id=2, course_id=3)
    await analysis.happens(*dialogue(learner, 0))
    await analysis.at("2040-01-01T10:00:00+00:00")
    (message,) = learner.replies
    given, other = await analysis.happens(
        learner.gets_feedback(message, "liked", "Nice"),
        learner.gets_feedback(message, "disliked", voter=1),
    )
    columns = """
        by_learner, message_id::text, voter_id, conversation_id, course_id, experience_id,
        user_id, vote, feedback_id::text, first_given_at, given_at, replaced, withdrawn_at,
        position
    """
    shared = (1, 3, 2, 103)
    assert await analysis.sees("feedback_facts", columns) == [
        (
            *(False, message.message_id, 1, *shared, "disliked", other.event.feedback_id),  # type: ignore[union-attr]
            *(at(10), at(10), False, None, other.position),
        ),
        (
            *(True, message.message_id, 103, *shared, "liked", given.event.feedback_id),  # type: ignore[union-attr]
            *(at(10), at(10), False, None, given.position),
        ),
    ]


async def test_a_new_vote_takes_the_place_of_the_old_one_in_its_row(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(*dialogue(learner, 0))
    (message,) = learner.replies
    await analysis.at("2040-01-01T10:00:00+00:00")
    await analysis.happens(learner.gets_feedback(message, "liked"))
    await analysis.at("2040-01-01T11:00:00+00:00")
    await analysis.happens(learner.gets_feedback(message, "disliked"))
    assert await analysis.sees("feedback_facts", f"first_given_at, {VOTE}") == [
        (at(10), 101, "disliked", True, at(11), None)
    ]


async def test_a_withdrawn_vote_keeps_its_row_and_may_come_again(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(*dialogue(learner, 0))
    (message,) = learner.replies
    await analysis.at("2040-01-01T10:00:00+00:00")
    await analysis.happens(learner.gets_feedback(message, "liked"))
    await analysis.at("2040-01-01T11:00:00+00:00")
    await analysis.happens(learner.loses_feedback(learner.votes[message.message_id, 101]))
    seen = await analysis.sees("feedback_facts", VOTE)
    assert seen == [(101, "liked", False, at(10), at(11))]
    await analysis.at("2040-01-01T12:00:00+00:00")
    await analysis.happens(learner.gets_feedback(message, "disliked"))
    assert await analysis.sees("feedback_facts", VOTE) == [(101, "disliked", True, at(12), None)]


async def test_the_events_of_one_append_count_in_their_order(analysis: Analysis) -> None:
    learner = Learner()
    await analysis.happens(*dialogue(learner, 0))
    (message,) = learner.replies
    await analysis.at("2040-01-01T10:00:00+00:00")
    given = learner.gets_feedback(message, "liked")
    gone = learner.loses_feedback(learner.votes[message.message_id, 101])
    again = learner.gets_feedback(message, "disliked")
    await analysis.happens(together([given, gone, again]))
    assert await analysis.sees("feedback_facts", VOTE) == [(101, "disliked", True, at(10), None)]
    last = learner.gets_feedback(message, "liked")
    gone = learner.loses_feedback(learner.votes[message.message_id, 101])
    await analysis.happens(together([last, gone]))
    assert await analysis.sees("feedback_facts", VOTE) == [(101, "liked", True, at(10), at(10))]
