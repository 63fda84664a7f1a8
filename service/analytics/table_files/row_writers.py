"""The formats of a file, as what takes rows and ends as one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from service.analytics.table_files.manifest import Format
from service.analytics.table_files.tables import Column, Rows


class RowWriter(Protocol):
    """A file that is being written."""

    def add(self, rows: Rows) -> None:
        """Adds rows; their first value is the day and not written."""

    def close(self) -> None:
        """Ends the file."""


class NdjsonRowWriter:
    """A JSON object a line. Times are ISO 8601 in UTC.

    Args:
        path: A new file.
    """

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._file = path.open("wb")
        self._encoder = msgspec.json.Encoder()

    def add(self, rows: Rows) -> None:
        """Adds rows; their first value is the day and not written."""
        names = self._names
        self._file.write(
            self._encoder.encode_lines(
                [dict(zip(names, tuple(row)[1:], strict=True)) for row in rows]
            )
        )

    def close(self) -> None:
        """Ends the file."""
        self._file.close()


def open_row_writer(
    format_: Format, path: Path, columns: Sequence[Column], facts: Mapping[str, str]
) -> RowWriter:
    """A new file, in the place of one that an interrupted export, or another, has left.

    Args:
        facts: What the file says of itself, where its format can.
    """
    path.unlink(missing_ok=True)
    if format_ == "ndjson":
        return NdjsonRowWriter(path, columns)
    from service.analytics.table_files.parquet import CsvRowWriter, ParquetRowWriter

    if format_ == "csv":
        return CsvRowWriter(path, columns)
    return ParquetRowWriter(path, columns, facts)
