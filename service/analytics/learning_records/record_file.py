"""Writes learning records to a file, one a line."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from eventstore.durable_files import flush_to_disk
from eventstore.output_files import open_output
from service.analytics.errors import ExportFileUnfit
from service.analytics.learning_records.batches import Batch
from service.analytics.learning_records.export_cursor import ExportCursor
from service.errors import OutputLost
from service.escaping import escaped_json


class RecordFile:
    """A file of records, which ends with a complete line at each checkpoint.

    Args:
        out: The open file.
        path: Its path; None for standard output.
    """

    def __init__(self, out: BinaryIO, path: Path | None) -> None:
        self._out = out
        self.path = path

    @classmethod
    def begin(cls, path: Path) -> Self:
        """Creates a file that only its owner can read; an existing file must be empty.

        Raises:
            ExportFileUnfit: It is not empty or not a regular file, or cannot be created.
            PathUntrusted: We are root, and another user could redirect the path.
        """
        try:
            descriptor = open_output(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ExportFileUnfit(f"{path}: {error.strerror}") from error
        status = os.fstat(descriptor)
        if unfit := _why_no_file(status) or _why_taken(status):
            os.close(descriptor)
            raise ExportFileUnfit(f"{path} {unfit}")
        return cls(os.fdopen(descriptor, "r+b"), path)

    @classmethod
    def resume(cls, path: Path, cursor: ExportCursor | None) -> Self:
        """Opens the file of a checkpoint and cuts it to the size there, or creates a new file.

        Raises:
            ExportFileUnfit: The file is shorter than the checkpoint says, or the checkpoint is of
                another file, which is unfinished.
        """
        if cursor is None or cursor.file is None:
            return cls.begin(path)
        if cursor.file != str(path):
            if not cursor.finished:
                raise ExportFileUnfit(f"the last run broke off in {cursor.file}; finish that first")
            return cls.begin(path)
        return cls._cut(path, cursor.size, may_be_gone=cursor.finished or not cursor.size)

    @classmethod
    def _cut(cls, path: Path, size: int, *, may_be_gone: bool) -> Self:
        try:
            descriptor = open_output(path, os.O_RDWR)
        except FileNotFoundError as error:
            if may_be_gone:
                return cls.begin(path)
            raise ExportFileUnfit(f"{path}: {error.strerror}") from error
        except OSError as error:
            raise ExportFileUnfit(f"{path}: {error.strerror}") from error
        status = os.fstat(descriptor)
        if unfit := _why_no_file(status) or _why_short(status, size):
            os.close(descriptor)
            raise ExportFileUnfit(f"{path} {unfit}")
        out = os.fdopen(descriptor, "r+b")
        out.truncate(size)
        out.seek(size)
        return cls(out, path)

    async def deliver(self, batch: Batch) -> int:
        """Writes a batch; returns its number of records.

        Raises:
            ExportFileUnfit: The file cannot be written.
            OutputLost: Standard output cannot be written.
        """
        try:
            lines = (escaped_json(record.line) + b"\n" for record in batch.records)
            self._out.write(b"".join(lines))
            if self.path is None:
                self._out.flush()
            else:
                flush_to_disk(self._out)
        except OSError as error:
            if self.path is None:
                raise OutputLost(error) from error
            raise ExportFileUnfit(f"{self.path}: {error.strerror}") from error
        return len(batch.records)

    @property
    def size(self) -> int:
        """Bytes written, those of earlier runs included; 0 for standard output."""
        return 0 if self.path is None else self._out.tell()

    def close(self) -> None:
        """Closes the file without reporting errors; standard output stays open."""
        if self.path is not None:
            with suppress(OSError):
                self._out.close()


def _why_no_file(status: os.stat_result) -> str | None:
    if stat.S_ISREG(status.st_mode):
        return None
    return "is not a regular file: leave --out away, and redirect standard output"


def _why_taken(status: os.stat_result) -> str | None:
    return "is not empty, and no checkpoint continues it" if status.st_size else None


def _why_short(status: os.stat_result, size: int) -> str | None:
    if status.st_size >= size:
        return None
    return f"is shorter than the {size} bytes of its checkpoint"
