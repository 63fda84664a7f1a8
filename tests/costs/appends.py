"""The costs of appends depend neither on the log's length nor on when plans were made."""

from collections.abc import Callable
from copy import deepcopy

import msgspec

from eventstore.envelope import NewEvent
from eventstore.privacy_events import (
    HistoryRead,
    HoldPlaced,
    HoldReleased,
    LearnerErased,
    RetentionRuleSet,
    TextExpired,
    stream_of_learner,
    stream_of_reads,
    stream_of_retention,
)
from tests.costs import LONG, Cost, Costs, Part, School, Session, guard_of
from tests.eventstore.building import (
    Learner,
    Step,
    experience_created,
    experience_deleted,
    experience_edited,
)


def holds(one: Learner) -> list[Step]:
    """A hold on the learner, and its release."""
    number = one.user_id
    events = (
        HoldPlaced(hold_id=number, user_id=number, reason="A case"),
        HoldReleased(hold_id=number, user_id=number, reason="It is closed"),
    )
    stream = stream_of_learner(one.user_id)
    return [Step(stream, (NewEvent(event=event),)) for event in events]


def erases(one: Learner) -> Step:
    """The event of the learner's erasure, without the erasure."""
    erased = LearnerErased(
        user_id=one.user_id,
        reason="asked",
        texts=1,
        conversations=1,
        names=1,
        identities=1,
        tokens=1,
    )
    return Step(stream_of_learner(one.user_id), (NewEvent(event=erased),))


def expires(one: Learner) -> Step:
    """The event of an expiry, without the expiry."""
    number = one.replies[-1].conversation_id
    expired = TextExpired(
        conversation_id=number, user_id=one.user_id, texts=1, rule="course", days=1
    )
    return Step(one.stream, (NewEvent(event=expired),))


def reads(one: Learner) -> Step:
    """The learner's record is read."""
    read = HistoryRead(what="learner record", learner_id=one.user_id)
    return Step(stream_of_reads(one.user_id), (NewEvent(event=read),))


def sets_rule(one: Learner) -> Step:
    """A rule for the learner's course."""
    rule = RetentionRuleSet(course_id=one.course_id, days=30)
    return Step(stream_of_retention(one.course_id), (NewEvent(event=rule),))


DEEDS: dict[str, Callable[[Learner], list[Step]]] = {
    "an opening is asked for": lambda one: [one.asks_to_open()],
    "a conversation starts": lambda one: [one.asks_to_open(), one.opens()],
    "a message is posted": lambda one: [one.says()],
    "a reply comes": lambda one: [one.says(), one.is_answered()],
    "a reply comes that covers": lambda one: [one.says(), one.is_answered_well()],
    "a reply fails": lambda one: [one.says(), one.is_not_answered()],
    "a reply is cancelled": lambda one: [one.says(), one.deletes()],
    "an opening fails": lambda one: [one.asks_to_open(), one.opening_fails()],
    "a judgement comes late": lambda one: [one.says(), one.is_answered(), one.is_judged_late([1])],
    "a vote is given": lambda one: [one.gets_feedback(one.replies[-1], text="Good")],
    "a vote is withdrawn": lambda one: [one.loses_feedback(next(iter(one.votes.values())))],
    "an evaluation is asked for": lambda one: one.is_evaluated()[:1],
    "an evaluation is recorded": lambda one: one.is_evaluated(),
    "a conversation is deleted": lambda one: [one.deletes()],
    "a hold is placed": lambda one: [holds(one)[0]],
    "a hold is released": lambda one: holds(one),
    "a learner is erased": lambda one: [erases(one)],
    "texts expire": lambda one: [expires(one)],
    "a record is read": lambda one: [reads(one)],
    "a retention rule is set": lambda one: [sets_rule(one)],
    "an experience is edited": lambda _: [experience_edited()],
    "an experience is deleted": lambda _: [experience_deleted()],
}
"""Appends, the last of each of which is looked at."""

TOGETHER = 64
GUARDED = "a message is posted that rests on what was checked"
LOOKED_UP = 5
"""Rows that a guard has read at most: a token, a name, a role, an experience's event, a count."""

NO_PEOPLE = {"token_id": None, "subject": None, "role": None}


async def rehearse(_school: School, session: Session) -> None:
    """Every kind of append once."""
    one = Learner(7, 7, conversation_ids=iter((7, 8)))
    steps = [experience_created(), one.asks_to_open(), one.opens()]
    steps += [one.says(), one.is_answered_well(), one.gets_feedback(one.replies[-1])]
    for deed in DEEDS.values():
        steps += deed(deepcopy(one))[-1:]
    await session.rehearse(*steps)
    # There is nobody yet, so the look-ups after the first that fails would not be planned.
    for left_out in ({}, {"token_id": None}, {"token_id": None, "subject": None}, NO_PEOPLE):
        guard = msgspec.structs.replace(guard_of(one), **left_out)
        await session.append(deepcopy(one).says(), guards=[guard])


async def costs_of(learner: Learner, session: Session) -> Costs:
    """What the deeds cost in a learner's dialogue."""
    costs = {
        name: await session.append(deed(deepcopy(learner))[-1]) for name, deed in DEEDS.items()
    }
    costs[GUARDED] = await session.append(deepcopy(learner).says(), guards=[guard_of(learner)])
    return costs


async def measure(school: School, session: Session) -> Costs:
    """What the deeds cost in a usual dialogue."""
    return await costs_of(school.usual[3], session)


APPENDS = Part("colloquy_service", rehearse, measure)


async def check_long(school: School, session: Session, found: dict[str, list[Cost]]) -> None:
    """In a conversation of a thousand messages an append reads the same rows."""
    long = await costs_of(school.long, session)
    del long[GUARDED]  # its learner has no token
    del long["texts expire"]  # that of all texts of the conversation
    for name, cost in long.items():
        assert cost.rows == found[name][0].rows, f"{name} in a conversation of {LONG} messages"


async def check_batches(school: School, session: Session) -> None:
    """An item of a large batch reads no more rows than one that is alone."""
    for name, deed in DEEDS.items():
        if "experience" in name or "rule" in name:
            continue
        alone = await session.append(deed(deepcopy(school.usual[3]))[-1])
        some = school.usual[10 : 10 + TOGETHER]
        batch = await session.append(*(deed(deepcopy(learner))[-1] for learner in some))
        assert batch.rows <= TOGETHER * alone.rows, name
    alone = await session.append(
        deepcopy(school.usual[3]).says(), guards=[guard_of(school.usual[3])]
    )
    batch = await session.append(
        *(deepcopy(learner).says() for learner in some),
        guards=[guard_of(learner) for learner in some],
    )
    assert batch.rows <= TOGETHER * alone.rows
    unguarded = await session.append(deepcopy(school.usual[3]).says())
    assert alone.rows <= unguarded.rows + LOOKED_UP
