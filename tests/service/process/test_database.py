"""Databases that lack what the service needs: doctor and migrate report, repair or refuse them."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from eventstore.connection_urls import with_login
from eventstore.connections import connect
from service.embedded_postgres.binaries import usable_binaries
from service.process.database import check_ready, connect_owner, prepare
from service.process.errors import DatabaseUnreachable
from service.process.server_checks import clock_findings, server_findings
from sql.errors import (
    EncodingUnfit,
    MigrationFailed,
    RolesMissing,
    SchemaBehind,
)
from sql.loader import rights
from sql.rights import ROLES, missing_rights
from tests.databases import cloned_database, database_named
from tests.running import colloquy, fetch_value, running_service, service_process
from tests.servers import OwnServer, own_server
from tests.sql.rights import listed


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server that has none of our roles yet."""
    with own_server() as server:
        yield server


@pytest.fixture
async def admin(server: OwnServer) -> AsyncIterator[asyncpg.Connection]:
    admin = await asyncpg.connect(server.url)
    yield admin
    await admin.close()


def as_login(url: str, login: str, database: str) -> str:
    return database_named(with_login(url, login, login), database)


def copy(source: str, target: str, *flags: str) -> None:
    """Restores a dump, ignoring errors."""
    programs = usable_binaries()
    dump = subprocess.run([programs / "pg_dump", *flags, source], capture_output=True, check=True)
    subprocess.run(
        [programs / "psql", "-q", target], input=dump.stdout, capture_output=True, check=True
    )


def wrong_lines(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("WRONG")]


async def test_a_socket_that_does_not_answer_is_named() -> None:
    url = "postgresql://owner:s3cret@/colloquy?host=/nowhere%20at%20all&port=1"
    with pytest.raises(DatabaseUnreachable, match="at /nowhere at all/colloquy: ") as refusal:
        await connect_owner(url)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.slow
async def test_a_dump_that_was_restored_without_roles_and_rights_gets_them_back(
    server: OwnServer, admin: asyncpg.Connection, server_url: str
) -> None:
    """First without roles, which a dump lacks; then with roles, from a dump with -x."""
    async with cloned_database(server_url) as source:
        async with running_service(source) as service:
            opened = await service.open()
        for name, flags in (("without_roles", ()), ("without_rights", ("-x",))):
            await admin.execute(f"CREATE DATABASE {name}")
            url = database_named(server.url, name)
            await asyncio.to_thread(copy, source, url, *flags)
            environment = {"DATABASE_URL": url}
            with pytest.raises(RolesMissing if name == "without_roles" else SchemaBehind):
                await check_ready(url)
            code, out, _ = await colloquy(environment, "doctor")
            assert code == 1
            (line,) = wrong_lines(out)
            assert line.startswith("WRONG  database: ")
            code, out, err = await colloquy(environment, "token", "list")
            assert (code, out, err.count("\n")) == (1, "", 1), err
            code, out, err = await colloquy(environment, "migrate")
            assert (code, "rights_restored" in err) == (0, True)
            assert out.endswith(" rights that were missing\n"), out
            assert sorted(rights()) == sorted(await listed(url))
            await check_ready(url)
            async with running_service(url) as restored:
                assert await restored.active() == opened
                assert (await restored.say(opened["id"], "And now?"))[0] == 200
            assert (await colloquy(environment, "migrate"))[1] == "up to date\n"


