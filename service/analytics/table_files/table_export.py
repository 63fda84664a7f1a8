"""Exports one table of one account: the days whose files differ from the table."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
from operator import itemgetter

import msgspec

from projections.parallel_build import Progress
from service.analytics.table_files.daily_files import DailyFileWriter
from service.analytics.table_files.export_folder import ExportFolder, path_of, writing
from service.analytics.table_files.manifest import CutLine, FileLine, Format
from service.analytics.table_files.row_writers import RowWriter, open_row_writer
from service.analytics.table_files.snapshot import DaySummary, Snapshot
from service.analytics.table_files.tables import Column, Table

_NO_ROWS = DaySummary(None, 0, 0)
"""Stands for a table without rows, which gets one file with its columns."""


class TableExportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to write.

    Attributes:
        since: Write only days from this one on, or days with a change above this position.
        full: Write all of these, even if the files equal the table.
        check: Read the files, to check whether they are unchanged.
    """

    format: Format
    since: date | int | None = None
    full: bool = False
    check: bool = False


class TableExportResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of exporting one table of one account.

    Attributes:
        files, rows: Numbers of files and rows written.
        unchanged: Number of files that were not written.
        removed: Number of files removed because their days have no rows any more.
        position: Position of the last event that is in the files.
        head: Position of the log's last event at that time.
    """

    table: str
    account: int
    files: int
    rows: int
    unchanged: int
    removed: int
    position: int
    head: int


class TableExport:
    """Exports one table of one account.

    Args:
        progress: Called with the number of rows written and to write.
        log: Id of the first event of the account's log.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        table: Table,
        folder: ExportFolder,
        options: TableExportOptions,
        progress: Progress,
        log: str | None,
    ) -> None:
        self._snapshot = snapshot
        self._table = table
        self._folder = folder
        self._options = options
        self._progress = progress
        self._log = log
        self._fresh = snapshot.freshness(table)
        self._known = folder.manifest.days(table.name, snapshot.account)
        self._rows = 0

    async def run(self) -> TableExportResult:
        """Writes the files, each with its line in the manifest, and last the table's cut.

        Raises:
            ExportRefused: A file cannot be written.
        """
        columns = await self._snapshot.columns(self._table)
        days = await self._snapshot.days(self._table, columns) or [_NO_ROWS]
        due = [day for day in days if self._is_due(day, self._known.get(day.date))]
        if due:
            await self._write(columns, due)
        removed = self._remove_old({day.date for day in days})
        self._record_cut()
        return TableExportResult(
            table=self._table.name,
            account=self._snapshot.account,
            files=len(due),
            rows=self._rows,
            unchanged=len(self._folder.manifest.days(self._table.name, self._snapshot.account))
            - len(due),
            removed=removed,
            position=self._fresh.position,
            head=self._fresh.head,
        )

    def _is_due(self, day: DaySummary, line: FileLine | None) -> bool:
        if line is not None and self._is_incompatible(line):
            return True
        if day is not _NO_ROWS and not self._is_selected(day):
            return False
        return (
            self._options.full
            or line is None
            or line.rows != day.rows
            or not day.position <= line.position <= self._fresh.position
            or not self._folder.holds(line, read=self._options.check)
        )

    def _is_incompatible(self, line: FileLine) -> bool:
        """Whether a file has another format or version, so that readers cannot combine them."""
        current = (self._table.version, self._table.interface, self._options.format)
        return (line.version, line.interface, line.format) != current

    def _is_selected(self, day: DaySummary) -> bool:
        match self._options.since:
            case None:
                return True
            case int(position):
                return day.position > position
            case since:
                return day.date is None or day.date >= since

    async def _write(self, columns: Sequence[Column], due: Sequence[DaySummary]) -> None:
        total = sum(day.rows for day in due)
        self._folder.make_parents(self._path(day.date) for day in due)
        writer = DailyFileWriter(self._folder.draft, self._open(columns), self._put)
        try:
            async for batch in self._snapshot.rows(self._table, columns, due):
                for day, rows in groupby(batch, key=itemgetter(0)):
                    writer.add(day, list(rows))
                self._progress(self._rows + writer.rows, total)
            if _NO_ROWS in due:
                writer.add(_NO_ROWS.date, [])
            writer.finish()
        finally:
            writer.abandon()

    def _open(self, columns: Sequence[Column]) -> Callable[[], RowWriter]:
        facts = {
            "table": self._table.name,
            "interface": str(self._table.interface),
            "version": str(self._table.version),
            "account": str(self._snapshot.account),
            "position": str(self._fresh.position),
        }
        return lambda: open_row_writer(self._options.format, self._folder.draft, columns, facts)

    def _put(self, day: date | None, rows: int) -> None:
        table, account = self._table, self._snapshot.account
        path = self._path(day)
        content = self._folder.place(path)
        line = FileLine(
            table=table.name,
            interface=table.interface,
            version=table.version,
            account=account,
            date=day,
            path=path,
            format=self._options.format,
            position=self._fresh.position,
            rows=rows,
            bytes=content.bytes,
            sha256=content.sha256,
            written_at=datetime.now(UTC),
        )
        with writing(self._folder.path):
            self._folder.manifest.add(line)
        self._rows += rows

    def _path(self, day: date | None) -> str:
        return path_of(self._table.name, self._snapshot.account, day, self._options.format)

    def _remove_old(self, days: set[date | None]) -> int:
        """Removes the files of other formats, and of days that have no rows any more."""
        table, account, manifest = self._table.name, self._snapshot.account, self._folder.manifest
        removed = [line for day, line in self._known.items() if day not in days]
        for line in removed:
            self._folder.remove(table, account, line.date)
            manifest.drop(line)
        for day in manifest.days(table, account):
            self._folder.remove(table, account, day, but=self._options.format)
        return len(removed)

    def _record_cut(self) -> None:
        fresh = self._fresh
        line = CutLine(
            table=self._table.name,
            interface=self._table.interface,
            version=self._table.version,
            account=self._snapshot.account,
            position=fresh.position,
            since=self._options.since,
            head=fresh.head,
            lag_events=fresh.lag_events,
            lag_seconds=fresh.lag_seconds,
            read_at=datetime.now(UTC),
            log=self._log,
        )
        before = self._folder.manifest.cut(line.table, line.account)
        with writing(self._folder.path):
            if before is None or _state(before) != _state(line):
                self._folder.manifest.add(line)
            self._folder.manifest.sync()


def _state(line: CutLine) -> tuple[object, ...]:
    return line.interface, line.version, line.position, line.since, line.head, line.log
