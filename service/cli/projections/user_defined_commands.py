"""`colloquy projections new`, `check` and `drop`."""

import os

import click

from eventstore.connections import Connection
from eventstore.readable_numbers import counted
from projections.errors import ProjectionError
from projections.install_user_defined import check_installed, check_version, drop_user_defined
from projections.trial_run import TrialResult, run_trial
from projections.user_defined import (
    UserDefinedProjection,
    find_user_defined,
    user_defined_projections,
    write_template,
)
from service.cli.context import owner, with_connection, with_database
from service.cli.terminal import confirm, print_line, warn
from service.process.database import Database
from service.settings import Settings, read_settings


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Write a working example of a projection into COLLOQUY_PROJECTIONS."""
    for path in write_template(read_settings(os.environ).projections, name):
        print_line(path)


@click.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="All of COLLOQUY_PROJECTIONS.")
def check(name: str | None, everything: bool) -> None:
    """Try a user-defined projection on the log, and change nothing; exit code 1 if it is refused.

    Checks its files, that it only reads events and writes to its tables, and that its rows do not
    depend on the ranges into which the log is divided. Applies the first and the last thousand
    events of three accounts; a rebuild applies all. Warns of statements whose joins may become
    slow in large tables.
    """
    if (name is None) != everything:
        raise click.UsageError("give the name of a projection, or --all")

    async def work(settings: Settings, database: Database) -> bool:
        folder = settings.projections
        chosen = (
            user_defined_projections(folder).values()
            if everything
            else [find_user_defined(folder, str(name))]
        )
        sound = True
        async with owner(database.url) as connection:
            for projection in chosen:
                try:
                    await _check(connection, projection)
                except ProjectionError as error:
                    sound = False
                    warn(f"colloquy: {error}")
        return sound

    if not with_database(work):
        raise SystemExit(1)


async def _check(connection: Connection, projection: UserDefinedProjection) -> None:
    tried = await run_trial(connection, projection.readable(), projection.files)
    print_line(f"{projection.name}: {_summary(tried)}")
    _warn(projection)
    await check_version(connection, projection.readable())


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(name: str, yes: bool) -> None:
    """Remove a user-defined projection and its tables from the database; its files stay.

    Asks first; without a terminal it needs --yes.
    """

    async def work(connection: Connection) -> None:
        await check_installed(connection, name)
        if not yes:
            confirm(f"This deletes {name} with all rows of its tables. Go on?")
        await drop_user_defined(connection, name)

    with_connection(work)
    print_line(f"{name} is dropped")


def _warn(projection: UserDefinedProjection) -> None:
    """Warns of what makes a statement slow in large tables."""
    from projections.statement_forms import form_faults

    for file, statement in zip(projection.files, projection.readable().statements, strict=True):
        for fault in form_faults(statement):
            warn(f"{projection.name}: warning: {file}: {fault}")


def _summary(tried: TrialResult) -> str:
    if not tried.events:
        return "its statements work; the log is empty, so they were applied to no events"
    made = ", ".join(f"{number} of {table}" for table, number in tried.rows.items())
    none = "" if any(tried.rows.values()) else ": do its statements look for what is in the log?"
    return f"fine, tried on {tried.events} of {counted(tried.of, 'event')}; rows made: {made}{none}"
