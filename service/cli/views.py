"""`colloquy projections`."""

import time

import click
import msgspec

from eventstore.connections import Connection
from projections.definitions import definition, definitions
from projections.rebuild import rebuild_all
from projections.status import ProjectionStatus, projection_status
from service.cli.progress import progress_bar
from service.cli.session import with_connection, with_database
from service.database import Database
from service.settings import Settings


@click.group()
def projections() -> None:
    """The read views: how fresh they are, and making them anew."""


@projections.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def status(as_json: bool) -> None:
    """Show how far each projection is, and the last error of one that is stopped."""

    async def read(connection: Connection) -> list[ProjectionStatus]:
        return await projection_status(connection)

    for row in with_connection(read):
        click.echo(msgspec.json.encode(row) if as_json else _for_people(row))


@projections.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="All of them.")
def rebuild(name: str | None, everything: bool) -> None:
    """Build a projection anew from the log and swap it in, while the service runs."""
    if (name is None) != everything:
        raise click.UsageError("give the name of a projection, or --all")
    chosen = list(definitions().values()) if name is None else [definition(name)]

    async def build(_settings: Settings, database: Database) -> None:
        began = time.monotonic()
        bar = progress_bar("rebuilding")
        async for done, events in rebuild_all(database.url, chosen, bar):
            click.echo(f"{done}: {events} events, ready after {time.monotonic() - began:.1f} s")

    with_database(build)


def _for_people(row: ProjectionStatus) -> str:
    lag = f"{row.lag_events} events, {row.lag_seconds:.1f} s behind" if row.lag_events else "fresh"
    error = f"  stopped: {row.error}" if row.error else ""
    return (
        f"{row.name:<22} v{row.version}  {row.mode:<8}  {row.state:<8}  "
        f"account {row.account_id}  {row.position}/{row.head}  {lag}{error}"
    )