async def test_single_rights_that_are_missing_or_too_many_are_seen(
    server_url: str,
) -> None:
    async with cloned_database(server_url) as url:
        owner = await connect(url)
        schema = await owner.fetchval(
            "SELECT schema_name FROM projections WHERE name = 'turn_facts'"
        )
        for harm in (
            "REVOKE EXECUTE ON FUNCTION append_events_v2 FROM colloquy_service",
            "GRANT EXECUTE ON FUNCTION erase_learner_v2 TO PUBLIC",
            "REVOKE SELECT ON events FROM colloquy_auditor",
            "REVOKE USAGE ON SCHEMA read FROM colloquy_service",
            "DROP POLICY account_entered ON event_content",
            "ALTER TABLE tokens DISABLE ROW LEVEL SECURITY",
            "REVOKE SELECT ON analytics.turn_facts FROM colloquy_analyst",
            f"REVOKE SELECT ON {schema}.turn_facts FROM colloquy_analyst",
            f"DROP POLICY account_granted ON {schema}.turn_facts",
            f"ALTER TABLE {schema}.turn_facts DISABLE ROW LEVEL SECURITY",
            "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
        ):
            await owner.execute(harm)
            missing = await missing_rights(owner)
            assert len(missing) == 1, (harm, missing)
            with pytest.raises(SchemaBehind, match="run `colloquy migrate`"):
                await check_ready(url)
            assert await prepare(url) == ["1 rights that were missing"]
            assert await missing_rights(owner) == []
        await owner.close()


async def test_the_rights_in_the_file_are_those_that_migrations_lead_to(server_url: str) -> None:
    """Where a migration changes them: ``python -m tests.sql.rights``."""
    async with cloned_database(server_url) as url:
        assert await listed(url) == list(rights())


@pytest.mark.slow
async def test_another_owner_on_the_same_server_gets_the_grant_to_run(
    server: OwnServer, admin: asyncpg.Connection
) -> None:
    await prepare(server.url)
    await admin.execute("CREATE ROLE second LOGIN PASSWORD 'second'")
    await admin.execute("CREATE DATABASE second OWNER second")
    url = as_login(server.url, "second", "second")
    with pytest.raises(RolesMissing) as refusal:
        await prepare(url)
    assert await fetch_value(url, "SELECT to_regclass('public.schema_migrations')") is None
    advice = str(refusal.value).partition("run: ")[2]
    assert advice.startswith("GRANT colloquy_analyst, ")
    code, _, err = await colloquy({"DATABASE_URL": url}, "migrate")
    assert (code, err) == (1, f"colloquy: {refusal.value}\n")
    await admin.execute(advice)
    await prepare(url)
    async with running_service(url) as service:
        opened = await service.open()
        assert (await service.say(opened["id"], "Hello"))[0] == 200


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
async def test_a_database_of_another_encoding_is_refused_before_anything_is_made(
    server: OwnServer, admin: asyncpg.Connection, encoding: str
) -> None:
    await admin.execute(
        f"CREATE DATABASE other ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
    )
    url = database_named(server.url, "other")
    with pytest.raises(EncodingUnfit, match=f"encoding is {encoding}, "):
        await prepare(url)
    assert await fetch_value(url, "SELECT to_regclass('public.schema_migrations')") is None
    await admin.execute("DROP DATABASE other WITH (FORCE)")


@pytest.mark.slow
async def test_a_login_that_may_not_make_tables_and_a_standby_are_one_line(
    server: OwnServer, admin: asyncpg.Connection
) -> None:
    await prepare(server.url)
    await admin.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    await admin.execute(f"GRANT {', '.join(ROLES)} TO guest")
    await admin.execute("CREATE DATABASE guests")
    with pytest.raises(MigrationFailed, match="may not create tables: permission denied"):
        await prepare(as_login(server.url, "guest", "guests"))
    await asyncio.to_thread(server.add_standby)
    for command in (("migrate",), ("serve", "--port", "0")):
        code, out, err = await colloquy({"DATABASE_URL": server.standby_url}, *command)
        assert (code, out) == (1, "")
        assert err.startswith("colloquy: The server is a standby"), err
        assert err.count("\n") == 1


