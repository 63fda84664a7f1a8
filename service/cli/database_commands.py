"""`colloquy migrate` and `colloquy db`."""

import os
import subprocess

import click
import structlog

from eventstore.connection_urls import split_password
from service.cli.context import owner
from service.cli.progress import progress_bar
from service.cli.terminal import print_line
from service.embedded_postgres.errors import BinariesMissing
from service.errors import SettingsError
from service.identity.issuers import trust_finding
from service.process.database import Database, open_database, prepare
from service.process.event_loop import run
from service.process.logging import configure_logging
from service.process.server_checks import process_findings
from service.settings import Settings, read_settings

log = structlog.get_logger("colloquy")


@click.command()
def migrate() -> None:
    """Bring the schema and the projections up to date.

    `colloquy serve` does this too; run it alone to choose the time. Only these two commands
    create the embedded database if COLLOQUY_HOME has none.
    """
    configure_logging()
    settings = read_settings(os.environ)
    with open_database(settings, make=True) as database:
        done = run(_migrate(settings, database))
    for name in done:
        print_line(name)
    if not done:
        print_line("up to date")


async def _migrate(settings: Settings, database: Database) -> list[str]:
    """Returns what was done; logs the problems that the service's start would report."""
    done = await prepare(database.url, progress_bar("building views"), settings.projections)
    async with owner(database.url) as connection:
        for finding in await process_findings(connection):
            log.error("database_unsafe", finding=finding)
        if settings.jwt and (wrong := await trust_finding(settings.jwt, connection)):
            log.error("settings_wrong", finding=wrong)
    return done


@click.group()
def db() -> None:
    """Connect to the database as its owner."""


@db.command()
def url() -> None:
    """Print the owner's connection URL.

    The embedded server runs while something uses it, such as `colloquy serve`, and accepts only
    its system user and root.
    """
    with open_database(read_settings(os.environ)) as database:
        print_line(database.url)


@db.command(context_settings={"ignore_unknown_options": True})
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def psql(args: tuple[str, ...]) -> None:
    """Run psql on the database with ARGS, for example -c 'SELECT …'."""
    settings = read_settings(os.environ)
    with open_database(settings) as database:
        environment = dict(os.environ)
        if database.embedded:
            environment = {k: v for k, v in environment.items() if not k.startswith("PG")}
        if "sslpassword=" in database.url:
            raise SettingsError(
                "DATABASE_URL has a sslpassword, which psql takes only on its command line, where "
                "every user can read it: use a key without a passphrase"
            )
        address, password = split_password(database.url)
        if password:  # every user can read a command line
            environment["PGPASSWORD"] = password
        done = subprocess.run([_psql(database), address, *args], env=environment, check=False)
    raise SystemExit(done.returncode)


def _psql(database: Database) -> str:
    """The embedded server's psql, else the one on the path, else another installation's."""
    if database.embedded:
        return str(database.embedded.binaries / "psql")
    from service.embedded_postgres.binaries import program_on_path, usable_binaries

    refused: list[str] = []
    if program := program_on_path("psql", refused):
        return program
    try:
        return str(usable_binaries() / "psql")
    except BinariesMissing as error:
        reason = f" ({refused[0]})" if refused else ""
        raise SettingsError(f"there is no psql on the path{reason}") from error
