"""DuckDB, Polars and pandas read the same rows from the files as SQL from the views."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pandas
import polars
import pyarrow.parquet
import pytest

from eventstore.connections import Connection
from service.analytics.table_files.tables import list_columns
from tests.projections.viewing import Rows
from tests.service.analytics.table_files.exports import FORMATS, TABLES

pytestmark = pytest.mark.asyncio(loop_scope="module")

Reader = Callable[[Path, str, list[str]], list[Any]]
DUCKDB_READERS = {
    "parquet": "read_parquet",
    "csv": "read_csv",
    "ndjson": "read_json",
}


def with_duckdb(folder: Path, table: str, names: list[str]) -> list[Any]:
    reader = DUCKDB_READERS[folder.name]
    result = duckdb.connect().sql(
        f"SELECT {', '.join(names)} FROM {reader}('{folder}/{table}/*/*/*.{folder.name}')"
    )
    return result.fetchall()


def with_polars(folder: Path, table: str, names: list[str]) -> list[Any]:
    if folder.name == "parquet":
        frame = polars.read_parquet(folder / table)
    elif folder.name == "csv":  # it takes the types of the first file for those of all
        frame = polars.read_csv(f"{folder}/{table}/**/*.csv", infer_schema=False)
    else:
        files = sorted(folder.glob(f"{table}/*/*/*.ndjson"))
        frames = [polars.read_ndjson(path, infer_schema_length=None) for path in files]
        frame = polars.concat(frames, how="vertical_relaxed")
    return frame.select(names).rows()


def with_pandas(folder: Path, table: str, names: list[str]) -> list[Any]:
    if folder.name == "parquet":
        frame = pandas.read_parquet(folder / table, dtype_backend="pyarrow")
    else:
        frame = pandas.concat(
            pandas.read_csv(path, dtype_backend="pyarrow")
            if folder.name == "csv"
            else pandas.read_json(path, lines=True, dtype_backend="pyarrow", precise_float=True)
            for path in folder.glob(f"{table}/*/*/*.{folder.name}")
        )
    return list(frame[names].itertuples(index=False, name=None))


READERS: dict[str, Reader] = {"duckdb": with_duckdb, "polars": with_polars, "pandas": with_pandas}


def plain(value: Any, like: Any) -> Any:
    """A value of a file, converted to the type that the database returns."""
    if value is None or value is pandas.NA or value is pandas.NaT:
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(like, datetime):
        result = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(result, pandas.Timestamp):
            result = result.to_pydatetime()
        return (result if result.tzinfo else result.replace(tzinfo=UTC)).astimezone(UTC)
    if type(like) is date:
        if isinstance(value, str):
            return date.fromisoformat(value)
        return value.date() if isinstance(value, datetime) else value
    if isinstance(like, bool) and isinstance(value, str):
        return value == "true"
    if isinstance(like, UUID):
        return UUID(str(value))
    return type(like)(value) if isinstance(like, (int, float)) else value


async def rows_of(analyst: Connection, table: str) -> tuple[list[str], Rows, list[int]]:
    """A view's columns, its rows, and the places of its key's columns."""
    columns = await list_columns(analyst, table)
    rows = [tuple(row) for row in await analyst.fetch(f"SELECT * FROM analytics.{table}")]
    key = [place for place, column in enumerate(columns) if column.key]
    return [column.name for column in columns], rows, key


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("reader", READERS)
async def test_a_reader_returns_the_rows_of_sql(
    analyst: Connection, exports: Path, table: str, format_: str, reader: str
) -> None:
    names, expected, key = await rows_of(analyst, table)
    assert expected, "a table without rows proves nothing"
    likes = [
        next((row[n] for row in expected if row[n] is not None), None) for n in range(len(names))
    ]
    result = [
        tuple(plain(value, like) for value, like in zip(row, likes, strict=True))
        for row in READERS[reader](exports / format_, table, names)
    ]

    def by_key(row: tuple[Any, ...]) -> list[str]:
        return [str(row[place]) for place in key]

    assert sorted(result, key=by_key) == sorted(expected, key=by_key)


@pytest.mark.parametrize("table", TABLES)
async def test_a_parquet_file_has_exact_types_and_its_columns_comments(
    analyst: Connection, exports: Path, table: str
) -> None:
    columns = {column.name: column for column in await list_columns(analyst, table)}
    for path in (exports / "parquet" / table).rglob("*.parquet"):
        schema = pyarrow.parquet.read_schema(path)
        assert schema.names == list(columns)
        for field in schema:
            column = columns[field.name]
            assert str(field.type) == TYPES[column.type]
            assert field.metadata[b"comment"].decode() == column.meaning
        facts = schema.metadata
        account = str(path.relative_to(exports / "parquet").parts[1])
        head = await analyst.fetchval(
            "SELECT head FROM analytics.freshness WHERE 'account=' || account_id = $1 LIMIT 1",
            account,
        )
        assert (facts[b"table"], facts[b"interface"]) == (table.encode(), b"1")
        assert facts[b"position"] == str(head).encode()


TYPES = {
    "bigint": "int64",
    "text": "string",
    "uuid": "string",
    "boolean": "bool",
    "date": "date32[day]",
    "double precision": "double",
    "timestamp with time zone": "timestamp[us, tz=UTC]",
}


@pytest.mark.parametrize("table", TABLES)
async def test_readers_recognise_folders_as_accounts_and_days(
    analyst: Connection, exports: Path, table: str
) -> None:
    """Only the rows of the last folder are read if a query names it."""
    result = duckdb.connect().sql(
        f"SELECT account, account_id, date::text, count(*) "
        f"FROM read_parquet('{exports}/parquet/{table}/*/*/*.parquet', hive_partitioning = true) "
        "GROUP BY ALL ORDER BY ALL"
    )
    days = result.fetchall()
    assert {account for account, *_ in days} == {1, 2}
    assert all(account == account_id for account, account_id, *_ in days)
    column = (await list_days())[table]
    expected = await analyst.fetch(
        f"SELECT account_id, account_id, ({column} AT TIME ZONE 'UTC')::date::text, count(*) "
        f"FROM analytics.{table} GROUP BY 1, 3 ORDER BY 1, 3"
    )
    assert days == [tuple(row) for row in expected]


async def list_days() -> dict[str, str]:
    """The column by whose day each table is split."""
    from projections.definitions import definitions

    return {table: day for known in definitions().values() for table, day in known.days.items()}
