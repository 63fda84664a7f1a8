"""Checks what a generation of a user-defined projection creates, and words its errors."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from eventstore.connections import Connection
from eventstore.database_errors import is_passing
from projections.definitions import Definition
from projections.errors import ProjectionRefused
from sql.loader import query

_MAX_LISTED = 5
_UNSUPPORTED = " is not yet supported in unquoted SQL function body"


async def refuse_faults(connection: Connection, definition: Definition, generation: int) -> None:
    """Checks all objects that a generation's definition has created.

    Args:
        connection: In the transaction that created them.

    Raises:
        ProjectionRefused: The message lists what is wrong.
    """
    name, days = definition.name, definition.days
    for rows in (
        await connection.fetch(query("list_misplaced_objects"), name, generation),
        await connection.fetch(
            query("list_table_faults"), name, generation, list(days), list(days.values())
        ),
        await connection.fetch(query("list_expression_faults"), name, generation),
    ):
        if rows:
            raise ProjectionRefused(f"{name}: {_summary([row['fault'] for row in rows])}")


@asynccontextmanager
async def named_errors(definition: Definition, files: Sequence[str] = ()) -> AsyncIterator[None]:
    """Turns the database's errors into refusals that name the projection, and the file if known.

    Errors of Colloquy's own projections are unchanged.

    Args:
        files: The names of the statements' files.

    Raises:
        ProjectionRefused: A statement failed; the message has one line.
    """
    if not definition.confined:
        yield
        return
    try:
        yield
    except asyncpg.QueryCanceledError as error:
        raise ProjectionRefused(
            f"{definition.name}: a statement took too long and was stopped"
        ) from error
    except asyncpg.PostgresError as error:
        if is_passing(error):
            raise
        location = _location(definition, files, error)
        raise ProjectionRefused(f"{definition.name}: {location}{error_line(error)}") from error


def _summary(faults: Sequence[str]) -> str:
    more = f"; and {len(faults) - _MAX_LISTED} more" if len(faults) > _MAX_LISTED else ""
    return "; ".join(faults[:_MAX_LISTED]) + more


def _location(definition: Definition, files: Sequence[str], error: asyncpg.PostgresError) -> str:
    """The file and line of an error, or "" if the database does not give a position."""
    executed = getattr(error, "internal_query", None)
    offset = int(getattr(error, "internal_position", None) or 0)
    if not executed or not offset:
        return ""
    names = files or [f"statement {n}" for n in range(1, len(definition.statements) + 1)]
    texts = (definition.definition, *definition.statements)
    for name, text in zip(("tables.sql", *names), texts, strict=True):
        start = executed.find(text)
        if 0 <= start < offset <= start + len(text):
            return f"{name}, line {executed.count(chr(10), start, offset - 1) + 1}: "
    return ""


def error_line(error: asyncpg.PostgresError) -> str:
    """The database's message as one line, with advice for two common errors."""
    line = " ".join(str(error).partition("\n")[0].split())
    if line.endswith(_UNSUPPORTED):
        return (
            "statements may be INSERT, UPDATE, DELETE, MERGE and SELECT, "
            f"not {line.removesuffix(_UNSUPPORTED)}"
        )
    if isinstance(error, asyncpg.UniqueViolationError):
        return f"{line}: a row that exists already needs ON CONFLICT … DO UPDATE"
    return line
