"""`docs/dictionary.md`, from the comments in an empty migrated database."""

from pathlib import Path
from tempfile import TemporaryDirectory

from eventstore.connections import connect
from projections.definitions import definitions
from service.analytics.data_dictionary import in_markdown, read_dictionary
from service.embedded_postgres import EmbeddedPostgres
from service.process.database import prepare


async def dictionary_page() -> str:
    """The page; starts a PostgreSQL for it."""
    with TemporaryDirectory() as home, EmbeddedPostgres(Path(home)) as url:
        await prepare(url)
        connection = await connect(url)
        try:
            return in_markdown(await read_dictionary(connection, definitions()))
        finally:
            await connection.close()
