"""`colloquy doctor`."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import click

from eventstore.connections import Connection
from eventstore.readable_numbers import counted
from projections.errors import ProjectionError
from projections.install import check_projections
from projections.install_user_defined import check_version
from projections.status import projection_status
from projections.user_defined import UserDefinedProjection, user_defined_projections
from service.app import make_model, uses_provider
from service.cli.context import owner
from service.cli.terminal import print_line
from service.errors import ServiceError, SettingsError
from service.identity.issuers import trust_finding
from service.model.prices import read_prices
from service.process.database import Database, check_rights, open_database
from service.process.event_loop import run
from service.process.logging import configure_logging
from service.process.server_checks import server_findings
from service.settings import Settings, read_settings
from sql.errors import DatabaseUnfit
from sql.loader import query
from sql.migrator import check_schema

_CONNECT_TIMEOUT = 5.0
_ANTHROPIC = "https://api.anthropic.com"


@click.command()
def doctor() -> None:
    """Check settings, database, projections, sealing and model; exit code 1 on a fault."""
    configure_logging()
    settings = read_settings(os.environ)
    print_line(f"ok     settings: home {settings.home}")
    with open_database(settings) as database:
        healthy = run(_examine(settings, database))
    if not healthy:
        raise ServiceError("something needs attention")


async def _examine(settings: Settings, database: Database) -> bool:
    healthy = True
    async for ok, finding in _findings(settings, database):
        print_line(f"{'ok   ' if ok else 'WRONG'}  {finding}")
        healthy = healthy and ok
    return healthy


async def _findings(settings: Settings, database: Database) -> AsyncIterator[tuple[bool, str]]:
    kind = "embedded" if database.embedded else "DATABASE_URL"
    try:
        async with owner(database.url) as connection:
            version = connection.get_settings().server_version
            yield True, f"database: {kind}, PostgreSQL {version}{_programs(database)}"
            await check_schema(connection)
            await check_projections(connection)
            await check_rights(connection)
            yield True, "schema: up to date, with all roles and rights"
            for finding in [*await _server(connection), *await _built_in(connection)]:
                yield finding
            for finding in await _user_defined(settings, connection):
                yield finding
            for finding in await _sealing(settings, connection):
                yield finding
            if settings.jwt:
                yield await _trust(settings.jwt, connection)
            yield await _serving(connection)
    except DatabaseUnfit as error:
        yield False, f"database: {error}"
    if settings.prices:
        yield _prices(settings.prices)
    yield await _model(settings)


async def _trust(file: Path, connection: Connection) -> tuple[bool, str]:
    finding = await trust_finding(file, connection)
    return finding is None, finding or f"identity providers: as {file} says"


async def _serving(connection: Connection) -> tuple[bool, str]:
    rows = await connection.fetch(query("list_serving"))
    if not rows:
        return True, "service: no process serves this database"
    return True, "service: " + ", ".join(
        f"{row['processes']} processes on {row['address']}"
        if row["processes"] > 1
        else f"a process on {row['address']}"
        for row in rows
    )


def _prices(file: Path) -> tuple[bool, str]:
    try:
        read_prices(file)
    except SettingsError as error:
        return False, str(error)
    return True, f"price table: {file}"


def _programs(database: Database) -> str:
    return f", started by {database.embedded.binaries}" if database.embedded else ""


async def _server(connection: Connection) -> list[tuple[bool, str]]:
    wrong = await server_findings(connection)
    fine = (True, "server: its settings keep acknowledged events")
    return [(False, finding) for finding in wrong] or [fine]


async def _built_in(connection: Connection) -> list[tuple[bool, str]]:
    return [
        (row.error is None, f"projection {row.name}: {counted(row.lag_events, 'event')} behind")
        for row in await projection_status(connection)
    ]


async def _user_defined(settings: Settings, connection: Connection) -> list[tuple[bool, str]]:
    try:
        projections = user_defined_projections(settings.projections).values()
    except ProjectionError as error:
        return [(False, str(error))]
    return [await _user_defined_one(connection, projection) for projection in projections]


async def _user_defined_one(
    connection: Connection, projection: UserDefinedProjection
) -> tuple[bool, str]:
    try:
        outdated = await check_version(connection, projection.readable())
    except ProjectionError as error:
        return False, str(error)
    state = "not installed yet: start the service, or colloquy migrate" if outdated else "as here"
    return not outdated, f"your projection {projection.name}: {state}"


async def _sealing(settings: Settings, connection: Connection) -> list[tuple[bool, str]]:
    from service.audit.sealing import key_finding, sealing_reports

    findings = [key_finding(settings)]
    for report in await sealing_reports(settings, connection):
        last = f"last checkpoint {report.sealed_at:%Y-%m-%d %H:%M:%S}" if report.sealed_at else ""
        parts = [f"{counted(report.head - report.sealed, 'event')} behind", last, report.files]
        summary = ", ".join(filter(None, parts))
        findings.append((report.sound, f"sealing of account {report.account_id}: {summary}"))
    return findings


async def _model(settings: Settings) -> tuple[bool, str]:
    name = make_model(settings)[1].reply
    if not uses_provider(settings):
        return True, f"model: {name} (no ANTHROPIC_API_KEY and no ANTHROPIC_BASE_URL)"
    try:
        host, port = _host_and_port(settings.anthropic_base_url or _ANTHROPIC)
    except ValueError as error:
        return False, f"model: {name}, but ANTHROPIC_BASE_URL is not a URL: {error}"
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except (OSError, TimeoutError) as error:
        return False, f"model: {name}, but {host}:{port} is not reachable: {error}"
    return True, f"model: {name}, {host}:{port} is reachable"


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("it has no host")
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
