"""Updates user-defined projections in a database to the versions in their folder."""

from pathlib import Path

import structlog

from eventstore.connections import Connection
from projections.definitions import Definition
from projections.errors import NotInstalled, ProjectionError, ProjectionRefused
from projections.generations import exclusive_build
from projections.parallel_build import FAST, GENTLE, Pace, Progress, silent
from projections.rebuild import rebuild
from projections.trial_run import run_trial
from projections.user_defined import UserDefinedProjection, user_defined_projections
from projections.view_swap import LONG_SWAP_TIMEOUT, change_views, short_lock_wait
from sql.loader import query

log = structlog.get_logger("colloquy.projections")


async def install_user_defined(
    connection: Connection, url: str, folder: Path | None, progress: Progress = silent
) -> list[str]:
    """Checks and builds the projections that are missing or of an older version.

    A projection that is refused or fails is logged, and stays unchanged in the database.

    Args:
        connection: The owner's, holding the schema lock.

    Returns:
        The names of the projections that were built.

    Raises:
        ProjectionRefused: The folder itself cannot be read.
    """
    built = []
    for projection in user_defined_projections(folder).values():
        try:
            if await check_version(connection, projection.readable()):
                await build_user_defined(connection, url, projection, progress, FAST)
                built.append(projection.name)
        except (ProjectionError, TimeoutError) as error:
            log.error(
                "projection_refused", projection=projection.name, reason=str(error) or "timeout"
            )
    return built


async def build_user_defined(
    connection: Connection,
    url: str,
    projection: UserDefinedProjection,
    progress: Progress = silent,
    jobs: int = GENTLE,
) -> int:
    """Checks a projection, builds it from the log and makes it live.

    Returns:
        How many positions were read.

    Raises:
        ProjectionError: The live generation is unchanged. Changed files need a new version, by
            which exports notice that rows have changed without an event.
    """
    definition = projection.readable()
    await check_version(connection, definition)
    await run_trial(connection, definition, projection.files)
    return await rebuild(url, definition, progress, Pace(jobs))


async def check_version(connection: Connection, definition: Definition) -> bool:
    """Compares a definition with the installed one; whether the database lacks this version.

    Raises:
        ProjectionRefused: The database has a newer version, or this version with other files.
    """
    for row in await connection.fetch(query("list_generations")):
        if row["name"] != definition.name or row["state"] != "live":
            continue
        if row["version"] > definition.version:
            raise ProjectionRefused(
                f"{definition.name}: the database has v{row['version']}, which is newer than "
                f"v{definition.version}: raise version in its projection.toml"
            )
        if row["version"] == definition.version and row["digest"] != definition.digest:
            raise ProjectionRefused(
                f"{definition.name}: v{definition.version} was installed with other files, and "
                "still follows those: raise version in its projection.toml"
            )
        return bool(row["version"] < definition.version)
    return True


async def check_installed(connection: Connection, name: str) -> None:
    """Raises NotInstalled if no user-defined projection has this name."""
    rows = await connection.fetch(query("list_generations"))
    if not any(row["name"] == name and row["confined"] for row in rows):
        raise NotInstalled(f"the database has no projection {name} of your own")


async def drop_user_defined(connection: Connection, name: str) -> None:
    """Removes a user-defined projection with its tables and views.

    Raises:
        NotInstalled: No user-defined projection has this name.
        RebuildUnderWay, SwapTimedOut: The projection is unchanged.
    """
    await check_installed(connection, name)

    async def drop() -> None:
        async with short_lock_wait(connection):
            await connection.execute(query("drop_projection"), name)

    async with exclusive_build(connection, name):
        await change_views(
            connection, name, drop, LONG_SWAP_TIMEOUT, f"{name} could not be dropped"
        )
