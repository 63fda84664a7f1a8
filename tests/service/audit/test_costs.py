"""What an auditor's read costs does not depend on how long the log is before or after it."""

import msgspec
import pytest

from eventstore.connections import Connection
from service.audit.event_search import WINDOW, EventFilter
from sql.loader import query
from tests.service.conversations.test_read_costs import FILL, MANY, buffers_of

LAST = 2 * MANY
FOUND_BY_INDEX = {
    "a page": "{after}, {all}, 100, NULL, NULL, NULL, NULL, NULL, NULL",
    "of a conversation": "{after}, {all}, 25, 7, NULL, NULL, NULL, NULL, NULL",
    "of a conversation and a type": "{after}, {all}, 2, 7, '{{message_posted.v1}}', NULL, NULL,"
    " NULL, NULL",
}
FOUND_IN_A_WINDOW = {
    "of a type": "{after}, {edge}, 100, NULL, '{{none.v1}}', NULL, NULL, NULL, NULL",
    "of an actor": "{after}, {edge}, 100, NULL, NULL, 999999, NULL, NULL, NULL",
    "of a learner": "{after}, {edge}, 100, NULL, NULL, NULL, 999999, NULL, NULL",
    "of an experience": "{after}, {edge}, 100, NULL, NULL, NULL, NULL, 999999, NULL",
    "of a course": "{after}, {edge}, 100, NULL, NULL, NULL, NULL, NULL, 999999",
}


@pytest.fixture
async def filled(owner: Connection) -> Connection:
    """A session of the service's role in a school with a long log."""
    for statement in FILL:
        if "message_feedback" not in statement:  # an auditor's read does not look there
            await owner.execute(statement)
    await owner.execute("UPDATE log_heads SET position = $1", LAST)
    await owner.execute("VACUUM ANALYZE")
    await owner.execute("SET ROLE colloquy_service; SET colloquy.account = '1'")
    return owner


async def costs_of(connection: Connection, asked: str) -> tuple[int, int]:
    """Pages touched near the beginning of the log, and near its end."""
    await connection.execute("SET plan_cache_mode = force_custom_plan")
    await connection.execute(f"PREPARE reading AS {query('read_audited')}")
    costs = []
    for after in (0, LAST - WINDOW):
        arguments = asked.format(after=after, all=LAST, edge=after + WINDOW)
        costs.append(await buffers_of(connection, f"1, {arguments}"))
    await connection.execute("DEALLOCATE reading")
    return costs[0], costs[1]


async def pages_of_the_log(connection: Connection) -> int:
    return int(await connection.fetchval("SELECT pg_relation_size('events') / 8192"))


async def test_a_page_deep_in_the_log_costs_what_the_first_does(filled: Connection) -> None:
    costs = {name: await costs_of(filled, asked) for name, asked in FOUND_BY_INDEX.items()}
    assert max(max(both) for both in costs.values()) < 250, costs
    assert await pages_of_the_log(filled) > 400


async def test_looking_through_a_window_costs_the_same_everywhere(filled: Connection) -> None:
    costs = {name: await costs_of(filled, asked) for name, asked in FOUND_IN_A_WINDOW.items()}
    whole = await pages_of_the_log(filled)
    dear = {n: c for n, c in costs.items() if c[1] > 1.2 * c[0] + 40}
    assert dear == {}, costs
    assert max(c[1] for n, c in costs.items() if n != "of a course") < 2 * whole, costs


async def test_a_time_is_found_with_a_few_look_ups(filled: Connection) -> None:
    explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT find_position_v1(1, now(), true)"
    await filled.fetchval(explain)  # what it takes to plan it is not meant
    plan = msgspec.json.decode(await filled.fetchval(explain))[0]["Plan"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 100


def test_only_what_no_index_leads_to_is_looked_for_in_windows() -> None:
    assert EventFilter(conversation_id=7, types=("a.v1",)).edge(0, LAST) == LAST
    assert EventFilter(after=5).edge(5, LAST) == LAST
    for wanted in (EventFilter(user_id=7), EventFilter(types=("a.v1",)), EventFilter(course_id=1)):
        assert wanted.edge(0, LAST) == WINDOW
        assert wanted.edge(LAST - 10, LAST) == LAST
