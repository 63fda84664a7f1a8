"""The checkpoint of an export, from which the next run resumes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from eventstore.durable_files import locked
from eventstore.output_files import open_output, replace_output
from eventstore.trusted_paths import check_output
from service.analytics.errors import CursorUnfit
from service.analytics.learning_records.batches import Format


class ExportScope(msgspec.Struct, frozen=True, kw_only=True):
    """What is exported, and where to. Exports with different scopes share no checkpoint.

    Attributes:
        base: The beginning of the IRIs.
        store: URL of the store that receives the records; None for files.
    """

    account_id: int
    format: Format
    base: str
    course_id: int | None = None
    store: str | None = None


class ExportCursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far an export has come.

    Attributes:
        position: All records up to this position of the log are on disk or accepted by the store.
        file: The file that was written last.
        size: That file's size at the position, in bytes.
        finished: Whether the run has ended, so that `file` has nothing beyond `size`.
        log: Id of the log's first event; None for an empty log, and in older checkpoints.
    """

    export: ExportScope
    position: int
    file: str | None = None
    size: int = 0
    finished: bool = False
    log: str | None = None


class CursorFile:
    """A checkpoint on disk, which is replaced atomically.

    Args:
        path: The file; it may be missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the checkpoint against other runs.

        Raises:
            CursorUnfit: Another run has locked it, or it cannot be written.
            PathUntrusted: We are root, and another user could redirect the path.
        """
        check_output(self.path)
        name = self.path.with_name(self.path.name + ".lock")
        try:
            lock = open_output(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise CursorUnfit(f"{self.path}: {error.strerror}") from error
        try:
            with locked(lock, wait=False):
                yield
        except BlockingIOError as error:
            raise CursorUnfit(f"{self.path} is in use by another run") from error

    def read(self, export: ExportScope, log: str | None) -> ExportCursor | None:
        """The last checkpoint of this export; None if there is none yet.

        Args:
            log: Id of the first event of the log to export.

        Raises:
            CursorUnfit: The file belongs to another export or log, or is not a checkpoint.
        """
        try:
            with os.fdopen(open_output(self.path, os.O_RDONLY), "rb") as file:
                cursor = msgspec.json.decode(file.read(), type=ExportCursor)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, OSError) as error:
            raise CursorUnfit(f"{self.path} is not a checkpoint: {error}") from error
        if cursor.export != export:
            raise CursorUnfit(f"{self.path} is of another export: {_describe(cursor.export)}")
        if cursor.log not in (None, log):
            raise CursorUnfit(
                f"{self.path} is of another database: its log begins with event {cursor.log}, "
                f"this one with {log}"
            )
        return cursor

    def save(self, cursor: ExportCursor) -> None:
        """Replaces the checkpoint. When it returns, the new one is on disk.

        Raises:
            CursorUnfit: It cannot be written.
        """
        try:
            draft = self.path.name + ".draft"
            replace_output(self.path, msgspec.json.encode(cursor) + b"\n", draft=draft)
        except OSError as error:
            raise CursorUnfit(f"{self.path}: {error.strerror}") from error


def _describe(export: ExportScope) -> str:
    course = f", course {export.course_id}" if export.course_id else ""
    where = f" to {export.store}" if export.store else " to files"
    return f"{export.format} of account {export.account_id}{course}{where}, IRIs of {export.base}"
