"""Random records of attempts, tokens and costs, known and unknown."""

import random

import msgspec

from eventstore.envelope import NewEvent
from eventstore.reply_records import AttemptRecord, Usage
from eventstore.turn_events import UnansweredTurn
from tests.eventstore.building import REPLY, Step

MODEL, OTHER_MODEL = REPLY.model_requested, "claude-haiku"


def attempt(
    outcome: str = "completed",
    model: str = MODEL,
    usage: Usage | None = None,
    cost: int | None = None,
) -> AttemptRecord:
    """One request to a model; of nothing that arrived neither tokens nor a cost are known."""
    return AttemptRecord(model=model, outcome=outcome, usage=usage, cost_microusd=cost)


GOOD = attempt(usage=Usage(100, 20, 30, 40), cost=700)

PRICED = msgspec.structs.replace(REPLY, attempt_records=(GOOD,), cost_microusd=700)
"""The usual answer."""

RETRIED = msgspec.structs.replace(
    REPLY,
    model=OTHER_MODEL,
    attempts=4,
    attempt_records=(
        attempt("model_overloaded"),
        attempt("stalled", usage=Usage(5, 1, 0, 0), cost=60),
        attempt("circuit_open"),
        attempt(model=OTHER_MODEL, usage=Usage(100, 20, 30, 40), cost=40),
    ),
    fallback=True,
    cost_microusd=100,
)
"""One that took four attempts, the third of which was not made, and another model."""

UNPRICED = msgspec.structs.replace(
    REPLY, attempt_records=(attempt(model=OTHER_MODEL, usage=Usage(7, 3, 0, 0)),)
)
"""One of a model without a price."""

OLD = msgspec.structs.replace(REPLY, attempts=2)
"""One from before attempts and costs were recorded."""

RECORDS = (PRICED, RETRIED, UNPRICED, OLD)
SPENT: tuple[tuple[AttemptRecord, ...], ...] = (
    (),
    (attempt("model_overloaded"), attempt("cancelled", usage=Usage(9, 0, 0, 0), cost=9)),
    (attempt("stalled", model=OTHER_MODEL, usage=Usage(8, 4, 2, 1)),),
)


def with_records(chance: random.Random, step: Step) -> Step:
    """The step with answers and failures that took this and that."""
    return Step(step.stream, tuple(_with_record(chance, new) for new in step.events))


def _with_record(chance: random.Random, new: NewEvent) -> NewEvent:
    event = new.event
    for field in ("reply", "judgement"):
        if hasattr(event, field):
            changed = msgspec.structs.replace(event, **{field: chance.choice(RECORDS)})
            return msgspec.structs.replace(new, event=changed)
    if isinstance(event, UnansweredTurn):
        records = chance.choice(SPENT)
        changed = msgspec.structs.replace(
            event,
            attempt_records=records,
            model=records[-1].model if records else event.model,
            usage=records[-1].usage if records else event.usage,
            cost_microusd=chance.choice([None, sum(r.cost_microusd or 0 for r in records)]),
        )
        return msgspec.structs.replace(new, event=changed)
    return new
