"""Nobody can change the log, and each role has only the rights that it needs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from eventstore.connections import Connection, Role, connect
from eventstore.log import EventLog
from projections.definitions import definitions
from sql.loader import query
from tests.eventstore.building import append, message

LOG_TABLES = ("events", "event_content")
CHANGES = (
    "UPDATE {} SET position = position + 1",
    "UPDATE {} SET position = position WHERE false",
    "DELETE FROM {}",
    "DELETE FROM {} WHERE false",
    "TRUNCATE {}",
    "MERGE INTO {} t USING (SELECT 1 AS one) o ON t.position = o.one WHEN MATCHED THEN DELETE",
)
WRITES = (
    "INSERT INTO {} SELECT * FROM {}",
    "UPDATE {} SET position = 1",
    "DELETE FROM {}",
    "TRUNCATE {}",
)
ROLES: tuple[Role, ...] = (
    "colloquy_service",
    "colloquy_worker",
    "colloquy_auditor",
    "colloquy_analyst",
)
OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
EXECUTABLE = f"""
SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE {OURS} AND has_function_privilege($1, p.oid, 'EXECUTE')
"""
RELATIONS = f"""
SELECT n.nspname || '.' || c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {OURS} AND c.relkind IN ('r', 'p', 'v', 'm') AND has_schema_privilege($1, n.oid, 'USAGE')
   AND (has_any_column_privilege($1, c.oid, $2) OR has_table_privilege($1, c.oid, $2))
"""


@asynccontextmanager
async def connected(url: str, role: Role) -> AsyncIterator[Connection]:
    connection = await connect(url, role)
    try:
        yield connection
    finally:
        await connection.close()


async def refuses(connection: Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)


@pytest.mark.parametrize("replica", [False, True], ids=["", "with triggers switched off"])
@pytest.mark.parametrize("table", LOG_TABLES)
async def test_not_even_the_owner_can_change_recorded_events(
    log: EventLog, owner: Connection, table: str, replica: bool
) -> None:
    await append(log, "s", message("Kept for ever"))
    before = await owner.fetch(f"SELECT * FROM {table}")
    if replica:
        await owner.execute("SET session_replication_role = replica")
    for change in CHANGES:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await owner.execute(change.format(table))
    assert await owner.fetch(f"SELECT * FROM {table}") == before != []


async def test_truncating_what_the_log_depends_on_does_not_reach_the_log(
    log: EventLog, owner: Connection
) -> None:
    await append(log, "s", message())
    await owner.execute("TRUNCATE accounts CASCADE")
    assert await owner.fetchval("SELECT count(*) FROM events") == 1


async def names(owner: Connection, statement: str, *arguments: str) -> set[str]:
    return {row[0] for row in await owner.fetch(statement, *arguments)}


async def test_no_role_may_write_to_any_table(owner: Connection) -> None:
    of_tables = RELATIONS.replace("has_any_column_privilege($1, c.oid, $2) OR ", "")
    for role in ROLES:
        for right in ("INSERT", "UPDATE"):
            assert await names(owner, RELATIONS, role, right) == set()
        for right in ("DELETE", "TRUNCATE"):
            assert await names(owner, of_tables, role, right) == set()


async def test_each_role_executes_the_functions_made_for_it(owner: Connection) -> None:
    assert await names(owner, EXECUTABLE, "colloquy_service") == {
        "current_account_v1",
        "granted_accounts_v1",
        "visible_accounts_v1",
        "find_request_v1",
        "find_request_v2",
        "get_access_v1",
        "hash_request_keys_v1",
        "admit_user_v1",
        "find_position_v1",
        "replay_conversation_v1",
        "append_events_v1",
        "append_events_v2",
        "event_line_v1",
        "erase_learner_v1",
        "erase_learner_v2",
        "expire_texts_v1",
        "next_id_v1",
    }
    assert await names(owner, EXECUTABLE, "colloquy_worker") == {
        "current_account_v1",
        "find_token_account_v1",
        "find_token_account_v2",
        "advance_projection_v1",
        "end_analysts_v1",
        "record_projection_error_v2",
        "leaf_hashes_v1",
        "store_tiles_v1",
        "log_origin_v1",
        "try_writing_v1",
        "record_tree_head_v1",
        "record_tree_head_v2",
        "record_key_rotation_v1",
    }


async def test_reading_roles_execute_no_other_functions(owner: Connection) -> None:
    seen = {"current_account_v1", "granted_accounts_v1", "visible_accounts_v1"}
    assert await names(owner, EXECUTABLE, "colloquy_analyst") == seen
    assert await names(owner, EXECUTABLE, "colloquy_auditor") == seen | {
        "event_line_v1",
    }


async def test_the_analyst_reads_the_views_made_for_analysts_and_nothing_else(
    owner: Connection,
) -> None:
    meant = {
        f"{schema}.{table}"
        for projection in definitions().values()
        for schema in (projection.schema, f"{projection.name}_v{projection.version}_1")
        for table in projection.tables
        if "colloquy_analyst" in projection.readers
    }
    pinned = {
        f"{projection.schema}.{table}_v{projection.interface}"
        for projection in definitions().values()
        for table in projection.tables
        if projection.interface
    }
    meant |= pinned | {"analytics.freshness"}
    assert await names(owner, RELATIONS, "colloquy_analyst", "SELECT") == meant
    assert "analytics.turn_facts" in meant
    assert "read.conversation_messages" not in meant


async def test_the_service_cannot_write_to_the_log_itself(log: EventLog, database_url: str) -> None:
    await append(log, "s", message())
    async with connected(database_url, "colloquy_service") as service:
        for table in LOG_TABLES:
            for write in WRITES:
                await refuses(service, write.format(table, table))
        await refuses(service, "ALTER TABLE events DISABLE TRIGGER refuse_change")
        await refuses(service, "CREATE TABLE mine (a int)")


async def test_the_auditor_reads_the_log_and_cannot_write_to_it(
    log: EventLog, database_url: str
) -> None:
    await append(log, "s", message("Said to the tutor"))
    async with connected(database_url, "colloquy_auditor") as auditor:
        (row,) = await auditor.fetch(query("read_all"), 1, 0, 10)
        assert row["content"] == "Said to the tutor"
        for table in LOG_TABLES:
            for write in WRITES:
                await refuses(auditor, write.format(table, table))
        await refuses(auditor, "SELECT FROM tokens")


async def test_the_analyst_sees_facts_about_turns_and_no_word_of_them(
    log: EventLog, database_url: str
) -> None:
    await append(log, "s", message())
    async with connected(database_url, "colloquy_analyst") as analyst:
        assert await analyst.fetchval("SELECT count(*) FROM analytics.turn_facts") == 0
        for relation in (*LOG_TABLES, "read.conversation_messages", "tokens", "users"):
            await refuses(analyst, f"SELECT FROM {relation}")


async def test_functions_that_run_as_the_owner_ignore_the_callers_search_path(
    owner: Connection,
) -> None:
    """Otherwise a caller's search_path could replace the log by another table."""
    unpinned = await owner.fetch(
        """
        SELECT proname FROM pg_proc
         WHERE prosecdef AND NOT coalesce(proconfig::text LIKE '%search_path%pg_temp%', false)
           AND pronamespace = 'public'::regnamespace
        """
    )
    assert unpinned == []
