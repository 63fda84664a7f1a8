"""The cost of an auditor's read does not depend on the length of the log before or after it."""

import msgspec
import pytest

from eventstore.connections import Connection
from service.audit.event_search import WINDOW, EventFilter
from sql.loader import query
from tests.service.conversations.test_read_costs import FILL, MANY, buffers_of

LAST = 2 * MANY
INDEXED = {
    "a page": "{after}, {all}, 100, NULL, NULL, NULL, NULL, NULL, NULL",
    "of a conversation": "{after}, {all}, 25, 7, NULL, NULL, NULL, NULL, NULL",
    "of a conversation and a type": "{after}, {all}, 2, 7, '{{message_posted.v1}}', NULL, NULL,"
    " NULL, NULL",
}
SCANNED = {
    "of a type": "{after}, {edge}, 100, NULL, '{{none.v1}}', NULL, NULL, NULL, NULL",
    "of an actor": "{after}, {edge}, 100, NULL, NULL, 999999, NULL, NULL, NULL",
    "of a learner": "{after}, {edge}, 100, NULL, NULL, NULL, 999999, NULL, NULL",
    "of an experience": "{after}, {edge}, 100, NULL, NULL, NULL, NULL, 999999, NULL",
    "of a course": "{after}, {edge}, 100, NULL, NULL, NULL, NULL, NULL, 999999",
}


@pytest.fixture
async def filled(owner: Connection) -> Connection:
    """A session of the service's role on a long log."""
    for statement in FILL:
        if "message_feedback" not in statement:  # audit does not read it
            await owner.execute(statement)
    await owner.execute("UPDATE log_heads SET position = $1", LAST)
    await owner.execute("VACUUM ANALYZE")
    await owner.execute("SET ROLE colloquy_service; SET colloquy.account = '1'")
    return owner


async def costs_of(connection: Connection, arguments: str) -> tuple[int, int]:
    """Pages read near the beginning of the log, and near its end."""
    await connection.execute("SET plan_cache_mode = force_custom_plan")
    await connection.execute(f"PREPARE reading AS {query('read_audited')}")
    costs = []
    for after in (0, LAST - WINDOW):
        values = arguments.format(after=after, all=LAST, edge=after + WINDOW)
        costs.append(await buffers_of(connection, f"1, {values}"))
    await connection.execute("DEALLOCATE reading")
    return costs[0], costs[1]


async def pages_of_the_log(connection: Connection) -> int:
    return int(await connection.fetchval("SELECT pg_relation_size('events') / 8192"))


async def test_a_page_deep_in_the_log_costs_as_much_as_the_first(filled: Connection) -> None:
    costs = {name: await costs_of(filled, arguments) for name, arguments in INDEXED.items()}
    assert max(max(both) for both in costs.values()) < 250, costs
    assert await pages_of_the_log(filled) > 400


async def test_scanning_a_window_costs_the_same_everywhere(filled: Connection) -> None:
    costs = {name: await costs_of(filled, arguments) for name, arguments in SCANNED.items()}
    whole = await pages_of_the_log(filled)
    slower = {n: c for n, c in costs.items() if c[1] > 1.2 * c[0] + 40}
    assert slower == {}, costs
    assert max(c[1] for n, c in costs.items() if n != "of a course") < 2 * whole, costs


async def test_a_time_is_found_with_a_few_look_ups(filled: Connection) -> None:
    explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT find_position_v1(1, now(), true)"
    await filled.fetchval(explain)  # planning is not measured
    plan = msgspec.json.decode(await filled.fetchval(explain))[0]["Plan"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 100


def test_only_searches_without_an_index_scan_in_windows() -> None:
    indexed = EventFilter(conversation_id=7, types=("a.v1",))
    assert indexed.scan_end(0, LAST, WINDOW) == LAST
    assert EventFilter(after=5).scan_end(5, LAST, WINDOW) == LAST
    for scanned in (EventFilter(user_id=7), EventFilter(types=("a.v1",)), EventFilter(course_id=1)):
        assert scanned.scan_end(0, LAST, WINDOW) == WINDOW
        assert scanned.scan_end(LAST - 10, LAST, WINDOW) == LAST
