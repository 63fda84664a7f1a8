"""`colloquy projections rebuild`, `pause`, `resume` and `diff`."""

import time

import click

from eventstore.connections import Connection
from eventstore.readable_numbers import counted
from projections.compare import Comparison, compare
from projections.definitions import Definition, definition, definitions
from projections.install_user_defined import build_user_defined
from projections.parallel_build import GENTLE
from projections.pause import pause_projection, resume_projection
from projections.rebuild import rebuild_all
from projections.user_defined import user_defined_projections
from service.cli.context import owner, with_connection, with_database, with_migrated
from service.cli.progress import progress_bar
from service.cli.terminal import print_line
from service.process.database import Database
from service.settings import Settings


@click.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="All, including user-defined ones.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 16),
    default=GENTLE,
    show_default=True,
    help="Ranges of the log to read in parallel: each keeps a processor of the database busy.",
)
def rebuild(name: str | None, everything: bool, jobs: int) -> None:
    """Rebuild a projection from the log and swap it in, while the service runs."""
    if (name is None) != everything:
        raise click.UsageError("give the name of a projection, or --all")

    async def build(settings: Settings, database: Database) -> None:
        user_defined = user_defined_projections(settings.projections)
        known = definitions()
        if everything:
            built_in, chosen = list(known.values()), list(user_defined.values())
        elif name in user_defined:
            built_in, chosen = [], [user_defined[name]]
        else:
            built_in, chosen = [definition(str(name))], []
        began = time.monotonic()
        bar = progress_bar("rebuilding")
        async for done, events in rebuild_all(database.url, built_in, bar, jobs):
            print_line(_ready(done, events, began))
        async with owner(database.url) as connection:
            for projection in chosen:
                events = await build_user_defined(connection, database.url, projection, bar, jobs)
                print_line(_ready(projection.name, events, began))

    with_database(build)


@click.command()
@click.argument("name")
def pause(name: str) -> None:
    """Stop advancing a followed projection until it is resumed; the current step ends first."""

    async def work(connection: Connection) -> bool:
        return await pause_projection(connection, name)

    print_line(f"{name} is {'paused' if with_connection(work) else 'paused already'}")


@click.command()
@click.argument("name")
def resume(name: str) -> None:
    """Advance a paused projection again; one that stopped at an event retries it at once."""

    async def work(connection: Connection) -> bool:
        return await resume_projection(connection, name)

    print_line(f"{name} {'goes on' if with_connection(work) else 'was not paused, and goes on'}")


@click.command()
@click.argument("name")
def diff(name: str) -> None:
    """Compare a live projection with the one that this release would build.

    Builds this release's version beside the live one and drops it again. Exit code 1 if they
    differ. The live one may be of an older version.
    """

    async def work(settings: Settings, database: Database) -> Comparison:
        return await compare(database.url, _chosen(settings, name), progress_bar("building"))

    comparison = with_migrated(work)
    for line in comparison.lines():
        print_line(line)
    if not comparison.equal:
        raise SystemExit(1)


def _chosen(settings: Settings, name: str) -> Definition:
    user_defined = user_defined_projections(settings.projections)
    return user_defined[name].readable() if name in user_defined else definition(name)


def _ready(name: str, events: int, began: float) -> str:
    return f"{name}: {counted(events, 'event')}, ready after {time.monotonic() - began:.1f} s"
