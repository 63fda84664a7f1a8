"""Writes Parquet and CSV. Only this module imports pyarrow, so it is imported on demand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow
from pyarrow.csv import CSVWriter
from pyarrow.parquet import ParquetWriter

from service.analytics.table_files.tables import Column, Rows

_TYPES = {
    "bigint": pyarrow.int64(),
    "integer": pyarrow.int64(),
    "smallint": pyarrow.int64(),
    "boolean": pyarrow.bool_(),
    "double precision": pyarrow.float64(),
    "real": pyarrow.float64(),
    "date": pyarrow.date32(),
    "timestamp with time zone": pyarrow.timestamp("us", tz="UTC"),
    "timestamp without time zone": pyarrow.timestamp("us"),
}


class ParquetRowWriter:
    """Writes Parquet; the columns' comments are metadata of its fields.

    Args:
        path: A new file.
        facts: Metadata of the file.
    """

    def __init__(self, path: Path, columns: Sequence[Column], facts: Mapping[str, str]) -> None:
        self._schema = _schema(columns).with_metadata(dict(facts))
        self._writer = ParquetWriter(path, self._schema, compression="zstd")

    def add(self, rows: Rows) -> None:
        """Adds rows as a row group. Their first value, the day, is not written."""
        self._writer.write_batch(_batch(self._schema, rows))

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()


class CsvRowWriter:
    """Writes CSV with a line of names. Text is quoted, and null is empty.

    Args:
        path: A new file.
    """

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._schema = _schema(columns)
        self._writer = CSVWriter(path, self._schema)

    def add(self, rows: Rows) -> None:
        """Adds rows. Their first value, the day, is not written."""
        self._writer.write_batch(_batch(self._schema, rows))

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()


def _schema(columns: Sequence[Column]) -> pyarrow.Schema:
    return pyarrow.schema(
        [
            pyarrow.field(
                column.name,
                _TYPES.get(column.type, pyarrow.string()),
                metadata={"comment": column.meaning or ""},
            )
            for column in columns
        ]
    )


def _batch(schema: pyarrow.Schema, rows: Rows) -> pyarrow.RecordBatch:
    arrays = [
        pyarrow.array([row[place] for row in rows], type=field.type)
        for place, field in enumerate(schema, 1)
    ]
    return pyarrow.RecordBatch.from_arrays(arrays, schema=schema)
