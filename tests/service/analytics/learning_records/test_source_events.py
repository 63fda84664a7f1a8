"""The source events of learning records: their selection, learners and conversations."""

from itertools import count

from eventstore.connections import AccountPool, Connection
from eventstore.dialogue_events import ConversationStarted, MessagePosted, ObjectivesAssessed
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from service.analytics.learning_records.batches import RECORDERS
from service.analytics.learning_records.source_events import LearningLog
from sql.loader import query
from tests.eventstore.building import (
    Learner,
    add_account,
    append,
    append_steps,
    edits,
    experience_created,
)
from tests.service.analytics.course_history import (
    OBJECTIVES,
    TEACHER,
    erased,
    everything,
    learning_events,
)

Parts = tuple[EventLog, AccountPool, Notifier]


async def test_each_event_comes_with_its_conversation(log_parts: Parts) -> None:
    log, pool, _ = log_parts
    await append_steps(log, everything(Learner(101, course_id=4)))
    result = await learning_events(pool)
    assert {(e.user_id, e.course_id, e.experience_id, e.objectives) for e in result} == {
        (101, 4, 1, len(OBJECTIVES))
    }
    assert {e.title for e in result} == {"Tides"}, "the title when the conversation began"
    assessed = [e.covered for e in result if isinstance(e.event, ObjectivesAssessed)]
    assert assessed == [1, 1, 3]
    began = [e.recorded_at for e in result if isinstance(e.event, ConversationStarted)]
    assert {e.started_at for e in result} == set(began)


async def test_small_windows_have_the_events_of_a_large_one(log_parts: Parts) -> None:
    """Objectives covered in earlier windows are counted."""
    log, pool, _ = log_parts
    await append_steps(log, everything())
    whole = await learning_events(pool)
    head, middle = await log.head(1), whole[5].position
    assert await learning_events(pool, upto=head, window=1) == whole
    assert await learning_events(pool, after=middle, upto=head, window=1) == whole[6:]
    assert await learning_events(pool, upto=middle, window=1) == whole[:6]


async def test_only_events_of_the_requested_course_are_read(log_parts: Parts) -> None:
    log, pool, _ = log_parts
    ids = count(1)
    for user, course in ((101, 1), (102, 2)):
        learner = Learner(user, course_id=course, conversation_ids=ids)
        await append_steps(log, [learner.asks_to_open(), learner.opens(), learner.says()])
    types = RECORDERS["xapi"].types
    windows = LearningLog(pool).windows(1, types, after=0, upto=100, course_id=2)
    result = [event async for window in windows for event in window.events]
    assert {(e.course_id, e.user_id) for e in result} == {(2, 102)}
    assert len(result) == 2


async def test_an_erased_learner_is_left_out_until_they_come_back(log_parts: Parts) -> None:
    log, pool, _ = log_parts
    ids = count(1)
    gone, stays = Learner(101, conversation_ids=ids), Learner(102, conversation_ids=ids)
    steps = [experience_created()]
    for learner in (gone, stays):
        steps += [learner.asks_to_open(), learner.opens(), learner.says(), learner.is_answered()]
    await append_steps(log, [*steps, erased(101)])
    assert {e.user_id for e in await learning_events(pool)} == {102}
    await append_steps(log, [gone.asks_to_open(), gone.opens(), gone.says()])
    again = [e for e in await learning_events(pool) if e.user_id == 101]
    assert [type(e.event) for e in again] == [ConversationStarted, MessagePosted]


async def test_a_vote_of_an_erased_user_is_left_out(log_parts: Parts) -> None:
    log, pool, _ = log_parts
    await append_steps(log, everything())
    before = await learning_events(pool)
    await append_steps(log, [erased(TEACHER)])
    after = await learning_events(pool)
    assert len(after) == len(before) - 1
    assert TEACHER not in {getattr(e.event, "user_id", None) for e in after}


async def test_another_institutions_events_are_not_read(
    log_parts: Parts, owner: Connection
) -> None:
    log, pool, _ = log_parts
    await add_account(owner, 2)
    await append_steps(log, everything(Learner(500)), account_id=2)
    assert await learning_events(pool) == []
    assert {e.user_id for e in await learning_events(pool, account_id=2)} == {500}


async def test_a_window_costs_the_same_however_long_the_log_is(
    log_parts: Parts, owner: Connection
) -> None:
    """No statistics make the planner read the whole log for a part of it."""
    log, _, _ = log_parts
    await append_steps(log, everything())
    for number in range(2, 252):
        await append(log, f"experience-{number}", *edits(20))
    await owner.execute("VACUUM ANALYZE events")
    await owner.execute("SET ROLE colloquy_service; SET colloquy.account = '1'")
    await owner.execute("SET plan_cache_mode = force_custom_plan")
    await owner.execute(f"PREPARE reading AS {query('read_learning')}")
    expected = "ARRAY['" + "', '".join(RECORDERS["xapi"].types) + "']"
    for after, upto in ((0, 30), (4_000, 4_500)):
        asked = f"EXPLAIN EXECUTE reading (1, {after}, {upto}, {expected}, NULL)"
        plan = "\n".join(row[0] for row in await owner.fetch(asked))
        assert "events_pkey" in plan
        assert "Seq Scan on events" not in plan, plan
