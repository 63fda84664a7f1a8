"""Migrations are applied once and completely, and only to our schemas."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from eventstore.connection_urls import with_login
from eventstore.connections import Connection, connect
from eventstore.running_log import running_log
from projections.user_defined import write_template
from service.analytics.analyst_logins import create_analyst, remove_analyst
from service.process.database import prepare
from sql import migrator
from sql.errors import (
    DatabaseUnfit,
    MigrationFailed,
    SchemaBehind,
    SchemaDiffers,
    SchemaTooNew,
    ServerTooOld,
)
from sql.loader import Migration, migrations
from sql.migrator import check_schema, migrate, schema_lock, violated_constraints
from tests.databases import database_named
from tests.eventstore.building import append, message

ALL = [migration.name for migration in migrations()]
NEXT = len(ALL) + 1

ProgramHas = Callable[[list[Migration]], None]
Act = Callable[[Connection], Awaitable[object]]


@pytest.fixture
async def empty(empty_database_url: str) -> AsyncIterator[Connection]:
    """A connection to a database with nothing in it."""
    connection = await connect(empty_database_url)
    yield connection
    await connection.close()


@pytest.fixture
def program_has(monkeypatch: pytest.MonkeyPatch) -> ProgramHas:
    """Gives the program other migrations."""
    return lambda chosen: monkeypatch.setattr(migrator, "migrations", lambda: chosen)


async def recorded(connection: Connection) -> list[str]:
    return [r[0] for r in await connection.fetch("SELECT name FROM schema_migrations ORDER BY 1")]


async def exists(connection: Connection, relation: str) -> bool:
    return await connection.fetchval("SELECT to_regclass($1)", relation) is not None


async def test_an_empty_database_gets_all_migrations_and_then_none(empty: Connection) -> None:
    assert await migrate(empty) == ALL
    assert await recorded(empty) == ALL
    await check_schema(empty)
    assert await migrate(empty) == []


async def test_a_database_of_an_older_program_gets_what_it_lacks(
    empty: Connection, program_has: ProgramHas
) -> None:
    program_has(migrations()[:-1])
    await migrate(empty)
    program_has(migrations())
    with pytest.raises(SchemaBehind, match=f"lacks {ALL[-1]}: run `colloquy migrate`"):
        await check_schema(empty)
    assert await migrate(empty) == ALL[-1:]


async def test_ten_programs_that_start_at_once_apply_each_migration_once(
    empty_database_url: str,
) -> None:
    async def start() -> list[str]:
        connection = await connect(empty_database_url)
        try:
            async with schema_lock(connection):
                return await migrate(connection)
        finally:
            await connection.close()

    done = await asyncio.gather(*(start() for _ in range(10)))
    assert sorted(done) == [*[[]] * 9, ALL]


async def test_the_lock_is_free_again_after_an_error(empty_database_url: str) -> None:
    first, second = await connect(empty_database_url), await connect(empty_database_url)
    with pytest.raises(asyncpg.PostgresSyntaxError):
        async with schema_lock(first):
            await first.execute("nonsense")
    async with asyncio.timeout(10), schema_lock(second):
        pass
    await first.close()
    await second.close()


@pytest.mark.parametrize("act", [migrate, check_schema])
async def test_a_migration_recorded_with_other_contents_is_refused(
    owner: Connection, act: Act
) -> None:
    await owner.execute("UPDATE schema_migrations SET digest = '\\x00' WHERE number = 2")
    with pytest.raises(SchemaDiffers, match=ALL[1]):
        await act(owner)


@pytest.mark.parametrize("act", [migrate, check_schema])
async def test_an_earlier_text_of_a_migration_is_accepted(owner: Connection, act: Act) -> None:
    ((number, digest),) = migrator._EARLIER_DIGESTS
    await owner.execute(
        "UPDATE schema_migrations SET digest = $2 WHERE number = $1", number, bytes.fromhex(digest)
    )
    assert not await act(owner), "no migration is applied again"


@pytest.mark.parametrize("act", [migrate, check_schema])
async def test_a_database_of_a_newer_program_is_refused(owner: Connection, act: Act) -> None:
    await owner.execute(
        "INSERT INTO schema_migrations VALUES ($1, '9999_from_the_future', '')", NEXT
    )
    with pytest.raises(SchemaTooNew, match="9999_from_the_future"):
        await act(owner)


@pytest.mark.parametrize("act", [migrate, check_schema])
async def test_a_server_that_is_too_old_is_refused_before_anything_is_changed(
    empty: Connection,
    monkeypatch: pytest.MonkeyPatch,
    act: Act,
) -> None:
    monkeypatch.setattr(migrator, "OLDEST_SERVER", 99)
    version = empty.get_server_version().major
    with pytest.raises(ServerTooOld, match=f"is PostgreSQL {version}; Colloquy needs 99 or newer"):
        await act(empty)
    assert not await exists(empty, "schema_migrations")


async def test_an_empty_database_is_behind(empty: Connection) -> None:
    with pytest.raises(SchemaBehind, match="run `colloquy migrate`"):
        await check_schema(empty)
    assert not await exists(empty, "schema_migrations")


@pytest.mark.parametrize(
    "then", ["SELECT 1 / 0", "DROP TABLE schema_migrations"], ids=["it fails", "it is not recorded"]
)
async def test_a_migration_that_fails_leaves_nothing_half_done(
    empty: Connection, program_has: ProgramHas, then: str
) -> None:
    half = f"{NEXT:04}_half"
    program_has([*migrations(), Migration(NEXT, half, f"CREATE TABLE half (a int); {then}")])
    with pytest.raises(MigrationFailed, match=half):
        await migrate(empty)
    assert not await exists(empty, "half")
    assert await recorded(empty) == ALL
    program_has([*migrations(), Migration(NEXT, half, "CREATE TABLE half (a int)")])
    assert await migrate(empty) == [half]
    assert await exists(empty, "half")


async def test_every_refusal_is_a_database_unfit(owner: Connection) -> None:
    for refusal in (MigrationFailed, SchemaBehind, SchemaDiffers, SchemaTooNew, ServerTooOld):
        assert issubclass(refusal, DatabaseUnfit)
        assert str(refusal())


async def test_the_owner_need_not_be_a_superuser(server_url: str, tmp_path: Path) -> None:
    """As with hosted PostgreSQL, where a role's creator may grant it and nothing else."""
    name = f"institution_{uuid4().hex}"
    admin = await connect(server_url)
    made = "ADMIN TRUE, SET FALSE, INHERIT FALSE"
    how = made if admin.get_server_version().major >= 16 else "ADMIN OPTION"
    await admin.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'secret'")
    for role in ("service", "worker", "auditor", "analyst", "projector"):
        await admin.execute(f"GRANT colloquy_{role} TO {name} WITH {how}")
    await admin.execute(f"CREATE DATABASE {name} OWNER {name}")
    url = database_named(with_login(server_url, name, "secret"), name)
    await prepare(url)
    async with running_log(url) as (log, pool, _):
        await append(log, "s", message("Hello"))
        assert await pool.fetchval(1, "SELECT current_user") == "colloquy_service"
    write_template(tmp_path, "hourly")
    assert await prepare(url, user_defined=tmp_path) == ["hourly"]
    owner = await connect(url)
    assert await owner.fetchval("SELECT sum(messages) FROM analytics.hourly") == 1
    await create_analyst(owner, f"ana_{name}"[:40], [1], None)
    await remove_analyst(owner, f"ana_{name}"[:40])
    await owner.close()
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


BAD_SALT = (
    "ALTER TABLE event_content DROP CONSTRAINT event_content_salt",
    "INSERT INTO event_content VALUES (1, 1, 101, '\\x00', 'ext')",
    "ALTER TABLE event_content"
    " ADD CONSTRAINT event_content_salt CHECK (octet_length(salt) = 16) NOT VALID",
)
VALIDATED = "SELECT convalidated FROM pg_constraint WHERE conname = 'event_content_salt'"


async def test_rows_from_before_a_constraint_do_not_stop_a_start(
    owner: Connection, database_url: str
) -> None:
    for statement in BAD_SALT:
        await owner.execute(statement)
    assert await violated_constraints(owner) == ["event_content_salt of event_content"]
    assert await prepare(database_url) == []
    assert not await owner.fetchval(VALIDATED)
    with pytest.raises(asyncpg.CheckViolationError, match="event_content_salt"):
        await owner.execute("INSERT INTO event_content VALUES (1, 2, 101, '\\x00', 'ext')")


async def test_a_constraint_that_all_rows_meet_is_validated_at_the_start(
    owner: Connection, database_url: str
) -> None:
    assert await owner.fetchval(VALIDATED)
    assert await violated_constraints(owner) == []
