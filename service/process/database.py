"""Opens the database of the settings, started if it is the embedded one, and migrates it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec
import structlog

from eventstore.connections import Connection, connect
from eventstore.database_errors import DATABASE_ERRORS
from eventstore.errors import PathUntrusted
from eventstore.liveness import refuse_beside_earlier
from eventstore.trusted_paths import check_trusted, make_trusted_folder
from projections.install import check_projections, install
from projections.install_user_defined import install_user_defined
from projections.parallel_build import Progress, silent
from service.embedded_postgres import EmbeddedPostgres
from service.errors import SettingsError
from service.file_work import reason_of
from service.process.errors import DatabaseMissing, DatabaseUnreachable
from service.settings import Settings
from sql.errors import SchemaBehind
from sql.migrator import check_schema, migrate, schema_lock, violated_constraints
from sql.rights import check_roles, missing_rights, restore_rights

_MISSING = (
    "there is no database in {home}: `colloquy serve` or `colloquy migrate` creates one; or set "
    "COLLOQUY_HOME to the home of the service, or DATABASE_URL"
)

log = structlog.get_logger("colloquy")


class Database(msgspec.Struct, frozen=True):
    """A database in use. `embedded` is None for one that `DATABASE_URL` names."""

    url: str
    embedded: EmbeddedPostgres | None


@contextmanager
def open_database(settings: Settings, *, make: bool = False) -> Iterator[Database]:
    """The database, running for as long as the context lasts.

    Args:
        make: Whether to create an embedded database if there is none.

    Raises:
        DatabaseMissing: There is no database, and `make` is false.
        SettingsError: The home cannot be made or written, or another user could have prepared it.
        EmbeddedPostgresError, PathUntrusted: The embedded server cannot run.
    """
    _check_home(settings, make=make and not settings.database_url)
    if settings.database_url:
        yield Database(settings.database_url, None)
        return
    server = EmbeddedPostgres(
        settings.home, keep=settings.keep_postgres, binaries=settings.postgres_bin
    )
    url = _acquire(server, settings.home, make=make)
    try:
        yield Database(url, server)
    finally:
        server.release()


def _acquire(server: EmbeddedPostgres, home: Path, *, make: bool) -> str:
    try:
        if not make and not (home.is_dir() and server.has_data):
            raise DatabaseMissing(_MISSING.format(home=home))
        return server.acquire()
    except OSError as error:
        raise SettingsError(
            f"COLLOQUY_HOME: {error.filename or home}: {reason_of(error)}"
        ) from error


def _check_home(settings: Settings, *, make: bool) -> None:
    """Makes the home if `make` is set; an existing one must be trusted."""
    home = settings.home
    try:
        if make:
            make_trusted_folder(home, 0o711)
        elif os.path.exists(home):  # noqa: PTH110 - also False if we may not look
            check_trusted(home)
    except PathUntrusted as error:
        raise SettingsError(f"COLLOQUY_HOME: {error}") from error
    except OSError as error:
        raise SettingsError(f"COLLOQUY_HOME: {home}: {reason_of(error)}") from error


async def connect_owner(url: str) -> Connection:
    """A connection as the database's owner.

    Raises:
        DatabaseUnreachable: It does not answer or refuses us; the message says which.
    """
    try:
        return await connect(url)
    except DATABASE_ERRORS as error:
        where = _without_password(url)
        reason = str(error).partition("\n")[0] or "no answer in time"
        raise DatabaseUnreachable(f"cannot use the database at {where}: {reason}") from error
    except ValueError:  # its message may quote a part of the password
        raise DatabaseUnreachable("DATABASE_URL is not a valid connection URL") from None


async def prepare(
    url: str, progress: Progress = silent, user_defined: Path | None = None
) -> list[str]:
    """Migrates the schema and builds the projections, in one process at a time.

    Args:
        user_defined: Folder with user-defined projections. A refused one stays as it was, and
            the log says why.

    Returns:
        What was done: names of migrations and projections, and the number of restored rights.

    Raises:
        DatabaseUnfit: It cannot be used; it is left as it was.
    """
    connection = await connect_owner(url)
    try:
        await refuse_beside_earlier(connection)
        async with schema_lock(connection):
            done = await migrate(connection)
            for constraint in await violated_constraints(connection):
                log.error("constraint_violated", constraint=constraint, see="colloquy audit verify")
            done += await install(connection, url, progress)
            done += await install_user_defined(connection, url, user_defined, progress)
            if restored := await restore_rights(connection):
                log.warning("rights_restored", rights=len(restored), first=restored[0])
                done.append(f"{len(restored)} rights that were missing")
            return done
    finally:
        await connection.close()


async def check_ready(url: str) -> None:
    """Raises a `DatabaseUnfit` unless schema, projections and rights are this release's."""
    connection = await connect_owner(url)
    try:
        await check_schema(connection)
        await check_projections(connection)
        await check_rights(connection)
    finally:
        await connection.close()


async def check_rights(connection: Connection) -> None:
    """Raises a `DatabaseUnfit` if one of our roles, or a right of one, is missing.

    Args:
        connection: The owner's, to a database with this release's schema and projections.
    """
    await check_roles(connection)
    if missing := await missing_rights(connection):
        raise SchemaBehind(
            f"the database lacks {len(missing)} rights, such as {missing[0]}, perhaps since a "
            "restore: run `colloquy migrate`"
        )


def _without_password(url: str) -> str:
    start, _, options = url.partition("?")
    place = start.rpartition("@")[2].rpartition("//")[2]
    host = dict(parse_qsl(options)).get("host", "") if place.startswith("/") else ""
    return host + place
