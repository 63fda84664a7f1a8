"""The costs of followed projections."""

from copy import deepcopy

from eventstore.events import type_name
from tests.costs import LONG, Cost, Costs, Part, School, Session
from tests.costs.appends import DEEDS
from tests.eventstore.building import Learner
from tests.projections.test_facts import FACTS


async def costs_in(learner: Learner, session: Session) -> Costs:
    """What it costs each projection to follow each deed in a learner's dialogue."""
    costs: Costs = {}
    for known in FACTS:
        for name, deed in DEEDS.items():
            steps = deed(deepcopy(learner))
            if any(type_name(new.event) in known.consumes for new in steps[-1].events):
                costs[f"{known.name}: {name}"] = await session.advance(known, *steps)
    return costs


async def rehearse(school: School, session: Session) -> None:
    """On a short log, so that statements have rows to process."""
    await school.grow(100)
    for known in FACTS:
        await session.follow(known)


async def measure(school: School, session: Session) -> Costs:
    """What the deeds of a usual dialogue cost, once all before them is followed."""
    for known in FACTS:
        await session.follow(known)
    return await costs_in(school.usual[3], session)


STEPS = Part(None, rehearse, measure)


async def check_long(school: School, session: Session, found: dict[str, list[Cost]]) -> None:
    """In a conversation of a thousand messages a step reads hardly more rows."""
    for name, cost in (await costs_in(school.long, session)).items():
        assert cost.rows <= found[name][0].rows + 2, f"{name}, of {LONG} messages"
