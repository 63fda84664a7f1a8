"""What most commands need: settings, a ready database, a connection."""

import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import click

from eventstore.connections import Connection
from service.cli.progress import progress_bar
from service.errors import UnknownAccount
from service.escaping import escaped
from service.process.database import Database, check_ready, connect_owner, open_database, prepare
from service.process.event_loop import run
from service.process.logging import configure_logging
from service.settings import Settings, read_settings
from sql.loader import query
from sql.migrator import check_schema, migrate, schema_lock

_DEFAULT_ACCOUNT = 1

ID = click.IntRange(1, 2**63 - 1)
"""An id or a position: a positive bigint."""

POSITION = click.IntRange(0, 2**63 - 1)
"""A position of the log; 0 is before the first event."""

in_account = click.option(
    "--account",
    type=ID,
    default=_DEFAULT_ACCOUNT,
    show_default=True,
    help="Institution, by its number in `colloquy account list`.",
)

T = TypeVar("T")


def with_database(work: Callable[[Settings, Database], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` on the database of the settings.

    An embedded database is migrated if needed. The schema of a database that `DATABASE_URL` names
    is only checked: its operator decides when to migrate.
    """
    configure_logging()
    settings = read_settings(os.environ)
    with open_database(settings) as database:
        return run(_ready(settings, database, work))


def with_migrated(work: Callable[[Settings, Database], Coroutine[Any, Any, T]]) -> T:
    """As `with_database`, but accepts projections of another version."""
    configure_logging()
    settings = read_settings(os.environ)
    with open_database(settings) as database:
        return run(_migrated(settings, database, work))


def with_connection(work: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` with a connection of the owner."""

    async def connected(_settings: Settings, database: Database) -> T:
        async with owner(database.url) as connection:
            return await work(connection)

    return with_database(connected)


def with_account(account_id: int, work: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` with a connection of the owner, if the institution exists."""

    async def checked(connection: Connection) -> T:
        await check_account(connection, account_id)
        return await work(connection)

    return with_connection(checked)


async def check_account(connection: Connection, account_id: int) -> None:
    """Raises UnknownAccount unless the institution exists."""
    if await connection.fetchval(query("get_log_head"), account_id) is None:
        raise UnknownAccount(f"there is no account {account_id}: see `colloquy account list`")


def printable(text: str) -> str:
    """Untrusted text for a part of a line: escaped, with its lines joined by spaces."""
    return escaped(" ".join(text.split()))


@asynccontextmanager
async def owner(url: str) -> AsyncIterator[Connection]:
    """A connection as the owner, closed at the end."""
    connection = await connect_owner(url)
    try:
        yield connection
    finally:
        await connection.close()


async def _ready(
    settings: Settings,
    database: Database,
    work: Callable[[Settings, Database], Coroutine[Any, Any, T]],
) -> T:
    if database.embedded:
        await prepare(database.url, progress_bar("building views"))
    else:
        await check_ready(database.url)
    return await work(settings, database)


async def _migrated(
    settings: Settings,
    database: Database,
    work: Callable[[Settings, Database], Coroutine[Any, Any, T]],
) -> T:
    async with owner(database.url) as connection:
        if database.embedded:
            async with schema_lock(connection):
                await migrate(connection)
        await check_schema(connection)
    return await work(settings, database)
