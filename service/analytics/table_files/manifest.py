"""The manifest of an export: a line for each file in place, and one for each table's cut."""

import os
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import IO, Literal

import msgspec

from eventstore.durable_files import flush_to_disk
from eventstore.output_files import open_output, replace_output
from service.analytics.errors import ExportRefused

MANIFEST = "manifest.ndjson"
_DRAFT = "manifest.draft"

Format = Literal["parquet", "csv", "ndjson"]


class FileLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="file"):
    """A file.

    Attributes:
        interface: Version of the columns.
        version: Version of the projection's tables and statements.
        date: The day (UTC) of its rows; None for rows without a day.
        path: Path relative to the folder.
        position: Position of the last event that the table had applied when it was read.
        bytes: Size of the file.
    """

    table: str
    interface: int
    version: int
    account: int
    date: date | None
    path: str
    format: Format
    position: int
    rows: int
    bytes: int
    sha256: str
    written_at: datetime


class CutLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="cut"):
    """The state of all of a table's files of an account.

    Attributes:
        position: Position of the last event that is in the files.
        since: Only days from this one on, or with a change above this position, were exported.
        head: Position of the log's last event at that time.
        lag_events, lag_seconds: How far the table was behind the log.
        log: Id of the log's first event; None for an empty log, and in older manifests.
    """

    table: str
    interface: int
    version: int
    account: int
    position: int
    since: date | int | None
    head: int
    lag_events: int
    lag_seconds: float
    read_at: datetime
    log: str | None = None


Line = FileLine | CutLine
_decoder = msgspec.json.Decoder(Line)
_encoder = msgspec.json.Encoder()


class Manifest:
    """The lines of a manifest. A later line about the same file or cut replaces the earlier one.

    Args:
        folder: The folder of the manifest, which need not exist yet.

    Raises:
        ExportRefused: It cannot be read, or has an invalid line.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[tuple[str, int, date | None], FileLine] = {}
        self._cuts: dict[tuple[str, int], CutLine] = {}
        self._superseded = 0
        self._out: IO[bytes] | None = None
        path = folder / MANIFEST
        lines, _, _ = _bytes_of(path).rpartition(b"\n")
        self._length = len(lines) + 1 if lines else 0
        for number, line in enumerate(lines.splitlines(), 1):
            try:
                self._take(_decoder.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ExportRefused(f"{path} line {number} is not of an export: {error}") from error

    @property
    def files(self) -> list[FileLine]:
        """All files of the export."""
        return list(self._files.values())

    def days(self, table: str, account: int) -> dict[date | None, FileLine]:
        """The files of a table and account by day."""
        return {
            line.date: line
            for line in self._files.values()
            if (line.table, line.account) == (table, account)
        }

    def cut(self, table: str, account: int) -> CutLine | None:
        """The cut of a table's files of an account."""
        return self._cuts.get((table, account))

    def refuse_other_log(self, account: int, log: str | None) -> None:
        """Raises `ExportRefused` if an account's files come from another log than this one."""
        for cut in self._cuts.values():
            if cut.account == account and cut.log not in (None, log):
                raise ExportRefused(
                    f"{self._folder} has account {account} of another database: its log begins "
                    f"with event {cut.log}, this one with {log}"
                )

    def open(self) -> None:
        """Opens the manifest for adding lines, and cuts off an incomplete last line."""
        descriptor = open_output(self._folder / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._out = os.fdopen(descriptor, "ab")
        if self._out.tell() > self._length:
            self._out.truncate(self._length)

    def add(self, line: Line) -> None:
        """Adds a line. It survives a crash of the process, and after `sync` one of the machine."""
        assert self._out is not None
        self._out.write(_encoder.encode(line) + b"\n")
        self._out.flush()
        self._take(line)

    def sync(self) -> None:
        """Waits until all lines are on disk. Their files are on disk before."""
        assert self._out is not None
        flush_to_disk(self._out)

    def drop(self, line: FileLine) -> None:
        """Removes the line of a deleted file; in the manifest on disk `compact` does that."""
        del self._files[line.table, line.account, line.date]
        self._superseded += 1

    def compact(self) -> None:
        """Rewrites the manifest without replaced and removed lines, if there are any."""
        if not self._superseded:
            return
        lines = (*self._files.values(), *self._cuts.values())
        content = b"".join(_encoder.encode(line) + b"\n" for line in lines)
        replace_output(self._folder / MANIFEST, content, draft=_DRAFT)
        self._superseded = 0

    def close(self) -> None:
        """Closes the manifest without reporting errors."""
        if self._out is not None:
            with suppress(OSError):
                self._out.close()

    def _take(self, line: Line) -> None:
        replaced: bool
        if isinstance(line, FileLine):
            replaced = (line.table, line.account, line.date) in self._files
            self._files[line.table, line.account, line.date] = line
        else:
            replaced = (line.table, line.account) in self._cuts
            self._cuts[line.table, line.account] = line
        self._superseded += replaced


def _bytes_of(path: Path) -> bytes:
    """The bytes of a manifest; none if there is no manifest yet."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ExportRefused(f"cannot read {path}: {error.strerror}") from error
