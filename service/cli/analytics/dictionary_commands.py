"""`colloquy analytics dictionary`."""

import click

from service.cli.context import owner, with_database
from service.cli.terminal import tell, tell_json
from service.process.database import Database
from service.settings import Settings


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
    from projections.user_defined import all_definitions
    from service.analytics.data_dictionary import Entry, in_markdown, read_dictionary

    async def read(settings: Settings, database: Database) -> list[Entry]:
        async with owner(database.url) as connection:
            return await read_dictionary(connection, all_definitions(settings.projections), table)

    entries = with_database(read)
    if form == "json":
        for entry in entries:
            tell_json(entry)
    else:
        for line in in_markdown(entries).removesuffix("\n").split("\n"):
            tell(line)
