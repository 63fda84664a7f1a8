"""Every analysts' view is documented, and its rows do not depend on the ranges."""

import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from eventstore.connections import Connection
from eventstore.log import EventLog
from projections.definitions import Definition, definitions
from projections.generations import create
from projections.parallel_build import Pace, build_ranges
from sql.loader import query
from tests.eventstore.building import ACCOUNT, TEXTS, history
from tests.eventstore.reply_attempts import with_records
from tests.projections.analysing import Analysis
from tests.projections.viewing import Rows

FACTS = [known for known in definitions().values() if known.schema == "analytics"]
NAMES = {
    "conversation_facts",
    "daily_course_activity",
    "evaluation_facts",
    "experience_funnel",
    "feedback_facts",
    "model_daily_cost",
    "objective_facts",
    "turn_facts",
}
Range = tuple[int, int]

UNDOCUMENTED = """
SELECT c.relname || coalesce('.' || a.attname, '')
  FROM pg_class c
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'analytics'::regnamespace AND c.relkind = 'v'
   AND (obj_description(c.oid, 'pg_class') IS NULL OR col_description(c.oid, a.attnum) IS NULL)
"""
COLUMNS = """
SELECT a.attname, format_type(a.atttypid, NULL), a.attnotnull
  FROM pg_attribute a
 WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""


def test_the_views_that_analysts_are_promised_are_there() -> None:
    assert {known.name for known in FACTS} >= NAMES


async def test_every_view_and_every_column_of_it_says_what_it_means(owner: Connection) -> None:
    assert [row[0] for row in await owner.fetch(UNDOCUMENTED)] == []


@pytest.mark.parametrize("known", FACTS, ids=lambda known: known.name)
async def test_a_view_has_its_account_position_and_day(
    owner: Connection, known: Definition
) -> None:
    assert known.interface >= 1
    assert set(known.days) == set(known.tables)
    for table in known.tables:
        schema = await owner.fetchval(
            "SELECT schema_name FROM projections WHERE name = $1", known.name
        )
        columns = {
            row[0]: tuple(row)[1:] for row in await owner.fetch(COLUMNS, f"{schema}.{table}")
        }
        assert columns["account_id"] == columns["position"] == ("bigint", True)
        assert columns[known.days[table]][0] in ("timestamp with time zone", "date")


@asynccontextmanager
async def generation(owner: Connection, known: Definition) -> AsyncIterator[str]:
    """The schema of a new generation that no runner advances."""
    number = await create(owner, known)
    schema = f"{known.name}_v{known.version}_{number}"
    try:
        yield schema
    finally:
        await owner.execute(query("drop_generation"), known.name, number)


async def apply(owner: Connection, schema: str, known: Definition, after: int, upto: int) -> None:
    """Applies one range with all consumed types."""
    await owner.execute(
        f"SELECT {schema}.apply($1, $2, $3, $4)", ACCOUNT, after, upto, known.consumes
    )


async def rows_after(
    owner: Connection, known: Definition, ranges: Iterable[Range], analyse: bool = False
) -> Rows:
    """All rows of a projection's tables, including internal ones, after these ranges."""
    async with generation(owner, known) as schema:
        for after, upto in ranges:
            async with owner.transaction():
                await apply(owner, schema, known, after, upto)
            if analyse:
                await owner.execute("ANALYZE")
        return await rows_in(owner, schema)


async def rows_in(owner: Connection, schema: str) -> Rows:
    """All rows of a schema's tables, sorted."""
    rows: Rows = []
    for (table,) in await owner.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1", schema
    ):
        found = await owner.fetch(f"SELECT * FROM {schema}.{table}")
        rows += sorted(((table, *row) for row in found), key=repr)
    return rows


async def days_of(analysis: Analysis, seed: int, steps: int = 150) -> None:
    """A random history over three days, with random tokens and costs."""
    chance = random.Random(seed)
    happened = [with_records(chance, step) for step in history(seed, steps=steps)]
    third = len(happened) // 3
    for day in range(3):
        await analysis.at(f"2040-01-0{day + 1}T23:00:00+00:00")
        await analysis.happens(*happened[day * third : (day + 1) * third])


