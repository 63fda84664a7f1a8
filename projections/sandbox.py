"""Holds what users write to what it may do, when a generation of it is made."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from eventstore.connections import Connection
from eventstore.database_errors import is_passing
from projections.definitions import Definition
from projections.errors import ProjectionRefused
from sql.loader import query

_SHOWN = 5
_NO_STATEMENT = " is not yet supported in unquoted SQL function body"


async def refuse_faults(connection: Connection, made: Definition, generation: int) -> None:
    """Looks at all that a generation's definition has made.

    Args:
        connection: In the transaction that made it.

    Raises:
        ProjectionRefused: The message lists what is wrong.
    """
    which = made.name, generation
    days = list(made.days), list(made.days.values())
    for rows in (
        await connection.fetch(query("list_misplaced_objects"), *which),
        await connection.fetch(query("list_table_faults"), *which, *days),
        await connection.fetch(query("list_expression_faults"), *which),
    ):
        if rows:
            raise ProjectionRefused(f"{made.name}: {_together([row['fault'] for row in rows])}")


@asynccontextmanager
async def named_errors(made: Definition, files: Sequence[str] = ()) -> AsyncIterator[None]:
    """Makes the database's errors one line that names the projection, and the file if it can.

    Those of a projection of Colloquy's stay what they are.

    Args:
        files: The names of the statements' files.
    """
    if not made.confined:
        yield
        return
    try:
        yield
    except asyncpg.QueryCanceledError as error:
        raise ProjectionRefused(
            f"{made.name}: a statement took too long and was stopped"
        ) from error
    except asyncpg.PostgresError as error:
        if is_passing(error):
            raise
        place = _place(made, files, error)
        raise ProjectionRefused(f"{made.name}: {place}{error_line(error)}") from error


def _together(faults: Sequence[str]) -> str:
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return "; ".join(faults[:_SHOWN]) + more


def _place(made: Definition, files: Sequence[str], error: asyncpg.PostgresError) -> str:
    """The file, and line of it, where the database found fault with a text of ours."""
    ran = getattr(error, "internal_query", None)
    at = getattr(error, "internal_position", None)
    if not ran or not at:
        return ""
    names = files or [f"statement {n}" for n in range(1, len(made.statements) + 1)]
    for name, text in zip(("tables.sql", *names), (made.definition, *made.statements), strict=True):
        begins = ran.find(text)
        if 0 <= begins < int(at) <= begins + len(text):
            return f"{name}, line {ran.count(chr(10), begins, int(at) - 1) + 1}: "
    return ""


def error_line(error: asyncpg.PostgresError) -> str:
    """The database's words on one line, with ours where they do not help."""
    line = " ".join(str(error).partition("\n")[0].split())
    if line.endswith(_NO_STATEMENT):
        return (
            "statements may be INSERT, UPDATE, DELETE, MERGE and SELECT, "
            f"not {line.removesuffix(_NO_STATEMENT)}"
        )
    if isinstance(error, asyncpg.UniqueViolationError):
        return f"{line}: a row that is there already needs ON CONFLICT … DO UPDATE"
    return line
