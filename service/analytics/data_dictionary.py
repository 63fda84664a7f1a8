"""The data dictionary: the database's comments on analysts' tables and columns."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec

from eventstore.connections import Connection
from projections.definitions import Definition
from service.analytics.errors import UnknownTable
from service.analytics.table_files.tables import Column, Table, list_columns, list_tables

_HEAD = """# Data dictionary

What analysts read in the schema `analytics`: the database's own comments, as
`colloquy analytics dictionary` puts them together. `<table>_v<n>` keeps its columns for ever;
`<table>` is the newest of them.
"""


class Field(msgspec.Struct, frozen=True):
    """A column."""

    name: str
    type: str
    meaning: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A table.

    Attributes:
        interface: Version of its columns; None for a view that belongs to no projection.
        grain: What a row is.
        key: The columns of its primary key.
        day: The column by whose day (UTC) its files are split; None if they are not.
    """

    table: str
    interface: int | None
    grain: str
    key: list[str]
    day: str | None
    columns: list[Field]


async def read_dictionary(
    connection: Connection, definitions: Mapping[str, Definition], only: str | None = None
) -> list[Entry]:
    """The tables by name.

    Args:
        connection: A connection of the owner.
        only: The name of the only table to read; None for all.

    Raises:
        UnknownTable: There is no such table; the message lists the existing ones.
    """
    tables = {table.name: table for table in await list_tables(connection, definitions)}
    versioned = {f"{table.name}_v{table.interface}" for table in tables.values() if table.interface}
    columns = await list_columns(connection)
    entries = [
        _entry(list(some), tables.get(view))
        for view, some in groupby(columns, key=lambda column: column.view)
        if view not in versioned
    ]
    chosen = [entry for entry in entries if only in (None, entry.table)]
    if not chosen:
        known = ", ".join(entry.table for entry in entries)
        raise UnknownTable(f"there is no table {only}; there are {known}")
    return chosen


def in_markdown(entries: Sequence[Entry]) -> str:
    """The dictionary as Markdown."""
    return "\n".join([_HEAD, *("\n".join(_lines(entry)) for entry in entries)])


def _entry(columns: Sequence[Column], table: Table | None) -> Entry:
    keyed = sorted((column.key, column.name) for column in columns if column.key is not None)
    return Entry(
        table=columns[0].view,
        interface=(table.interface or None) if table else None,
        grain=columns[0].grain or "",
        key=[name for _, name in keyed],
        day=table.day if table else None,
        columns=[Field(column.name, column.type, column.meaning or "") for column in columns],
    )


def _lines(entry: Entry) -> list[str]:
    facts = []
    if entry.interface:
        facts.append(f"Columns: version {entry.interface}.")
    if entry.key:
        facts.append(f"Key: {', '.join(f'`{name}`' for name in entry.key)}.")
    if entry.day:
        facts.append(f"Files: by the day of `{entry.day}`.")
    rows = [
        f"| `{column.name}` | {column.type} | {_cell(column.meaning)} |" for column in entry.columns
    ]
    about = [" ".join(facts), ""] if facts else []
    return [
        *(f"## {entry.table}", "", " ".join(entry.grain.split()), "", *about),
        *("| column | type | meaning |", "|---|---|---|", *rows, ""),
    ]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
