"""Acknowledged events survive a crash, whatever the defaults of database and login are."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from eventstore.connection_urls import with_login
from eventstore.connections import Connection, Role, connect, open_pool
from eventstore.sealing.sealer import Sealer
from eventstore.sealing.signing_keys import KeyLocation
from service.identity.roster import Enrollment, import_roster
from service.identity.tokens import create_token
from service.process.database import connect_owner, prepare
from service.process.errors import DatabaseUnreachable
from service.process.server_checks import server_findings
from sql.loader import query
from tests.databases import database_named
from tests.running import colloquy, eventually, fetch_value, running_service, service_process
from tests.servers import OwnServer, own_server

pytestmark = pytest.mark.slow

NEVER_FLUSHED = {
    "wal_writer_delay": "10s",
    "checkpoint_timeout": "1d",
    "bgwriter_lru_maxpages": "0",
}
"""What nobody waits for is not on disk by chance."""

ROLES: tuple[Role | None, ...] = (
    None,
    "colloquy_service",
    "colloquy_worker",
    "colloquy_auditor",
    "colloquy_analyst",
)
SYNCHRONOUS_COMMIT = "SELECT current_setting('synchronous_commit')"
HOSTILE = {
    "search_path": "nowhere",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "session_replication_role": "replica",
    "row_security": "off",
    "statement_timeout": "2ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "idle_session_timeout": "100ms",
    "transaction_timeout": "500ms",
    "TimeZone": "Pacific/Auckland",
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "client_encoding": "LATIN1",
    "plan_cache_mode": "force_custom_plan",
    "jit": "on",
}


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with own_server(fsync="off", full_page_writes="off", **NEVER_FLUSHED) as server:
        asyncio.run(prepare(server.url))
        yield server


@pytest.fixture
async def admin(server: OwnServer) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's session; what it makes the default of the database is so for one test."""
    admin = await asyncpg.connect(server.url)
    yield admin
    if admin.is_closed():
        admin = await asyncpg.connect(server.url)
    await admin.execute("ALTER DATABASE colloquy RESET ALL; ALTER ROLE colloquy RESET ALL")
    await admin.close()


async def test_a_default_loses_no_acknowledged_message(
    server: OwnServer, admin: asyncpg.Connection
) -> None:
    """Nor does it give the id of a conversation twice."""
    await admin.execute("ALTER DATABASE colloquy SET synchronous_commit = off")
    async with running_service(server.url) as service:
        conversation = await service.open()
        for number in range(3):
            assert (await service.say(conversation["id"], f"word {number}"))[0] == 200
        last = await service.open(user=102)
        told = await service.history()
        await _crash(server)
        assert await service.history() == told
    async with running_service(server.url) as service:
        assert (await service.open(user=103))["id"] > last["id"]


async def test_a_default_loses_no_token(server: OwnServer, admin: asyncpg.Connection) -> None:
    await admin.execute("ALTER ROLE colloquy SET synchronous_commit = off")
    connection = await connect(server.url)
    ada = Enrollment(course_id=1, user_id=4711, name="Ada", role="learner", status="active")
    await import_roster(connection, 1, [ada])
    await create_token(connection, 1, ada.user_id)
    connection.terminate()
    await _crash(server)
    assert await fetch_value(server.url, "SELECT count(*) FROM tokens WHERE user_id = 4711") == 1


async def _crash(server: OwnServer) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.bring_back)


async def test_every_session_waits_for_the_disk(
    server: OwnServer, admin: asyncpg.Connection, tmp_path: Path
) -> None:
    await admin.execute("ALTER DATABASE colloquy SET synchronous_commit = off")
    assert await _ways_to_commit(server, tmp_path) == {"on"}


@pytest.mark.parametrize("chosen", ["local", "remote_write", "on", "remote_apply"])
async def test_what_an_operator_chose_is_not_weakened(
    server: OwnServer, admin: asyncpg.Connection, tmp_path: Path, chosen: str
) -> None:
    await admin.execute(f"ALTER DATABASE colloquy SET synchronous_commit = {chosen}")
    assert await _ways_to_commit(server, tmp_path) == {chosen}


async def _ways_to_commit(server: OwnServer, folder: Path) -> set[str]:
    """Of the sessions of all roles, of pools, and of the one that seals."""
    result = set()
    for role in ROLES:
        connection = await connect(server.url, role)
        result.add(await connection.fetchval(SYNCHRONOUS_COMMIT))
        await connection.close()
        pool = await open_pool(server.url, role, 1)
        result.add(await pool.fetchval(SYNCHRONOUS_COMMIT))
        await pool.close()
    async with Sealer(server.url, KeyLocation(folder), folder, 1.0).leading() as sealing:
        result.add(await sealing.fetchval(SYNCHRONOUS_COMMIT))
    return result


