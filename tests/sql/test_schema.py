"""`sql/schema` equals the schema of a migrated empty database."""

from eventstore.connections import connect
from sql.migrator import migrate
from tests.sql.schema import FOLDER, described


async def test_the_schema_files_are_current(empty_database_url: str) -> None:
    """After a migration: ``make schema``."""
    connection = await connect(empty_database_url)
    try:
        await migrate(connection)
        made = await described(connection)
        version = connection.get_server_version()
    finally:
        await connection.close()
    written = {
        str(path.relative_to(FOLDER)): path.read_text("utf-8") for path in FOLDER.rglob("*.sql")
    }
    assert written.keys() == made.keys()
    for name in [name for name in made if name.startswith("views/") and version.major < 16]:
        del written[name], made[name]  # it writes the table's name before each column
    assert written == made
