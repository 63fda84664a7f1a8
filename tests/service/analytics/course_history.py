"""A log with every event that becomes a learning record, and the records of a log."""

from itertools import count

import msgspec

from eventstore.connections import AccountPool
from eventstore.envelope import NewEvent, RecordedEvent
from eventstore.log import EventLog
from eventstore.privacy_events import LearnerErased
from service.analytics.learning_records.batches import RECORDERS, Format, batches
from service.analytics.learning_records.export_cursor import ExportScope
from service.analytics.learning_records.iris import Names
from service.analytics.learning_records.source_events import LearningEvent, LearningLog
from tests.eventstore.building import (
    ACCOUNT,
    Learner,
    Step,
    append_steps,
    experience_created,
    experience_edited,
)

BASE = "https://colloquy.example.edu"
NAMES = Names(BASE, ACCOUNT)
SECRET_WORDS = "zanzibarquince"
OBJECTIVES = ("Ask", "Listen", "Wait")
TEACHER = 7


def export_to(store: str | None = None, kind: Format = "xapi") -> ExportScope:
    return ExportScope(account_id=ACCOUNT, format=kind, base=BASE, store=store)


def everything(learner: Learner | None = None) -> list[Step]:
    """A conversation with every type of event, and a second one that replaces it."""
    learner = learner or Learner(101)
    steps = [
        experience_created(title="Tides"),
        learner.asks_to_open(),
        learner.opens(SECRET_WORDS, OBJECTIVES),
        experience_edited(title="Renamed later"),
        learner.says(SECRET_WORDS),
        learner.is_answered(SECRET_WORDS, covers=[2]),
        learner.says(SECRET_WORDS),
        learner.is_answered(SECRET_WORDS, covers=[]),
        learner.says(SECRET_WORDS),
        learner.is_not_answered(partial=SECRET_WORDS),
        learner.says(SECRET_WORDS),
        learner.is_answered(SECRET_WORDS, covers=[1, 3]),
        learner.gets_feedback(learner.replies[-1], "liked", SECRET_WORDS),
        learner.gets_feedback(learner.replies[-1], "disliked", SECRET_WORDS, voter=TEACHER),
    ]
    steps.append(learner.loses_feedback(next(iter(learner.votes.values()))))
    steps += learner.is_evaluated()
    return [*steps, learner.asks_to_open(), learner.opens(SECRET_WORDS, OBJECTIVES)]


def erased(user_id: int) -> Step:
    """The learner's erasure, as learning records see it."""
    event = LearnerErased(
        user_id=user_id,
        reason="A letter",
        texts=0,
        conversations=0,
        names=0,
        identities=0,
        tokens=0,
    )
    return Step(f"learner-{user_id}", (NewEvent(event=event),))


async def talk(log: EventLog, exchanges: int, learners: int = 1) -> list[RecordedEvent]:
    """Conversations with a number of exchanges each, on one experience."""
    ids = count(1)
    steps = [experience_created()]
    for user_id in range(101, 101 + learners):
        learner = Learner(user_id, conversation_ids=ids)
        steps += [learner.asks_to_open(), learner.opens()]
        for _ in range(exchanges):
            steps += [learner.says(SECRET_WORDS), learner.is_answered()]
    return await append_steps(log, steps)


async def learning_events(
    pool: AccountPool,
    *,
    after: int = 0,
    upto: int = 10_000,
    account_id: int = ACCOUNT,
    window: int = 2_000,
) -> list[LearningEvent]:
    """The events of a log that become records."""
    types = RECORDERS["xapi"].types
    windows = LearningLog(pool, window).windows(account_id, types, after=after, upto=upto)
    return [event async for window in windows for event in window.events]


async def lines(pool: AccountPool, kind: Format = "xapi", *, upto: int = 10_000) -> list[bytes]:
    """The records of the whole log of the first account."""
    recorder = RECORDERS[kind]
    windows = LearningLog(pool).windows(ACCOUNT, recorder.types, after=0, upto=upto)
    return [
        record.line
        async for window in windows
        for batch in batches(recorder, NAMES, window, 3)
        for record in batch.records
    ]


def decoded(records: list[bytes]) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in records]
