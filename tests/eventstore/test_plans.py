"""Reads of the log use their index at any length of the log."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from eventstore.connections import Connection
from sql.loader import query
from tests.eventstore.building import add_account

pytestmark = pytest.mark.timeout(300)  # tens of thousands of events, beside other tests

FILL = """
INSERT INTO events (account_id, position, stream, revision, event_id, type, conversation_id,
                    data, metadata, recorded_at)
SELECT 1, n, 'dialogue-1-' || n % 400, 1 + n / 400, gen_random_uuid(),
       CASE n % 10 WHEN 0 THEN 'conversation_started.v1' ELSE 'message_posted.v1' END, n % 800,
       '{"type": "message_posted.v1"}', '{}', now()
  FROM generate_series(1, 20000) AS n
"""
FILL_CONTENT = """
INSERT INTO event_content (account_id, position, subject_id, salt, content)
SELECT 1, n, n % 400, uuid_send(gen_random_uuid()), 'Hello' FROM generate_series(1, 20000) AS n
"""
AMBIGUOUS = """
SELECT i.indexrelid::regclass::text
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace >= 'public'::regnamespace
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
 WHERE a.attname = 'account_id' AND NOT i.indisprimary
   AND (i.indpred IS NULL
        OR i.indkey[1] <> 0
           AND pg_get_expr(i.indpred, i.indrelid) <> format('(%I IS NOT NULL)', (
               SELECT b.attname FROM pg_attribute b
                WHERE b.attrelid = i.indrelid AND b.attnum = i.indkey[1])))
"""
STREAM_KEY = "events_stream"
READS = {
    "read_all": ("1, 0, 500", {"events_pkey"}),
    "read_all, late": ("1, 19000, 500", {"events_pkey"}),
    "read_stream": ("1, 'dialogue-1-7', 0, NULL, 9223372036854775807", {STREAM_KEY}),
    "read_stream, since": (
        "1, 'dialogue-1-7', 0, 'conversation_started.v1', 9223372036854775807",
        {STREAM_KEY},
    ),
    "read_stream, upto": ("1, 'dialogue-1-7', 0, 'conversation_started.v1', 20", {STREAM_KEY}),
    "read_turn": ("1, 7, 'no-such-turn', 0", {"events_conversation"}),
    "find_request": ("1, 101, 'no-such-key'", {"events_pkey"}),
    "read_conversation": ("1, 7, 0, 500", {"events_conversation"}),
    "find_appended": (
        "1, ARRAY[gen_random_uuid(), gen_random_uuid()]",
        {"events_event_id"},
    ),
}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


async def plan_of(connection: Connection, read: str) -> list[dict[str, Any]]:
    """The executed nodes of the plan that the service's connections use.

    PostgreSQL 15 plans a scan, never to be run, for a condition that is known to be false.
    """
    name, arguments = read.partition(",")[0], READS[read][0]
    await connection.execute(f"PREPARE reading AS {query(name)}")
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE reading({arguments})")
    await connection.execute("DEALLOCATE reading")
    return [n for n in nodes(msgspec.json.decode(text)[0]["Plan"]) if n["Actual Loops"]]


@pytest.fixture(params=[0, 20_000])
async def sized_log(owner: Connection, request: pytest.FixtureRequest) -> Connection:
    """A connection to a log of so many events."""
    if request.param:
        await add_account(owner, 2)
        await owner.execute(FILL)
        await owner.execute(FILL_CONTENT)
        await owner.execute("ANALYZE")
    return owner


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
async def test_every_read_uses_its_index(sized_log: Connection, plans: str) -> None:
    await sized_log.execute(f"SET plan_cache_mode = {plans}")
    await sized_log.execute("SET ROLE colloquy_service; SET colloquy.account = '1'")
    for read, (_, index) in READS.items():
        found = await plan_of(sized_log, read)
        assert not any("Seq Scan" in node["Node Type"] for node in found), read
        used = {node["Index Name"] for node in found if "Index Name" in node}
        assert used - {"event_content_pkey"} == index, read


async def test_reading_a_page_does_not_read_the_whole_log(owner: Connection) -> None:
    await owner.execute(FILL)
    await owner.execute("ANALYZE")
    await owner.execute(f"PREPARE reading AS {query('read_all')}")
    text = await owner.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE reading(1, 10000, 100)")
    rows = [node["Actual Rows"] for node in nodes(msgspec.json.decode(text)[0]["Plan"])]
    assert max(rows) <= 101


async def test_a_secondary_index_is_used_only_for_conditions_on_its_column(
    owner: Connection,
) -> None:
    """For a table that was analyzed while empty, it would seem as good as the key."""
    found = await owner.fetch(AMBIGUOUS)
    assert [row[0] for row in found] == []