def cuts(chance: random.Random, head: int, sizes: tuple[int, ...]) -> list[Range]:
    """The log in ranges of random sizes out of these."""
    ranges, reached = [], 0
    while reached < head:
        upto = min(head, reached + chance.choice(sizes))
        ranges.append((reached, upto))
        reached = upto
    return ranges


@pytest.mark.parametrize("known", FACTS, ids=lambda known: known.name)
async def test_the_rows_are_the_same_however_the_log_is_cut(
    log: EventLog, analysis: Analysis, owner: Connection, known: Definition
) -> None:
    """Event by event, in groups, or all of it at once; with statistics and without."""
    await days_of(analysis, seed=11)
    head, chance = await log.head(ACCOUNT), random.Random(11)
    whole = await rows_after(owner, known, [(0, head)])
    assert len(whole) > 2
    assert await rows_after(owner, known, cuts(chance, head, (1,))) == whole
    for sizes in ((1, 2, 3, 10, 40), (100, 150)):
        some = cuts(chance, head, sizes)
        assert await rows_after(owner, known, some, analyse=len(some) < 20) == whole


@pytest.mark.parametrize("known", FACTS, ids=lambda known: known.name)
async def test_ranges_may_be_repeated_or_reordered_if_the_definition_says_so(
    log: EventLog, analysis: Analysis, owner: Connection, known: Definition
) -> None:
    await days_of(analysis, seed=12)
    head, chance = await log.head(ACCOUNT), random.Random(12)
    whole = await rows_after(owner, known, [(0, head)])
    for sizes in ((1, 2, 3), (7, 20, 60)):
        some = cuts(chance, head, sizes)
        if known.order == "any":
            some = chance.sample(some, len(some))
        if not known.additive:
            some = [again for one in some for again in (one, one)] + some[: len(some) // 2]
        assert await rows_after(owner, known, some) == whole


@pytest.mark.parametrize(
    "known", [k for k in FACTS if k.order == "any"], ids=lambda known: known.name
)
async def test_concurrent_ranges_make_the_same_rows(
    log: EventLog,
    analysis: Analysis,
    owner: Connection,
    database_url: str,
    known: Definition,
) -> None:
    await days_of(analysis, seed=15)
    head = await log.head(ACCOUNT)
    whole = await rows_after(owner, known, [(0, head)])
    async with generation(owner, known) as schema:
        number = int(schema.rpartition("_")[2])
        await build_ranges(database_url, known, number, Pace(4, 5))
        assert await rows_in(owner, schema) == whole


async def test_no_view_contains_personal_texts(analysis: Analysis, owner: Connection) -> None:
    await days_of(analysis, seed=13)
    words = [text for text in TEXTS if len(text) > 10] + ["Explain winter", "Let us begin."]
    for known in FACTS:
        for table in known.tables:
            shown = repr(await analysis.sees(table, "*"))
            assert not [text for text in words if text in shown]


RELEASED = """
SELECT data->>'kind', sum((data->>'cost_microusd')::bigint) FROM events
 WHERE type = 'turn_released.v1' GROUP BY 1
"""


async def test_the_views_agree_on_costs(analysis: Analysis, owner: Connection) -> None:
    """Those of failed openings count for no conversation, those before a takeover for no turn."""
    await days_of(analysis, seed=14)

    async def total(view: str, columns: str, where: str = "true") -> int:
        await analysis.sees(view, "position")
        sums = " + ".join(f"coalesce(sum({column}), 0)" for column in columns.split())
        return int(await owner.fetchval(f"SELECT {sums} FROM analytics.{view} WHERE {where}"))

    turns = await total("turn_facts", "cost_microusd assessment_cost_microusd")
    failed = await total(
        "turn_facts", "cost_microusd", "kind = 'opening' AND outcome <> 'completed'"
    )
    released = {kind: int(cost) for kind, cost in await owner.fetch(RELEASED)}
    assert turns > 0
    assert set(released) == {"opening", "message"}
    assert await total("daily_course_activity", "cost_microusd") == turns + sum(released.values())
    conversations = turns - failed + released["message"]
    assert await total("conversation_facts", "cost_microusd") == conversations
    evaluations = await total("turn_facts", "cost_microusd", "kind = 'evaluation'")
    assert await total("evaluation_facts", "cost_microusd") == evaluations > 0
