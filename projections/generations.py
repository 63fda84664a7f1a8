"""Creates, advances and drops generations of projections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from eventstore.connections import Connection, connect
from eventstore.database_errors import DATABASE_ERRORS
from projections.definitions import Definition
from projections.errors import RebuildUnderWay
from projections.parallel_build import SETTINGS
from projections.sandbox import named_errors, refuse_faults
from sql.loader import query


@asynccontextmanager
async def building(url: str, definition: Definition) -> AsyncIterator[Connection]:
    """A connection to build one generation over; a generation that is not live is dropped.

    Raises:
        RebuildUnderWay: Another process builds this projection.
        ProjectionRefused: A user-defined projection failed; the message says why.
    """
    connection = await connect(url, settings=SETTINGS)
    try:
        async with named_errors(definition), exclusive_build(connection, definition.name):
            yield connection
    finally:
        broken = connection.is_closed()
        await connection.close()
        if broken:
            await _clear(url, definition.name)


@asynccontextmanager
async def exclusive_build(connection: Connection, name: str) -> AsyncIterator[None]:
    """Excludes other builds of this projection; drops generations that are not live at the end.

    Unfinished generations of killed processes are dropped at the beginning.

    Raises:
        RebuildUnderWay: Another process builds it.
    """
    if not await connection.fetchval(query("lock_rebuild"), name):
        raise RebuildUnderWay(f"projection {name} is being built or checked by another process")
    try:
        await _drop_unfinished(connection, name)
        yield
    finally:
        if not connection.is_closed():
            await _drop_unfinished(connection, name)
            await connection.execute(query("unlock_rebuild"), name)


async def _clear(url: str, name: str) -> None:
    """Drops the generation of a rebuild whose connection broke, unless another rebuild runs."""
    with suppress(*DATABASE_ERRORS):
        connection = await connect(url)
        try:
            with suppress(RebuildUnderWay):
                async with exclusive_build(connection, name):
                    pass
        finally:
            await connection.close()


async def _drop_unfinished(connection: Connection, name: str) -> None:
    """Drops unfinished generations of this rebuild and of killed ones.

    The database lists them, since a rebuild that is cancelled in a commit does not know its
    outcome.
    """
    for row in await connection.fetch(query("list_generations")):
        if row["name"] == name and row["state"] == "building":
            await connection.execute(query("drop_generation"), name, row["generation"])


async def create(connection: Connection, definition: Definition) -> int:
    """Commits the tables and statements of a new generation; returns its number."""
    async with connection.transaction():
        generation = await create_generation(connection, definition)
        if definition.confined:
            await refuse_faults(connection, definition, generation)
    return generation


async def create_generation(connection: Connection, definition: Definition) -> int:
    """As `create`, in the caller's transaction and unchecked."""
    generation = await connection.fetchval(
        query("create_generation"),
        definition.name,
        definition.version,
        definition.digest,
        definition.mode,
        definition.description,
        definition.tables,
        definition.consumes,
        definition.readers,
        definition.definition,
        definition.statements,
        definition.schema,
        definition.interface,
        definition.confined,
    )
    return int(generation)


async def advance(
    connection: Connection, name: str, generation: int, account_id: int, step: int
) -> tuple[int, int]:
    """Applies the next range of a generation that is being built.

    Args:
        step: Positions of the range at most.

    Returns:
        The generation's position and the log's head.
    """
    row = await connection.fetchrow(
        query("advance_projection"), name, generation, account_id, step, timeout=600
    )
    assert row is not None, "only one process advances a generation under construction"
    return row["reached"], row["head"]
