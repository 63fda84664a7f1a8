"""The tables that analysts may export."""

from collections.abc import Mapping, Sequence

import asyncpg
import msgspec

from eventstore.connections import Connection
from projections.definitions import Definition
from service.analytics.errors import UnknownTable
from sql.loader import query

Rows = Sequence[asyncpg.Record]

EXACT = (
    *("bigint", "integer", "smallint", "boolean", "double precision", "real"),
    *("date", "timestamp with time zone", "timestamp without time zone"),
)
"""Types that files have, too. Values of other types are text, as PostgreSQL writes them."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of a projection for analysts.

    Attributes:
        version: Version of the projection's tables and statements.
        interface: Version of the table's columns.
        day: The column by whose day (UTC) its files are split; None if they are not.
        lock: The statement that locks the table against replacement.
    """

    name: str
    projection: str
    version: int
    interface: int
    lock: str
    day: str | None = None


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a view.

    Attributes:
        type: The type's name in PostgreSQL.
        meaning: Its comment.
        grain: The view's comment: what a row is.
        key: Its place in the primary key, from 1 on; None if it is not in the key.
    """

    view: str
    name: str
    type: str
    meaning: str | None
    grain: str | None
    key: int | None


async def list_tables(connection: Connection, definitions: Mapping[str, Definition]) -> list[Table]:
    """All tables for analysts that the database has, by name.

    Args:
        connection: A connection of the owner.
        definitions: Have the column by which a table's files are split.
    """
    rows = await connection.fetch(query("list_analytics_tables"))
    return [Table(**row, day=_day(definitions.get(row["projection"]), row["name"])) for row in rows]


def choose(tables: Sequence[Table], name: str | None) -> list[Table]:
    """The table with a name, or all tables.

    Raises:
        UnknownTable: There is no such table; the message lists the existing ones.
    """
    chosen = [table for table in tables if name in (None, table.name)]
    if not chosen:
        known = ", ".join(table.name for table in tables)
        raise UnknownTable(f"there is no table {name}; there are {known}")
    return chosen


async def list_columns(connection: Connection, view: str | None = None) -> list[Column]:
    """The columns of a view for analysts, or of all of them, in order."""
    rows = await connection.fetch(query("list_analytics_columns"), view)
    return [Column(**row) for row in rows]


def _day(definition: Definition | None, table: str) -> str | None:
    return None if definition is None else definition.days.get(table)
