"""An analyst's login reads only the views for analysts, and only its accounts' rows."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from eventstore.connection_urls import with_login
from eventstore.connections import Connection, Pool, connect, open_pool
from eventstore.notifier import Notifier
from eventstore.running_log import running_log
from projections.definitions import definition
from projections.rebuild import rebuild
from service.analytics import analyst_logins as analysts
from service.analytics.analyst_logins import (
    create_analyst,
    list_analysts,
    remove_analyst,
)
from service.analytics.analyst_sessions import AnalystSessions
from service.analytics.errors import AnalystError
from service.process.database import prepare
from sql.loader import query
from tests.databases import HOME, database_named
from tests.eventstore.building import Learner, add_account, append_steps, dialogue
from tests.eventstore.waiting import eventually
from tests.projections.viewing import Parts, catch_up

REFUSED = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.UndefinedTableError,
    asyncpg.InvalidParameterValueError,
)
VIEWS = """
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname !~ '^(pg_|information_schema)' AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
   AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
"""


@pytest.fixture
async def name(database_url: str) -> AsyncIterator[str]:
    """A role name that is unique on this server; the role is dropped at the end."""
    name = f"ana_{urlsplit(database_url).path.removeprefix('/test_')[:20]}"
    yield name
    owner = await connect(database_url)
    for row in await owner.fetch("SELECT rolname FROM pg_roles WHERE rolname LIKE $1", f"{name}%"):
        await owner.execute(f"DROP OWNED BY {row[0]}")
        await owner.execute(f"DROP ROLE {row[0]}")
    await owner.close()


@pytest.fixture
async def facts(log_parts: Parts, workers: Pool, owner: Connection) -> None:
    """Three accounts, each with a log and views of it."""
    log, _, notifier = log_parts
    for account in (2, 3):
        await add_account(owner, account)
    for account in (1, 2, 3):
        await append_steps(log, dialogue(Learner()), account_id=account)
    await catch_up(workers, notifier)


@pytest.fixture
async def analyst(
    name: str, facts: None, database_url: str, owner: Connection
) -> AsyncIterator[asyncpg.Connection]:
    """A session of an analyst of account 2, logged in with the password."""
    password = await create_analyst(owner, name, [2], None)
    session = await asyncpg.connect(with_login(database_url, name, password))
    yield session
    await session.close()


async def seen(session: asyncpg.Connection, view: str) -> set[int]:
    rows = await session.fetch(f"SELECT DISTINCT account_id FROM {view}")
    return {row[0] for row in rows}


async def readable(session: asyncpg.Connection) -> set[str]:
    return {row[0] for row in await session.fetch(VIEWS)}


async def facts_view(session: asyncpg.Connection) -> str:
    """The view of turns, with its schema."""
    (view,) = [
        v for v in await readable(session) if re.fullmatch(r"(read|analytics)\.turn_facts", v)
    ]
    return view


async def test_it_reads_only_its_accounts_rows_in_every_view(
    analyst: asyncpg.Connection, name: str, owner: Connection
) -> None:
    for view in await readable(analyst):
        assert await seen(analyst, view) <= {2}, view
    assert await seen(analyst, await facts_view(analyst)) == {2}
    assert await seen(analyst, "freshness") <= {2}
    assert await analysts.grant_account(owner, name, 3)
    assert not await analysts.grant_account(owner, name, 3)
    assert await seen(analyst, await facts_view(analyst)) == {2, 3}
    assert await analysts.revoke_account(owner, name, 2)
    assert not await analysts.revoke_account(owner, name, 2)
    assert await seen(analyst, await facts_view(analyst)) == {3}
    assert [a.accounts for a in await list_analysts(owner) if a.role_name == name] == [(3,)]


async def test_no_setting_shows_it_another_account(analyst: asyncpg.Connection) -> None:
    view = await facts_view(analyst)
    for account in ("1", "3"):
        await analyst.execute(f"SET colloquy.account = '{account}'")
        assert await seen(analyst, view) == set()
        assert await seen(analyst, "analytics.freshness") == set()
    for setting in ("row_security = off", "row_security = on"):
        await analyst.execute(f"SET {setting}")
    await analyst.execute("RESET colloquy.account")
    await analyst.execute("SET row_security = off")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await seen(analyst, view)
    await analyst.execute("RESET row_security")
    await analyst.execute("SET ROLE colloquy_analyst")
    assert await seen(analyst, view) == {2}


async def test_it_cannot_switch_to_another_role(
    analyst: asyncpg.Connection, name: str, owner: Connection
) -> None:
    """The server's, the service's, the owner's or another analyst's; those of tests beside this
    one may be gone at any moment."""
    await create_analyst(owner, f"{name}_other", [1], None)
    roles = await owner.fetch(
        "SELECT rolname FROM pg_roles WHERE rolname NOT IN ('colloquy_analyst', $1) "
        "AND (rolname ~ '^(pg|colloquy)_' OR rolname = current_user OR starts_with(rolname, $1))",
        name,
    )
    assert {row[0] for row in roles} > {"colloquy_service", "pg_monitor", f"{name}_other"}
    for (role,) in roles:
        for how in ("SET ROLE", "SET SESSION AUTHORIZATION"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await analyst.execute(f'{how} "{role}"')
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await analyst.fetchval("SELECT set_config('role', $1, false)", role)
        with pytest.raises(REFUSED):
            await analyst.execute(f'GRANT "{role}" TO CURRENT_USER')


READS = (
    "SELECT count(*) FROM {}",
    "COPY {} TO STDOUT",
    "EXPLAIN SELECT * FROM {}",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1 FROM {}",
    "DEALLOCATE ALL; PREPARE p AS SELECT * FROM {}; EXECUTE p",
)


async def test_it_reads_only_the_views_for_analysts(
    analyst: asyncpg.Connection, owner: Connection
) -> None:
    may = await readable(analyst)
    everything = await owner.fetch(VIEWS)
    assert len(everything) > len(may) + 20
    for (relation,) in everything:
        if relation in may:
            continue
        for read in READS:
            with pytest.raises(REFUSED):
                await analyst.execute(read.format(relation))
    generation = r"[a-z_]+_v\d+_\d+\.[a-z_]+"
    meant = r"read\.turn_facts|analytics\.[a-z_0-9]+|" + generation
    assert [view for view in may if not re.fullmatch(meant, view)] == []


WRITES = (
    "INSERT INTO {} SELECT * FROM {}",
    "UPDATE {} SET account_id = 1",
    "DELETE FROM {}",
    "TRUNCATE {}",
    "DROP VIEW {}",
    "CREATE INDEX ON {} (account_id)",
    "COMMENT ON VIEW {} IS 'x'",
    "ALTER VIEW {} RENAME TO other",
)


async def test_it_cannot_write_even_in_a_read_write_transaction(
    analyst: asyncpg.Connection, owner: Connection
) -> None:
    before = await owner.fetch(f"SELECT * FROM {await facts_view(analyst)} ORDER BY turn_id")
    for setting in ("on", "off"):
        await analyst.execute(f"SET default_transaction_read_only = {setting}")
        for relation in [*await readable(analyst), "public.events", "public.analyst_accounts"]:
            for write in WRITES:
                with pytest.raises(asyncpg.PostgresError) as failure:
                    await analyst.execute(write.format(relation, relation))
                assert not isinstance(failure.value, asyncpg.PostgresSyntaxError)
    for statement in (
        "CREATE TABLE public.mine (a int)",
        "CREATE TABLE analytics.mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE friend",
        "CREATE DATABASE mine",
        "CREATE EXTENSION dblink",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "ALTER ROLE CURRENT_USER BYPASSRLS",
        "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1",
        "ALTER SYSTEM SET fsync = off",
        "DO LANGUAGE plpython3u 'pass'",
        "SET session_replication_role = replica",
    ):
        with pytest.raises(asyncpg.PostgresError) as failure:
            await analyst.execute(statement)
        assert not isinstance(failure.value, asyncpg.PostgresSyntaxError), statement
    assert before == await owner.fetch(
        f"SELECT * FROM {await facts_view(analyst)} ORDER BY turn_id"
    )


async def test_it_cannot_call_our_functions_that_act_or_reveal_something(
    analyst: asyncpg.Connection,
) -> None:
    ours = await analyst.fetch(
        "SELECT f.oid::regprocedure::text, n.nspname, f.proname FROM pg_proc f "
        "JOIN pg_namespace n ON n.oid = f.pronamespace "
        "WHERE n.nspname !~ '^(pg_|information_schema)' "
        "AND has_function_privilege(f.oid, 'EXECUTE') AND has_schema_privilege(n.oid, 'USAGE')"
    )
    names = {row["proname"] for row in ours}
    assert names == {"current_account_v1", "granted_accounts_v1", "visible_accounts_v1"}
    assert await analyst.fetchval("SELECT public.granted_accounts_v1()") == [2]


async def test_it_cannot_use_files_or_programs(analyst: asyncpg.Connection) -> None:
    await analyst.execute("SET default_transaction_read_only = off")
    for statement in (
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/passwd')",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY (SELECT 1) TO '/tmp/colloquy-analyst'",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> session_user "
        "AND pid <> pg_backend_pid() AND usename IS NOT NULL",
        "SELECT pg_reload_conf()",
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_statistic",
        "SELECT * FROM pg_hba_file_rules",
        "SELECT * FROM pg_user_mapping",
        "SELECT pg_logical_slot_get_changes('x', NULL, NULL)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await analyst.execute(statement)


async def test_it_cannot_block_others_or_fill_the_disk(analyst: asyncpg.Connection) -> None:
    """By locks for which the service waits, or by objects outside tables."""
    await analyst.execute("SET default_transaction_read_only = off")
    for statement in (
        "SELECT pg_advisory_lock(hashtextextended('colloquy rebuild turn_facts', 0))",
        "SELECT pg_advisory_lock_shared(1)",
        "SELECT pg_try_advisory_lock(1, 2)",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT pg_try_advisory_xact_lock_shared(1)",
        "SELECT lo_create(0)",
        "SELECT lo_creat(-1)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT lo_put(1, 0, 'x')",
        "SELECT pg_notify('x', 'y')",
        "SELECT pg_notification_queue_usage()",
        "SELECT pg_export_snapshot()",
        "SELECT pg_logical_emit_message(false, 'x', 'y')",
        "SELECT pg_logical_emit_message(false, 'x', 'y'::bytea)",
        "SELECT pg_current_xact_id()",
        "SELECT txid_current()",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="denied for function"):
            await analyst.execute(statement)
    for statement in (
        "CREATE TEMP TABLE big AS SELECT generate_series(1, 10)",
        "SELECT 1 AS a INTO TEMP big",
        "SET temp_file_limit = -1",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await analyst.execute(statement)
    assert await analyst.fetchval("SHOW temp_file_limit") == "2GB"


async def test_it_writes_nothing_to_the_servers_log(analyst: asyncpg.Connection) -> None:
    """Neither with its own code, nor with errors, nor with settings of its session."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="language plpgsql"):
        await analyst.execute("DO $$ BEGIN RAISE WARNING 'hello'; END $$")
    if HOME not in os.environ:
        pytest.skip("the server's log is elsewhere")
    log = Path(os.environ[HOME]) / "postgres.log"
    before = log.stat().st_size
    for setting in ("debug_print_plan", "trace_sort"):
        await analyst.execute(f"SET {setting} = on")
    await analyst.execute("SELECT 1 AS a_word_of_its_own ORDER BY random()")
    for statement in (
        "SELECT a_word_of_its_own",
        "SET log_min_messages = log",
        "ALTER ROLE CURRENT_USER SET log_min_messages = log",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await analyst.execute(statement)
    assert b"a_word_of_its_own" not in log.read_bytes()[before:]


async def test_it_receives_no_notifications_of_others(
    analyst: asyncpg.Connection, log_parts: Parts, database_url: str
) -> None:
    log, _, notifier = log_parts
    heard: list[object] = []
    for channel in ("colloquy_log", "colloquy_letters", "log", "colloquy"):
        await analyst.add_listener(channel, lambda *told: heard.append(told))
    far = Notifier(database_url)
    await far.start()
    wake_event, letters = far.wake_event(1), asyncio.Event()
    far.subscribe("word", lambda _: letters.set())
    await append_steps(log, dialogue(Learner(103, conversation_ids=iter([8]))), account_id=1)
    notifier.send("word", "text")
    async with asyncio.timeout(20):
        await wake_event.wait()
        await letters.wait()
    await analyst.fetchval("SELECT 1")
    assert heard == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await analyst.fetchval("SELECT name FROM public.letter_channel")
    await far.close()


async def test_its_open_transaction_is_ended_whatever_it_sets(
    analyst: asyncpg.Connection, name: str, workers: Pool, database_url: str, owner: Connection
) -> None:
    password = await create_analyst(owner, f"{name}_idle", [2], None)
    idle = await asyncpg.connect(with_login(database_url, f"{name}_idle", password))
    for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
        await analyst.execute(f"SET {setting} = 0")
    await analyst.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
    await AnalystSessions(workers).end_old()
    assert await analyst.fetchval("SELECT 1") == 1
    await AnalystSessions(workers, timedelta(0)).end_old()
    await eventually(lambda: _closed(analyst))
    assert await idle.fetchval("SELECT 1") == 1
    await idle.close()


async def test_an_owner_who_is_no_superuser_ends_it_too(
    server_url: str, name: str, owner: Connection
) -> None:
    keeper, ana = f"{name}_keeper", f"{name}_ana"
    await owner.execute(f"CREATE ROLE {keeper} LOGIN CREATEROLE PASSWORD 'k'")
    await owner.execute(f"CREATE DATABASE {keeper} OWNER {keeper}")
    await owner.execute(
        f"GRANT colloquy_service, colloquy_worker, colloquy_auditor, colloquy_analyst, "
        f"colloquy_projector TO {keeper} WITH ADMIN OPTION"
    )
    url = with_login(database_named(server_url, keeper), keeper, "k")
    try:
        await prepare(url)
        theirs = await connect(url)
        password = await create_analyst(theirs, ana, [1], None)
        session = await asyncpg.connect(with_login(url, ana, password))
        await session.execute("BEGIN; SELECT 1")
        workers = await open_pool(url, "colloquy_worker", 1)
        await AnalystSessions(workers, timedelta(0)).end_old()
        await eventually(lambda: _closed(session))
        await workers.close()
        await remove_analyst(theirs, ana)
        await theirs.close()
    finally:
        await owner.execute(f"DROP DATABASE {keeper} WITH (FORCE)")


async def test_the_service_still_works(
    analyst: asyncpg.Connection, workers: Pool, database_url: str
) -> None:
    """Rights taken from analysts were not taken from the service's roles."""
    async with running_log(database_url) as (log, _, notifier):
        await append_steps(log, dialogue(Learner(102, conversation_ids=iter([7]))), account_id=2)
        assert not await workers.fetchval(query("is_owner_gone"), notifier.owner)
        await rebuild(database_url, definition("turn_facts"))


async def test_a_login_that_owns_something_is_removed_with_it(
    name: str, database_url: str, owner: Connection
) -> None:
    await create_analyst(owner, name, [1], None)
    await owner.execute(f"CREATE TABLE kept (a int); ALTER TABLE kept OWNER TO {name}")
    await remove_analyst(owner, name)
    assert await list_analysts(owner) == []
    assert await owner.fetchval("SELECT to_regclass('kept')") is None


@pytest.fixture
async def inventive(
    analyst: asyncpg.Connection, name: str, owner: Connection
) -> asyncpg.Connection:
    """An analyst who may create objects, as on servers where that could not be revoked."""
    database = await owner.fetchval("SELECT current_database()")
    await owner.execute(f"GRANT TEMPORARY ON DATABASE {database} TO {name}")
    await owner.execute(f"GRANT USAGE ON LANGUAGE plpgsql TO {name}")
    await analyst.execute("SET default_transaction_read_only = off")
    return analyst


async def test_its_temporary_tables_shadow_nothing(
    inventive: asyncpg.Connection,
) -> None:
    """Code that runs with the owner's rights does not use them."""
    analyst = inventive
    await analyst.execute("CREATE TEMP TABLE analyst_accounts (role_name name, account_id bigint)")
    await analyst.execute(
        "INSERT INTO analyst_accounts VALUES (session_user, 1), (session_user, 3)"
    )
    await analyst.execute(
        "CREATE TEMP TABLE accounts AS SELECT n AS account_id FROM generate_series(1, 3) n"
    )
    await analyst.execute(
        "CREATE FUNCTION pg_temp.current_account_v1() RETURNS bigint LANGUAGE sql "
        "AS 'SELECT 1::bigint'"
    )
    await analyst.execute(
        "CREATE FUNCTION pg_temp.granted_accounts_v1() RETURNS bigint[] LANGUAGE sql "
        "AS 'SELECT ARRAY[1::bigint, 2, 3]'"
    )
    await analyst.execute("SET search_path = pg_temp, analytics, public")
    assert await seen(analyst, await facts_view(analyst)) == {2}
    assert await seen(analyst, "analytics.freshness") <= {2}


async def test_its_conditions_are_not_evaluated_on_others_rows(
    inventive: asyncpg.Connection,
) -> None:
    """Row-level security comes first: an error or a notice would reveal their values."""
    analyst = inventive
    await analyst.execute(
        "CREATE FUNCTION pg_temp.tells(bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS "
        "$$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$"
    )
    told: list[str] = []
    analyst.add_log_listener(lambda _, message: told.append(message.message))
    view = await facts_view(analyst)
    await analyst.fetch(f"SELECT FROM {view} WHERE pg_temp.tells(account_id)")
    assert set(told) == {"2"}
    await analyst.fetch(f"SELECT 1 / (account_id - 3) FROM {view}")  # no division by zero
    await analyst.fetch(f"SELECT FROM {view} WHERE 1 / (account_id - 1) > -9")


async def test_its_conditions_on_freshness_are_not_evaluated_on_others_rows(
    inventive: asyncpg.Connection,
) -> None:
    """That view reads with its owner's rights, so no policy of a table protects its rows."""
    analyst = inventive
    told: list[str] = []
    analyst.add_log_listener(lambda _, notice: told.append(notice.message))
    for setting in (
        "default_transaction_read_only",
        *(f"enable_{how}" for how in ("indexscan", "bitmapscan", "indexonlyscan")),
        *(f"enable_{how}" for how in ("hashjoin", "mergejoin")),
    ):
        await analyst.execute(f"SET {setting} = off")
    await analyst.execute(
        "CREATE FUNCTION pg_temp.peek(bigint) RETURNS bool LANGUAGE plpgsql COST 0.0000001 "
        "AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$"
    )
    rows = await analyst.fetch(
        "SELECT account_id FROM analytics.freshness WHERE pg_temp.peek(account_id)"
    )
    assert {row[0] for row in rows} == {2}
    assert set(told) == {"2"}
    for account in (1, 3):
        await analyst.fetch(
            f"SELECT * FROM analytics.freshness WHERE 1 / (account_id - {account}) < 2"
        )


async def test_the_planner_reveals_no_values_of_others(
    analyst: asyncpg.Connection, owner: Connection
) -> None:
    """How large tables are, and what they and the views are called, anybody may see who can log
    in: the catalogue is open. Estimates of EXPLAIN come from there, and count all accounts."""
    await owner.execute("ANALYZE")
    relations = {view.partition(".")[2] for view in await readable(analyst)}
    printed = await analyst.fetch(
        "SELECT schemaname, tablename FROM pg_stats "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    assert [tuple(row) for row in printed] == []
    assert relations
    assert await analyst.fetchval("SELECT sum(reltuples) FROM pg_class") > 0


async def test_it_does_not_see_what_others_run(
    analyst: asyncpg.Connection, log_parts: Parts
) -> None:
    texts = await analyst.fetch("SELECT query FROM pg_stat_activity WHERE usename <> session_user")
    assert texts
    assert {row[0] for row in texts} <= {"<insufficient privilege>", None}


async def test_its_idle_sessions_and_long_statements_are_ended(
    analyst: asyncpg.Connection,
) -> None:
    for setting, value in (
        ("idle_in_transaction_session_timeout", "1min"),
        ("statement_timeout", "10min"),
        ("default_transaction_read_only", "on"),
        ("search_path", "analytics"),
    ):
        assert await analyst.fetchval("SELECT current_setting($1)", setting) == value


async def test_a_wrong_password_is_refused(name: str, database_url: str, owner: Connection) -> None:
    await create_analyst(owner, name, [1], None)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(with_login(database_url, name, "guessed"))


async def test_an_expired_login_is_refused(name: str, database_url: str, owner: Connection) -> None:
    password = await create_analyst(owner, name, [1], 3)
    (one,) = [a for a in await list_analysts(owner) if a.role_name == name]
    assert one.expires_at is not None
    assert (one.expires_at - one.made_at).days == 3
    await owner.execute(f"ALTER ROLE {name} VALID UNTIL '2020-01-01'")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(with_login(database_url, name, password))
    assert [a.state for a in await list_analysts(owner) if a.role_name == name] == ["expired"]


async def test_removing_a_login_ends_its_sessions(
    analyst: asyncpg.Connection, name: str, owner: Connection
) -> None:
    await analyst.execute("BEGIN")
    await remove_analyst(owner, name)
    await eventually(lambda: _closed(analyst))
    assert not await owner.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", name)
    assert not await owner.fetchval("SELECT count(*) FROM analyst_accounts")
    with pytest.raises(AnalystError, match=f"there is no analyst {name}"):
        await remove_analyst(owner, name)


async def _closed(session: asyncpg.Connection) -> bool:
    return bool(session.is_closed())


@pytest.mark.parametrize(
    "wrong", ["pg_ana", "colloquy_ana", "Ana", "1a", "a-b", "", "a" * 64, 'a"b']
)
async def test_an_invalid_name_is_refused(wrong: str, owner: Connection) -> None:
    with pytest.raises(AnalystError, match="cannot be a login"):
        await create_analyst(owner, wrong, [1], None)


async def test_an_existing_role_is_not_taken_over(name: str, owner: Connection) -> None:
    await owner.execute(f"CREATE ROLE {name}")
    with pytest.raises(AnalystError, match=r"already has a role .*; all its databases share roles"):
        await create_analyst(owner, name, [1], None)
    with pytest.raises(AnalystError, match="there is no analyst"):
        await remove_analyst(owner, name)
    assert await owner.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", name) == 1


async def test_the_password_is_not_sent_to_the_server(name: str, owner: Connection) -> None:
    password = await create_analyst(owner, name, [1], None)
    kept = await owner.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = $1", name)
    assert kept.startswith("SCRAM-SHA-256$4096:")
    assert password not in kept
