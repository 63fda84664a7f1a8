"""Learning records in a file, one a line."""

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
    """A file that ends, at each checkpoint, with a whole line.

    Args:
        out: Where lines go.
        path: Its name; None for standard output.
    """

    def __init__(self, out: BinaryIO, path: Path | None) -> None:
        self._out = out
        self.path = path

    @classmethod
    def begin(cls, path: Path) -> Self:
        """A new file, for its owner alone; one that is there must be empty.

        Raises:
            ExportFileUnfit: It holds something, is no regular file, or cannot be made.
            PathUntrusted: We are root, and another user could lead us elsewhere.
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
        """The file that the checkpoint is of, cut back to it; a new one if that is another's.

        Raises:
            ExportFileUnfit: The file lacks what the checkpoint says, or another is unfinished.
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

    async def take(self, batch: Batch) -> int:
        """Writes a batch; returns how many records it has.

        Raises:
            ExportFileUnfit: It cannot be written.
            OutputLost: It is standard output, and that cannot be written.
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
        """Closes the file, without what found no room; standard output stays open."""
        if self.path is not None:
            with suppress(OSError):
                self._out.close()


def _why_no_file(status: os.stat_result) -> str | None:
    if stat.S_ISREG(status.st_mode):
        return None
    return "is no regular file: leave --out away, and redirect standard output"


def _why_taken(status: os.stat_result) -> str | None:
    return "is there already, and no checkpoint goes on in it" if status.st_size else None


def _why_short(status: os.stat_result, size: int) -> str | None:
    if status.st_size >= size:
        return None
    return f"is shorter than the {size} bytes of its checkpoint"
