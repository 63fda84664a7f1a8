"""`colloquy analytics dictionary`."""

import click
import msgspec

from eventstore.connections import Connection
from service.cli.session import with_connection


@click.command()
@click.option("--table", help="Only this one.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
    help="JSON: an object a line.",
)
def dictionary(table: str | None, form: str) -> None:
    """Show what the tables for analysts mean, column by column, as the database has it."""
    from projections.definitions import definitions
    from service.analytics.columnar.dictionary import Entry, in_markdown, read_dictionary

    async def read(connection: Connection) -> list[Entry]:
        return await read_dictionary(connection, definitions(), table)

    entries = with_connection(read)
    if form == "json":
        for entry in entries:
            click.echo(msgspec.json.encode(entry))
    else:
        click.echo(in_markdown(entries), nl=False)
