"""Brings a database's schema up to date, under a lock, and refuses what it does not know."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from sql.errors import (
    EncodingUnfit,
    MigrationFailed,
    NotWritable,
    SchemaBehind,
    SchemaDiffers,
    SchemaTooNew,
    ServerTooOld,
)
from sql.loader import Migration, migrations, query
from sql.rights import take_roles

OLDEST_SERVER = 15
_TIMEOUT = 24 * 3600.0
_LOCK = 0x636F6C6C6F717579  # "colloquy"
# Texts that stood under a number for a while, and that a later migration makes equal again.
_EARLIER_DIGESTS = frozenset(
    {(4, "5a8a363a98c3bf5fe0015755eda05c9f605d756d32af88f61597d90d6fb1b21f")}
)


async def migrate(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """Applies the migrations that the database lacks, each in its own transaction.

    Args:
        connection: The owner's; call it inside `schema_lock` when others may migrate too.

    Returns:
        The names of the migrations applied now.

    Raises:
        ServerTooOld, SchemaTooNew, SchemaDiffers, NotWritable, EncodingUnfit: The database is
            left as it was.
        RolesMissing: So it is, and the login may not take on the roles that are needed.
        MigrationFailed: It has the migrations before the one that is named.
    """
    check_server(connection)
    await _check_database(connection)
    await take_roles(connection)
    try:
        await connection.execute(query("create_schema_migrations"))
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationFailed(f"this login may not create tables: {error}") from error
    missing = await _missing(connection)
    for migration in missing:
        try:
            await _apply(connection, migration)
        except asyncpg.PostgresError as error:
            raise MigrationFailed(f"migration {migration.name} does not apply: {error}") from error
    return [migration.name for migration in missing]


async def _check_database(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    row = await connection.fetchrow(query("get_fitness"))
    assert row is not None
    if row["standby"] or row["read_only"]:
        raise NotWritable
    if row["encoding"] != "UTF8":
        raise EncodingUnfit(
            f"the database's encoding is {row['encoding']}, which has not every letter: make one "
            "with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.text, timeout=_TIMEOUT)
        await connection.execute(
            query("record_migration"), migration.number, migration.name, _digest(migration)
        )


async def violated_constraints(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """Checks what rows from before a constraint was made were not held to.

    Args:
        connection: The owner's, holding the schema lock.

    Returns:
        The constraints that some rows do not meet, each with its table: what is wrong with these
        rows is for an audit to tell. The others hold from now on.
    """
    rows = await connection.fetch(query("validate_constraints"), timeout=_TIMEOUT)
    return [f"{row['name']} of {row['relation']}" for row in rows if not row["met"]]


async def check_schema(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Raises a `DatabaseUnfit` unless the schema is exactly this program's."""
    check_server(connection)
    if not await connection.fetchval(query("has_schema")):
        raise SchemaBehind
    missing = await _missing(connection)
    if missing:
        raise SchemaBehind(f"the database lacks {missing[0].name}: run `colloquy migrate`")


def check_server(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Raises ServerTooOld for a PostgreSQL older than `OLDEST_SERVER`."""
    version = connection.get_server_version()
    if version.major < OLDEST_SERVER:
        raise ServerTooOld(
            f"the database server is PostgreSQL {version.major}; Colloquy needs "
            f"{OLDEST_SERVER} or newer"
        )


@asynccontextmanager
async def schema_lock(connection: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[None]:
    """Holds the lock under which only one process at a time changes this database's schema."""
    await connection.execute(query("lock_schema"), _LOCK, timeout=_TIMEOUT)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute(query("unlock_schema"), _LOCK)


async def _missing(connection: "asyncpg.Connection[asyncpg.Record]") -> list[Migration]:
    recorded = await connection.fetch(query("list_migrations"))
    known = {migration.number: migration for migration in migrations()}
    for row in recorded:
        migration = known.pop(row["number"], None)
        if migration is None:
            raise SchemaTooNew(
                f"the database has migration {row['name']}, which this version of Colloquy "
                "does not know: it was used by a newer version; run that one"
            )
        if row["digest"] != _digest(migration) and not _is_also_known(row):
            raise SchemaDiffers(
                f"migration {row['name']} was recorded with other contents than this version "
                "of Colloquy has: the database belongs to a different build"
            )
    return list(known.values())


def _is_also_known(row: asyncpg.Record) -> bool:
    return (row["number"], row["digest"].hex()) in _EARLIER_DIGESTS


def _digest(migration: Migration) -> bytes:
    return hashlib.sha256(migration.text.encode()).digest()
