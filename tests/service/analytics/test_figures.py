"""Figures of a generated term equal those of the views, and cost as much as one course."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from eventstore.connections import AccountPool, Connection, close_pool, connect, open_pool
from projections.definitions import definitions
from projections.rebuild import rebuild_all
from service.analytics.figures import CourseFigures, ExperienceFigures
from service.analytics.figures_queries import COST_EDGES, DURATION_EDGES, Days, FiguresReader
from service.http.pagination import Page
from sql.loader import query
from tests.bench.term import Term, write_term
from tests.databases import TEMPLATE, cloned_database

pytestmark = pytest.mark.asyncio(loop_scope="module")

TERM = Term(events=6_000, courses=6, accounts=2, days=28)
SPAN = "SELECT min(day), max(day) FROM analytics.daily_course_activity WHERE account_id = 1"
SUMMED = (
    *("conversations", "messages", "replies", "failed", "cancelled", "objectives_covered"),
    *("cost_microusd", "unpriced"),
)
FUNNEL = """
SELECT * FROM analytics.experience_funnel WHERE account_id = 1 AND course_id = 1
 ORDER BY experience_id
"""
STAGES = ("opened", "replied", "completed", "with_objectives", "met")
ACTIVITY = """
SELECT sum(conversations_opened) AS conversations, sum(messages) AS messages,
       sum(replies) AS replies, sum(failed_turns) AS failed, sum(cancelled_turns) AS cancelled,
       sum(objectives_covered) AS objectives_covered, sum(cost_microusd) AS cost_microusd,
       sum(unpriced) AS unpriced
  FROM analytics.daily_course_activity WHERE account_id = 1 AND course_id = 1
"""
COUNTED = {
    "SELECT count(DISTINCT user_id) FROM analytics.turn_facts WHERE kind <> 'evaluation'": (
        lambda f: f.totals.learners
    ),
    "SELECT count(*) FROM analytics.turn_facts WHERE true": (
        lambda f: sum(outcome.turns for outcome in f.outcomes)
    ),
    "SELECT count(*) FROM analytics.objective_facts WHERE covered": (
        lambda f: sum(objective.covered for objective in f.objectives)
    ),
    "SELECT count(*) FROM analytics.objective_facts WHERE true": (
        lambda f: sum(funnel.objectives for funnel in f.funnels)
    ),
    "SELECT count(*) FROM analytics.conversation_facts WHERE unpriced = 0": (
        lambda f: sum(one.count for one in f.costs.costs)
    ),
    "SELECT count(*) FROM analytics.turn_facts WHERE kind <> 'evaluation'"
    " AND outcome = 'completed'": (lambda f: sum(one.count for one in f.latency.durations)),
    "SELECT sum(cost_microusd) FROM analytics.model_daily_cost WHERE true": (
        lambda f: sum(model.cost_microusd for model in f.models)
    ),
    "SELECT count(*) FROM analytics.feedback_facts WHERE withdrawn_at IS NULL": (
        lambda f: f.feedback.liked + f.feedback.disliked
    ),
    "SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) FROM analytics.turn_facts"
    " WHERE kind <> 'evaluation' AND outcome = 'completed'": (lambda f: f.latency.duration_ms.p95),
}
OF = " AND account_id = 1 AND course_id = 1"


class World(msgspec.Struct, frozen=True):
    """A term, its readers, and the figures of its course 1."""

    owner: Connection
    reader: FiguresReader
    days: Days
    course: CourseFigures
    experiences: list[ExperienceFigures]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(server_url: str) -> AsyncIterator[World]:
    async with cloned_database(server_url, TEMPLATE) as url:
        await write_term(url, TERM)
        facts = [known for known in definitions().values() if known.schema == "analytics"]
        async for _ in rebuild_all(url, facts):
            pass
        owner, pool = await connect(url), await open_pool(url, "colloquy_service", 2)
        try:
            yield await _world(owner, FiguresReader(AccountPool(pool)))
        finally:
            await close_pool(pool)
            await owner.close()


async def _world(owner: Connection, reader: FiguresReader) -> World:
    await owner.execute("VACUUM ANALYZE")
    span = await owner.fetchrow(SPAN)
    assert span is not None
    days = Days(*span)
    course = await reader.of_course(1, 1, days)
    numbers = [funnel.ai_experience_id for funnel in course.funnels]
    experiences = [await reader.of_experience(1, 1, number, days) for number in numbers]
    return World(owner, reader, days, course, experiences)


async def test_a_course_has_the_sums_of_its_days(world: World) -> None:
    row = await world.owner.fetchrow(ACTIVITY)
    assert row is not None
    assert {name: getattr(world.course.totals, name) for name in SUMMED} == dict(row)
    assert world.course.totals.replies > 100


@pytest.mark.parametrize("statement", COUNTED)
async def test_a_figure_is_that_of_its_view(statement: str, world: World) -> None:
    expected = await world.owner.fetchval(statement + OF)
    assert COUNTED[statement](world.course) == pytest.approx(float(expected))
    assert expected > 0


async def test_the_funnel_of_all_days_is_that_of_its_view(world: World) -> None:
    rows = await world.owner.fetch(FUNNEL)
    assert len(rows) == len(world.course.funnels) > 1
    for row, funnel in zip(rows, world.course.funnels, strict=True):
        for stage in STAGES:
            assert getattr(funnel.conversations, stage) == row[f"conversations_{stage}"]
            assert getattr(funnel.learners, stage) == row[f"learners_{stage}"]


async def test_the_experiences_of_a_course_add_up_to_it(world: World) -> None:
    """Except learners, who may work with several."""
    course, parts = world.course, world.experiences
    for name in SUMMED:
        assert sum(getattr(p.totals, name) for p in parts) == getattr(course.totals, name), name
    for index, day in enumerate(course.days):
        for name in ("messages", "replies", "failed", "cancelled", "conversations"):
            assert sum(getattr(p.days[index], name) for p in parts) == getattr(day, name)
    assert [funnel for part in parts for funnel in part.funnels] == [*course.funnels]
    assert [one for part in parts for one in part.objectives] == [*course.objectives]
    assert sum(part.latency.turns for part in parts) == course.latency.turns
    assert sum(m.cost_microusd for p in parts for m in p.models) == course.totals.cost_microusd
    assert max(part.totals.learners for part in parts) <= course.totals.learners


async def test_two_halves_of_the_days_add_up_to_the_whole(world: World) -> None:
    middle = world.days.first.replace(day=world.days.first.day + 7)
    before = Days(world.days.first, middle.replace(day=middle.day - 1))
    halves = [
        await world.reader.of_course(1, 1, days) for days in (before, Days(middle, world.days.last))
    ]
    for name in SUMMED:
        whole = getattr(world.course.totals, name)
        assert sum(getattr(half.totals, name) for half in halves) == whole
    assert sum(half.latency.turns for half in halves) == world.course.latency.turns
    assert sum(h.feedback.withdrawn for h in halves) == world.course.feedback.withdrawn


async def test_the_list_of_courses_has_each_ones_totals(world: World) -> None:
    listed, more = await world.reader.of_courses(1, world.days, Page(size=2))
    first = msgspec.structs.asdict(listed.courses[0])
    assert first.pop("course_id") == 1
    assert first == msgspec.structs.asdict(world.course.totals)
    assert more


WHOLE = "1, {course}, NULL, '{first}', '{last}'"
ONE = "1, {course}, {experience}, '{first}', '{last}'"
DAYS = "1, {course}, '{first}', '{last}'"
READS = {
    "list_freshness": "ARRAY[1]",
    "list_course_days": DAYS,
    "list_course_costs": DAYS,
    "list_course_totals": "1, '{first}', '{last}', {course}, 1, 0",
    "get_course_span": "1, {course}",
    "list_experience_days": ONE,
    "list_experience_costs": ONE,
    "list_funnels": WHOLE,
    "list_objectives_covered": WHOLE,
    "list_outcomes": WHOLE,
    "get_latency": WHOLE,
    "get_conversation_costs": WHOLE,
    "count_votes": WHOLE,
    "list_duration_bins": WHOLE + f", ARRAY{[*DURATION_EDGES]}",
    "list_cost_bins": WHOLE + f", ARRAY{[*COST_EDGES]}",
}
OTHERS = 60
"""Number of added courses as large as the one that is read."""

COPIED = ("conversation_facts", "turn_facts", "objective_facts", "feedback_facts")


async def test_the_cost_of_a_figure_does_not_depend_on_other_courses(world: World) -> None:
    """Counted in pages read, with generic plans, as the service's role."""
    before = await _costs(world)
    async with world.owner.transaction():
        for copy in await _copies(world):
            await world.owner.execute(copy)
    await world.owner.execute("VACUUM ANALYZE")
    after = await _costs(world)
    dear = {name: (before[name], after[name]) for name in READS if after[name] > before[name] + 20}
    assert dear == {}, (before, after)


