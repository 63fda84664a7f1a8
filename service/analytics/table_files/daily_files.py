"""Writes rows that are ordered by day, a file for each day."""

from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path

from service.analytics.table_files.export_folder import writing
from service.analytics.table_files.row_writers import RowWriter
from service.analytics.table_files.tables import Rows


class DailyFileWriter:
    """Writes one file after the other, each with the rows of a day.

    Args:
        draft: The path at which each file is written.
        begin: Opens the draft.
        put: Called with the day and the number of rows of a finished draft.
    """

    def __init__(
        self, draft: Path, begin: Callable[[], RowWriter], put: Callable[[date | None, int], None]
    ) -> None:
        self._draft = draft
        self._begin = begin
        self._put = put
        self._writer: RowWriter | None = None
        self._day: date | None = None
        self.rows = 0

    def add(self, day: date | None, rows: Rows) -> None:
        """Adds rows of a day; the first rows of another day finish the file before."""
        if self._writer is not None and day != self._day:
            self.finish()
        with writing(self._draft):
            if self._writer is None:
                self._writer, self._day = self._begin(), day
            self._writer.add(rows)
        self.rows += len(rows)

    def finish(self) -> None:
        """Finishes the file and puts it in place."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with writing(self._draft):
                writer.close()
            rows, self.rows = self.rows, 0
            self._put(self._day, rows)

    def abandon(self) -> None:
        """Closes an unfinished file."""
        if self._writer is not None:
            with suppress(OSError):
                self._writer.close()
