"""`colloquy analytics dictionary`."""

import click

from service.cli.context import owner, with_database
from service.cli.terminal import print_json, print_line
from service.process.database import Database
from service.settings import Settings


@click.command()
@click.option("--table", help="Only this table.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
    help="JSON: an object a line.",
)
def dictionary(table: str | None, form: str) -> None:
    """Describe the tables for analysts and their columns, as the database has them."""
    from projections.user_defined import all_definitions
    from service.analytics.data_dictionary import Entry, in_markdown, read_dictionary

    async def read(settings: Settings, database: Database) -> list[Entry]:
        async with owner(database.url) as connection:
            return await read_dictionary(connection, all_definitions(settings.projections), table)

    entries = with_database(read)
    if form == "json":
        for entry in entries:
            print_json(entry)
    else:
        for line in in_markdown(entries).removesuffix("\n").split("\n"):
            print_line(line)
