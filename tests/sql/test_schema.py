"""`sql/schema` is what all migrations together make of an empty database."""

from eventstore.connections import connect
from sql.migrator import migrate
from tests.sql.schema import FOLDER, described


async def test_the_schema_stands_in_its_files(empty_database_url: str) -> None:
    """After a migration: ``make schema``."""
    connection = await connect(empty_database_url)
    try:
        await migrate(connection)
        made = await described(connection)
    finally:
        await connection.close()
    written = {
        str(path.relative_to(FOLDER)): path.read_text("utf-8") for path in FOLDER.rglob("*.sql")
    }
    assert written.keys() == made.keys()
    assert written == made
