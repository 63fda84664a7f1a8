"""Updates the projections in a database to the versions of this program."""

from eventstore.connections import Connection
from projections.definitions import Definition, definitions
from projections.parallel_build import FAST, Progress, silent
from projections.rebuild import rebuild_all
from sql.errors import SchemaBehind, SchemaDiffers, SchemaTooNew
from sql.loader import query


async def install(connection: Connection, url: str, progress: Progress = silent) -> list[str]:
    """Builds the projections that are missing or of an older version.

    Args:
        connection: The owner's, holding the schema lock.
        progress: Called with the positions of all that are built.

    Returns:
        The names of the projections that were built.

    Raises:
        SchemaTooNew, SchemaDiffers: The database belongs to a newer or a different program.
    """
    outdated = await _outdated(connection)
    return [name async for name, _ in rebuild_all(url, outdated, progress, FAST)]


async def check_projections(connection: Connection) -> None:
    """Raises a `DatabaseUnfit` unless the live projections are exactly this program's."""
    if outdated := await _outdated(connection):
        raise SchemaBehind(
            f"the database lacks projection {outdated[0].name} v{outdated[0].version}: "
            "run `colloquy migrate`"
        )


async def _outdated(connection: Connection) -> list[Definition]:
    live = {
        row["name"]: row
        for row in await connection.fetch(query("list_generations"))
        if row["state"] == "live"
    }
    outdated = []
    for definition in definitions().values():
        row = live.get(definition.name)
        if row is None or row["version"] < definition.version:
            outdated.append(definition)
        elif row["version"] > definition.version:
            raise SchemaTooNew(
                f"projection {definition.name} is at v{row['version']} in the database, which "
                "this version of Colloquy does not know: it was used by a newer version"
            )
        elif row["digest"] != definition.digest:
            raise SchemaDiffers(
                f"projection {definition.name} v{definition.version} was installed with other "
                "statements: a change needs a new version in its projection.toml"
            )
    return outdated