async def _copies(world: World) -> list[str]:
    """Statements that give each view many more courses with as many rows."""
    made = []
    for view in (*COPIED, "daily_course_activity", "model_daily_cost"):
        schema = await world.owner.fetchval(
            "SELECT schema_name FROM projections WHERE name = $1 AND state = 'live'", view
        )
        columns = await world.owner.fetch(
            "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = $1"
            " AND table_name = $2 AND is_generated = 'NEVER' ORDER BY ordinal_position",
            *(schema, view),
        )
        other = {
            "course_id": "100000 + n",
            "conversation_id": "conversation_id + 1000000 * n",
            "turn_id": "gen_random_uuid()",
            "message_id": "gen_random_uuid()",
        }
        if view == "objective_facts":
            del other["turn_id"]
        names = [row["name"] for row in columns]
        chosen = ", ".join(other.get(name, name) for name in names)
        made.append(
            f"INSERT INTO {schema}.{view} ({', '.join(names)}) SELECT {chosen}"
            f" FROM {schema}.{view}, generate_series(1, {OTHERS}) n"
            " WHERE account_id = 1 AND course_id = 1"
        )
    return made


async def _costs(world: World) -> dict[str, int]:
    owner, days = world.owner, world.days
    names: dict[str, Any] = {"course": 1, "experience": world.course.funnels[0].ai_experience_id}
    names |= {"first": days.first, "last": days.last}
    await owner.execute("SET plan_cache_mode = force_generic_plan; SET colloquy.account = '1'")
    await owner.execute("SET ROLE colloquy_service")
    costs = {}
    for read, arguments in READS.items():
        await owner.execute(f"PREPARE reading AS {query(read)}")
        explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE reading"
        plan = await owner.fetchval(f"{explain}({arguments.format(**names)})")
        await owner.execute("DEALLOCATE reading")
        root = msgspec.json.decode(plan)[0]["Plan"]
        costs[read] = int(root["Shared Hit Blocks"] + root["Shared Read Blocks"])
    await owner.execute("RESET ROLE; RESET plan_cache_mode")
    return costs