async def test_a_session_keeps_it_when_the_servers_file_changes(
    server: OwnServer, admin: asyncpg.Connection
) -> None:
    connection = await connect(server.url)
    try:
        await admin.execute("ALTER SYSTEM SET synchronous_commit = off")
        await admin.execute("SELECT pg_reload_conf()")

        async def is_read() -> bool:
            return await _default_of_new_sessions(server) == "off"

        await eventually(is_read)
        assert await connection.fetchval(SYNCHRONOUS_COMMIT) == "on"
    finally:
        await admin.execute("ALTER SYSTEM RESET synchronous_commit")
        await admin.execute("SELECT pg_reload_conf()")
        await connection.close()


async def _default_of_new_sessions(server: OwnServer) -> str:
    session = await asyncpg.connect(server.url)
    try:
        return str(await session.fetchval(SYNCHRONOUS_COMMIT))
    finally:
        await session.close()


async def test_the_service_works_whatever_sessions_get_by_default(
    server: OwnServer, admin: asyncpg.Connection
) -> None:
    for name, value in HOSTILE.items():
        await admin.execute(f"ALTER DATABASE colloquy SET {name} = '{value}'")
    async with running_service(server.url) as service:
        conversation = await service.open()
        status, body = await service.say(conversation["id"], "naïve 👩‍🔬 \\'x")
        assert (status, body["messages"][2]["text"]) == (200, "naïve 👩‍🔬 \\'x")
        assert await service.active() == body
        assert (await service.history())[-1].recorded_at.utcoffset() is not None
        connection = await connect(server.url)
        assert await connection.fetchval("SHOW transaction_timeout") == "0"
        with pytest.raises(asyncpg.PostgresError, match="the log is append-only"):
            await connection.execute("DELETE FROM events")
        await connection.close()


async def test_a_database_whose_triggers_do_not_run_is_refused_where_we_may_not_change_that(
    server: OwnServer, admin: asyncpg.Connection
) -> None:
    await admin.execute("CREATE ROLE plain LOGIN CREATEROLE PASSWORD 'plain'")
    await admin.execute("CREATE DATABASE plain OWNER plain")
    url = database_named(with_login(server.url, "plain", "plain"), "plain")
    await (await connect_owner(url)).close()
    await admin.execute("ALTER DATABASE plain SET session_replication_role = replica")
    with pytest.raises(DatabaseUnreachable, match="session_replication_role"):
        await connect_owner(url)


async def test_start_and_doctor_name_what_only_an_operator_can_change(server: OwnServer) -> None:
    environment = {"DATABASE_URL": server.url}
    code, out, _ = await colloquy(environment, "doctor")
    assert code == 1
    wrong = [line for line in out.splitlines() if line.startswith("WRONG")]
    assert [line.split()[1:5] for line in wrong] == [
        ["server:", "fsync", "is", "off:"],
        ["server:", "full_page_writes", "is", "off:"],
    ]
    async with service_process(environment) as process:
        findings = [line["finding"] for line in process.log_lines("database_unsafe")]
    assert [f"WRONG  {finding}" for finding in findings] == wrong


async def test_other_unsafe_settings_are_found(
    server: OwnServer, admin: asyncpg.Connection
) -> None:
    """Those that a superuser can change while the server runs."""
    for setting in ("zero_damaged_pages", "ignore_checksum_failure"):
        await admin.execute(f"ALTER DATABASE colloquy SET {setting} = on")
    await admin.execute("ALTER TABLE events DISABLE TRIGGER refuse_change")
    await admin.execute("ALTER TABLE log_heads SET UNLOGGED")
    await admin.execute("CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 5")
    await admin.execute("GRANT colloquy_auditor, pg_read_all_data TO few")
    connection: Connection = await connect(server.url)
    try:
        result = "\n".join(await server_findings(connection))
        assert "server: ignore_checksum_failure is on: " in result
        assert "server: zero_damaged_pages is on: " in result
        assert "database: trigger refuse_change of events is disabled: " in result
        assert "database: the table log_heads is unlogged: a crash empties it" in result
    finally:
        await admin.execute("ALTER TABLE events ENABLE TRIGGER refuse_change")
        await connection.close()
    few = with_login(server.url, "few", "few")
    assert (await fetch_value(few, query("get_limits"))) == 5


async def test_learners_texts_stay_out_of_the_log_of_a_server_that_logs_statements(
    owner: Connection, database_url: str
) -> None:
    """If the owner is not a superuser, its operator gets a finding."""
    name = await owner.fetchval("SELECT current_database()")
    for setting in ("log_statement = 'all'", "log_min_duration_statement = 0"):
        await owner.execute(f"ALTER DATABASE {name} SET {setting}")
    for role in ROLES:
        session = await connect(database_url, role)
        assert await session.fetchval("SHOW log_parameter_max_length") == "0"
        assert await session.fetchval("SHOW role") == (role or "none")
        await session.close()
    session = await connect(database_url)
    assert not any("into its log" in line for line in await server_findings(session))
    await session.execute("SET log_parameter_max_length = -1")
    told = [line for line in await server_findings(session) if "into its log" in line]
    assert [line.split()[1] for line in told] == ["log_min_duration_statement", "log_statement"]
    await session.close()