async def test_a_limit_of_connections_is_reported_with_its_cause(
    server: OwnServer, admin: asyncpg.Connection
) -> None:
    """Also at the start of the service, for all its processes."""
    await admin.execute("CREATE ROLE few LOGIN PASSWORD 'few'")
    await admin.execute("CREATE DATABASE few OWNER few")
    await prepare(server.url)
    await admin.execute(f"GRANT {', '.join(ROLES)} TO few")
    url = as_login(server.url, "few", "few")
    await prepare(url)
    for limit, processes, told in (
        ("ALTER ROLE few CONNECTION LIMIT 20", 1, "have 20 connections (ALTER ROLE few CONN"),
        ("ALTER ROLE few CONNECTION LIMIT 30", 2, "2 processes use up to 52"),
        ("ALTER ROLE few CONNECTION LIMIT 30", 1, None),
        ("ALTER DATABASE few CONNECTION LIMIT 25", 1, "have 25 connections (ALTER DATABASE few"),
    ):
        await admin.execute(limit)
        connection = await connect(url)
        result = [line for line in await server_findings(connection, processes) if "connec" in line]
        await connection.close()
        assert len(result) == (told is not None)
        assert not told or told in result[0]
    _, _, err = await colloquy({"DATABASE_URL": url}, "migrate")
    assert "ALTER DATABASE few CONNECTION LIMIT" in err
    async with service_process({"DATABASE_URL": url}) as process:
        (line,) = process.log_lines("database_unsafe")
        assert "ALTER DATABASE few CONNECTION LIMIT" in line["finding"]


@pytest.mark.slow
async def test_doctor_and_migrate_see_a_file_of_identity_providers_that_stops_the_start(
    server_url: str, tmp_path: Path
) -> None:
    issuer = '[[issuer]]\nissuer = "https://i"\naudience = "a"\njwks_url = "https://i/k"\n'
    rest = '[issuer.claims]\nuser_id = "sub"\n'
    async with cloned_database(server_url) as url:
        for name, text, told in (
            ("nowhere", None, "No such file"),
            ("field", f"{issuer}account = 1\nsecret = 1\n{rest}", "unknown field secret"),
            ("account", f"{issuer}account = 77\n{rest}", "there is no account 77"),
            ("toml", "[[issuer", "Expected"),
        ):
            file = tmp_path / name
            if text:
                file.write_text(text)
            environment = {"DATABASE_URL": url, "COLLOQUY_JWT": str(file)}
            if name == "account":
                _, out, _ = await colloquy(environment, "doctor")
                assert told in out
            else:
                environment["COLLOQUY_PRICES"] = str(file)
                _, out, _ = await colloquy(environment, "doctor")
                assert len([line for line in wrong_lines(out) if "COLLOQUY_PRICES" in line]) == 1
            assert len([line for line in wrong_lines(out) if "COLLOQUY_JWT" in line]) == 1
            code, _, err = await colloquy(environment, "migrate")
            assert code == 0
            (line,) = [line for line in err.splitlines() if "settings_wrong" in line]
            assert told in line


@pytest.mark.slow
async def test_doctor_names_the_port_of_the_running_service_and_not_the_terminals(
    server_url: str,
) -> None:
    async with cloned_database(server_url) as url:
        terminal = {"DATABASE_URL": url, "COLLOQUY_PORT": "4711"}
        _, out, _ = await colloquy(terminal, "doctor")
        assert "service: no process serves this database" in out
        async with service_process({"DATABASE_URL": url}, "--workers", "2") as process:
            _, out, _ = await colloquy(terminal, "doctor")
        address = process.url.removeprefix("http://")
        assert f"service: 2 processes on {address}\n" in out
        assert "4711" not in out


@pytest.mark.parametrize(
    ("drift", "words"),
    [(0.0, None), (-1.0, None), (3600.0, "3600 s ahead of"), (-40.0, "40 s behind")],
)
def test_clocks_that_differ_are_reported(drift: float, words: str | None) -> None:
    assert clock_findings(drift) == (
        [f"clock: this machine's is {words} the database's"] if words else []
    )
