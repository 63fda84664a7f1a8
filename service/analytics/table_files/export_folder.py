"""The folder of an export, which one process at a time writes, with atomic replacement of files."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path
from typing import Self, get_args
from urllib.parse import quote

import msgspec

from eventstore.durable_files import locked, sync
from eventstore.trusted_paths import make_output_folder
from service import file_work
from service.analytics.errors import ExportRefused
from service.analytics.table_files.manifest import MANIFEST, FileLine, Format, Manifest
from service.file_work import is_left_by_system, reason_of

NO_DATE = "__HIVE_DEFAULT_PARTITION__"
"""The name for null in folders named `key=value` (Hive)."""

DRAFT = "file.draft"
FORMATS: tuple[Format, ...] = get_args(Format)


class Digest(msgspec.Struct, frozen=True):
    """Size and SHA-256 of a file."""

    bytes: int
    sha256: str


class ExportFolder:
    """A folder with an export.

    Args:
        path: Its path; it is created if it is missing.
    """

    manifest: Manifest

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[Self]:
        """Locks the folder against other exports.

        Raises:
            ExportRefused: It holds something else, or is in use.
            PathUntrusted: We are root, and another user could redirect the path.
        """
        with writing(self.path):
            make_output_folder(self.path)
            folder = os.open(self.path, os.O_RDONLY)
        try:
            with locked(folder, wait=False), self._opened():
                yield self
        except BlockingIOError as error:
            raise ExportRefused(f"another export is writing to {self.path}") from error

    @contextmanager
    def _opened(self) -> Iterator[None]:
        refuse_others(self.path)
        self.manifest = Manifest(self.path)
        try:
            with writing(self.path):
                self.manifest.open()
                sync(self.path)
            yield
            with writing(self.path):
                self.manifest.compact()
                sync(self.path)
        finally:
            self.manifest.close()

    @property
    def draft(self) -> Path:
        """The path at which the next file is written, on the same file system."""
        return self.path / DRAFT

    def make_parents(self, paths: Iterable[str]) -> None:
        """Creates the folders of files. When it returns, they are on disk."""
        changed = {above for path in paths for above in self._make_parents(self.path / path)}
        for path in changed:
            with writing(path):
                sync(path)

    def place(self, path: str) -> Digest:
        """Moves the draft to its path, over an existing file. When it returns, that is on disk."""
        with writing(self.path / path):
            content = digest(self.draft)
            sync(self.draft)
            self.draft.replace(self.path / path)
            sync((self.path / path).parent)
        return content

    def remove(self, table: str, account: int, day: date | None, but: Format | None = None) -> None:
        """Removes the files of a day, except those of format `but`."""
        for format_ in FORMATS:
            if format_ != but:
                path = self.path / path_of(table, account, day, format_)
                with writing(path):
                    path.unlink(missing_ok=True)

    def holds(self, line: FileLine, *, read: bool) -> bool:
        """Whether a file is as its line says: by its size, or by its digest if it is read."""
        path = self.path / line.path
        try:
            if read:
                return digest(path) == Digest(line.bytes, line.sha256)
            return path.stat().st_size == line.bytes
        except OSError:
            return False

    def _make_parents(self, path: Path) -> list[Path]:
        """Creates the folders above a path; returns the folders that changed."""
        with writing(path):
            missing = [above for above in path.parents if not above.exists()]
            make_output_folder(path.parent, 0o755)
        return [above.parent for above in missing]


def refuse_others(path: Path) -> None:
    """Raises `ExportRefused` if a folder holds something else than an export."""
    try:
        names = {e.name for e in path.iterdir() if not is_left_by_system(e.name)}
    except OSError as error:
        raise ExportRefused(f"cannot read {path}: {reason_of(error)}") from error
    if names and MANIFEST not in names:
        raise ExportRefused(f"{path} holds something else than an export: it has no {MANIFEST}")


def path_of(table: str, account: int, day: date | None, format_: Format) -> str:
    """The path of a day's file, relative to the folder."""
    name = quote(table, safe="")
    return f"{name}/account={account}/date={day or NO_DATE}/{name}.{format_}"


def digest(path: Path) -> Digest:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Digest(file.tell(), sha256)


def writing(path: Path) -> AbstractContextManager[None]:
    """Turns an error of writing into an `ExportRefused` with the path and the reason."""
    return file_work.writing(path, ExportRefused)
