"""Writers of rows in the formats of files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from service.analytics.table_files.manifest import Format
from service.analytics.table_files.tables import Column, Rows


class RowWriter(Protocol):
    """Writes a file."""

    def add(self, rows: Rows) -> None:
        """Adds rows. Their first value, the day, is not written."""

    def close(self) -> None:
        """Ends the file."""


class NdjsonRowWriter:
    """Writes a JSON object a line. Times are ISO 8601 in UTC.

    Args:
        path: A new file.
    """

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._file = path.open("wb")
        self._encoder = msgspec.json.Encoder()

    def add(self, rows: Rows) -> None:
        """Adds rows. Their first value, the day, is not written."""
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
    """Opens a new file; a file that an earlier export left there is removed.

    Args:
        facts: Metadata of the file, which only Parquet stores.
    """
    path.unlink(missing_ok=True)
    if format_ == "ndjson":
        return NdjsonRowWriter(path, columns)
    from service.analytics.table_files.parquet import CsvRowWriter, ParquetRowWriter

    if format_ == "csv":
        return CsvRowWriter(path, columns)
    return ParquetRowWriter(path, columns, facts)
