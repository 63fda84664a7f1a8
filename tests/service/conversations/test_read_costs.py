"""What a handler's read costs does not depend on how much there is besides.

Counted in pages of tables and indexes that it touches, as the service's role: row-level security
keeps conditions from using an index where they might tell something about foreign rows.
"""

import msgspec
import pytest

from eventstore.connections import Connection
from eventstore.envelope import NO_END
from sql.loader import query

MANY = 10_000
FILL = (
    "INSERT INTO courses VALUES (1, 9)",
    f"INSERT INTO users SELECT 1, n, 'Student' FROM generate_series(1, {MANY}) n",
    "INSERT INTO enrollments"
    f" SELECT 1, 9, n, 'learner', 'active' FROM generate_series(1, {MANY}) n",
    "INSERT INTO read.experiences"
    " SELECT 1, n, 9, 1, 'x', '', '', 'x', 'x', 'published', now(), now()"
    f" FROM generate_series(1, {MANY}) n",
    "INSERT INTO read.conversations (account_id, conversation_id, course_id, experience_id,"
    " experience_version, user_id, workflow_state, shown_revision, all_objectives_met, created_at)"
    " SELECT 1, n, 9, 1 + n / 10000 % 2, 1, 1 + n % 10000, 'completed', 1, false, now()"
    f" FROM generate_series(1, {2 * MANY}) n",
    "INSERT INTO read.conversation_messages"
    " SELECT 1, n / 4, n, 1, gen_random_uuid(), gen_random_uuid(), 'User', 'Hello', now(), 1"
    f" FROM generate_series(1, {4 * MANY}) n",
    "INSERT INTO read.active_conversations SELECT 1, 1, 1 + n % 10000, n"
    f" FROM generate_series(1, {MANY}) n",
    "INSERT INTO read.message_feedback"
    " SELECT 1, n, 1 + n % 10000, gen_random_uuid(), n, gen_random_uuid(), 'liked', NULL, now()"
    f" FROM generate_series(1, {MANY}) n",
    "INSERT INTO read.evaluations SELECT 1, n, n, gen_random_uuid(), 1, '{}', now()"
    f" FROM generate_series(1, {MANY}) n",
    "INSERT INTO read.request_counts"
    f" SELECT 1, n, now()::date, 'message', 5 FROM generate_series(1, {MANY}) n",
    "INSERT INTO tokens (account_id, user_id, token_hash)"
    f" SELECT 1, n, sha256(n::text::bytea) FROM generate_series(1, {MANY}) n",
    f"INSERT INTO identities SELECT 1, 'user-' || n, n FROM generate_series(1, {MANY}) n",
    "INSERT INTO events (account_id, position, stream, revision, event_id, type, conversation_id,"
    " data, metadata, recorded_at)"
    " SELECT 1, n, 'dialogue-1-' || n % 400, 1 + n / 400, gen_random_uuid(),"
    " CASE n % 10 WHEN 0 THEN 'conversation_started.v1' ELSE 'message_posted.v1' END, n % 800,"
    """ '{}', format('{"actor": {"id": %s}, "idempotency_key": "k%s"}', n % 400, n)::jsonb, now()"""
    f" FROM generate_series(1, {2 * MANY}) n",
    "INSERT INTO events"
    " (account_id, position, stream, revision, event_id, type, data, metadata, recorded_at)"
    f" SELECT 1, {2 * MANY} + n, 'access', n, gen_random_uuid(), 'history_read.v1',"
    """ '{"course_id": 9}', '{"actor": {"id": 7}}', now() FROM generate_series(1, 20) n""",
    "INSERT INTO event_content SELECT 1, n, n % 400, uuid_send(gen_random_uuid()), 'Hello'"
    f" FROM generate_series(1, {2 * MANY}) n",
)
BEARER = "sha256('{user}'::bytea)"
WHOLE = str(NO_END)
READS = {
    "get_access": f"1, {BEARER}, NULL, NULL, NULL, 9, 1, {{user}}",
    "get_access, signed": "1, NULL, NULL, 'user-{user}', NULL, 9, 1, {user}",
    "get_access, as another": f"1, {BEARER}, NULL, NULL, 77, 9, 1, {{user}}",
    "get_active_conversation": f"1, {BEARER}, NULL, 9, 1",
    "get_active_conversation, of another": "1, NULL, {user}, 9, 1",
    "get_conversation": "1, {user}, 77",
    "list_messages": "1, {user}",
    "get_experience_version": "1, {user}",
    "get_evaluation": "1, {user}, 1",
    "get_message": "1, {user}, gen_random_uuid()",
    "get_feedback": "1, {user}, gen_random_uuid(), gen_random_uuid()",
    "find_request": "1, {user}, 'k{user}'",
    "read_stream": f"1, 'dialogue-1-10', 0, 'conversation_started.v1', {WHOLE}",
    "read_stream, upto": "1, 'dialogue-1-7', 20, NULL, 21",
    "read_turn": "1, 7, 'no-such-turn', 0",
    "list_reads": "1, 'access-7', {user}",
    "list_learners_conversations": "1, {user}",
    "list_open_holds": "1, {user}",
    "list_student_conversations": "1, 9, 1, {user}, 11, 0",
    "list_experiences": "1, 9, 77, ARRAY['published', 'unpublished'], {user}, 11, 0",
}


@pytest.fixture(params=["force_custom_plan", "force_generic_plan"])
async def filled(owner: Connection, request: pytest.FixtureRequest) -> Connection:
    """A session of the service's role in a school of 10,000 learners."""
    for statement in FILL:
        await owner.execute(statement)
    await owner.execute("VACUUM ANALYZE")
    await owner.execute(f"SET plan_cache_mode = {request.param}")
    await owner.execute("SET ROLE colloquy_service; SET colloquy.account = '1'")
    return owner


async def buffers_of(connection: Connection, arguments: str) -> int:
    """Pages that the prepared read touches with these arguments, once plans are made."""
    await connection.execute(f"EXECUTE reading({arguments})")
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE reading({arguments})"
    plan = msgspec.json.decode(await connection.fetchval(explain))[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_a_read_costs_the_same_for_the_first_and_for_the_last(filled: Connection) -> None:
    costs = {}
    for read, arguments in READS.items():
        await filled.execute(f"PREPARE reading AS {query(read.partition(',')[0])}")
        first, last = [
            await buffers_of(filled, arguments.format(user=user)) for user in (12, MANY - 11)
        ]
        await filled.execute("DEALLOCATE reading")
        costs[read] = (first, last)
    dear = {
        read: cost
        for read, cost in costs.items()
        if cost[1] > cost[0] + 20 or max(cost) > (200 if read.startswith("list_") else 60)
    }
    assert dear == {}, costs
