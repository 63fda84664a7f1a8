"""Steps that follow keep their plans, which must be right for tables that grow."""

from copy import deepcopy

import pytest

from eventstore.connections import Connection
from eventstore.events import type_name
from eventstore.log import EventLog
from projections.definitions import Definition
from projections.generations import create
from projections.rebuild import rebuild
from sql.loader import query
from tests.costs import LONG, STATES, Costs, School, Session, growing, measured, session
from tests.eventstore.building import ACCOUNT, Learner
from tests.eventstore.test_append_costs import DEEDS
from tests.projections.analysing import Analysis
from tests.projections.test_facts import FACTS, days_of
from tests.projections.viewing import TALLY

pytestmark = pytest.mark.timeout(300)  # tens of thousands of events, beside other tests

READ_WHOLE = """
SELECT s.relname FROM pg_stat_xact_user_tables s
 WHERE s.seq_scan > 0 AND (s.relname = 'events' OR s.schemaname = $1)
"""
READ = "SELECT sum(idx_scan)::int FROM pg_stat_xact_user_tables WHERE relname = 'events'"
MODE = "SELECT current_setting('plan_cache_mode')"


@pytest.mark.parametrize("known", FACTS, ids=lambda known: known.name)
async def test_a_step_that_follows_reads_no_table_whole(
    log: EventLog, analysis: Analysis, owner: Connection, known: Definition
) -> None:
    """However small the tables are, and whatever statistics say of them."""
    await days_of(analysis, seed=17)
    await owner.execute("ANALYZE")
    head = await log.head(ACCOUNT)
    for step in (head // 2, head - head // 2):
        async with owner.transaction():
            await owner.execute(query("advance_projection"), known.name, 1, ACCOUNT, step)
            assert await owner.fetch(READ_WHOLE, f"{known.name}_v{known.version}_1") == []
            assert await owner.fetchval(READ) > 0
            assert await owner.fetchval(MODE) == "force_generic_plan"


async def costs_in(learner: Learner, session: Session) -> Costs:
    """What it costs each projection to follow each deed in a learner's dialogue."""
    costs: Costs = {}
    for known in FACTS:
        for name, deed in DEEDS.items():
            steps = deed(deepcopy(learner))
            if any(type_name(new.event) in known.consumes for new in steps[-1].events):
                costs[f"{known.name}: {name}"] = await session.advance(known, *steps)
    return costs


@pytest.mark.parametrize("state", STATES)
async def test_a_step_costs_the_same_however_long_the_log_is(
    owner: Connection, database_url: str, state: str
) -> None:
    school = School(owner, database_url, state)

    async def rehearse(session: Session) -> None:
        """On a log that is hardly begun, so that statements have something to do."""
        await school.grow(100)
        for known in FACTS:
            await session.follow(known)

    async def measure(session: Session) -> Costs:
        for known in FACTS:
            await session.follow(known)
        return await costs_in(school.usual[3], session)

    found = await measured(school, database_url, rehearse, measure, None)
    assert growing(found) == {}
    async with session(database_url, None) as late:
        for name, cost in (await costs_in(school.long, late)).items():
            assert cost.rows <= found[name][0].rows + 2, f"{name}, of {LONG} messages"


async def test_what_is_built_is_planned_for_the_tables_as_they_are(
    log: EventLog, analysis: Analysis, database_url: str, owner: Connection
) -> None:
    await rebuild(database_url, TALLY)
    await days_of(analysis, seed=17, steps=6)
    built = await create(owner, TALLY)
    async with owner.transaction():
        await owner.execute(query("advance_projection"), TALLY.name, built, ACCOUNT, 10)
        assert await owner.fetchval(MODE) == "force_custom_plan"
