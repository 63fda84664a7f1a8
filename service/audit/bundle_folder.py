"""A bundle's folder: its files, the state of an unfinished export, its completion."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from eventstore.durable_files import flush_to_disk, locked
from eventstore.output_files import open_output, replace_output
from eventstore.trusted_paths import make_output_folder
from service.errors import ServiceError
from service.file_work import is_left_by_system, reason_of, writing

GROWING = ("events.ndjson", "content.ndjson", "proof.txt")
"""Files to which an export appends."""

FILES = (*GROWING, "README.txt", "checkpoint", "checkpoints.ndjson", "verify_bundle.py", "vkeys")
MANIFEST = "manifest.json"
_STATE = ".partial"
_DRAFT = ".manifest.draft"
_DRAFTS = (_DRAFT, ".partial.draft")
_BLOCK = 1 << 20


class BundleRefused(ServiceError):
    """The folder cannot take the export."""


class Selection(msgspec.Struct, frozen=True):
    """What to export: `all` of the log, or a `conversation`, `course` or `user` by id."""

    kind: Literal["all", "conversation", "course", "user"]
    id: int | None = None


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """An export's selection and its checkpoint.

    Attributes:
        tree_size: Number of events that the checkpoint covers.
        note: The signed checkpoint.
        head: The log's last position when the export began.
    """

    account_id: int
    selection: Selection
    tree_size: int
    note: str
    head: int


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """An export's progress.

    Attributes:
        position: Position of the last event written.
        events, texts: Numbers of events and texts written.
        lengths: Bytes in each of the growing files.
        covered: Number of the log's events in the tree so far.
        stack: Level and hash of the roots of that tree's perfect subtrees, from left to right.
    """

    position: int = 0
    events: int = 0
    texts: int = 0
    lengths: tuple[int, ...] = (0, 0, 0)
    covered: int = 0
    stack: tuple[tuple[int, bytes], ...] = ()


class State(msgspec.Struct, frozen=True):
    """The state file of an unfinished bundle."""

    cut: Cut
    reached: Reached


class Bundle:
    """A bundle under construction.

    Args:
        folder: Its folder, which is created if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: list[IO[bytes]] = []

    @contextmanager
    def opened(self) -> Iterator["Bundle"]:
        """Locks the folder against other exports.

        Raises:
            BundleRefused: It holds something else, a finished bundle, or is in use.
            PathUntrusted: We are root, and another user could redirect the path.
        """
        try:
            make_output_folder(self.folder)
            self._refuse_others()
            lock = os.open(self.folder, os.O_RDONLY)
        except OSError as error:
            raise BundleRefused(f"cannot write to {self.folder}: {reason_of(error)}") from error
        try:
            with locked(lock, wait=False):
                try:
                    yield self
                finally:
                    self._close()
        except BlockingIOError as error:
            raise BundleRefused(f"another export is writing to {self.folder}") from error

    def state(self) -> State | None:
        """The state of an interrupted export in the folder; None if there is none."""
        path = self.folder / _STATE
        if not path.exists():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=State)
        except msgspec.DecodeError as error:
            raise BundleRefused(f"{path} is of another version: remove {self.folder}") from error
        except OSError as error:
            raise BundleRefused(f"cannot read {path}: {reason_of(error)}") from error

    def resume(self, reached: Reached) -> None:
        """Opens the growing files, cut to their lengths at a state."""
        for name, length in zip(GROWING, reached.lengths, strict=True):
            with self._writing(name):
                descriptor = open_output(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                file = os.fdopen(descriptor, "ab")
                self._files.append(file)
                file.truncate(length)

    def add(self, *contents: bytes) -> None:
        """Appends to each of the growing files, in order.

        Raises:
            BundleRefused: One cannot be written.
        """
        for name, file, content in zip(GROWING, self._files, contents, strict=True):
            with self._writing(name):
                file.write(content)

    def save(self, state: State) -> None:
        """Saves a state from which an interrupted export resumes."""
        self._flush()
        self.write(_STATE, msgspec.json.encode(state))

    def lengths(self) -> tuple[int, ...]:
        """Lengths of the growing files, in bytes."""
        return tuple(file.tell() for file in self._files)

    def write(self, name: str, content: bytes) -> None:
        """Writes one of the other files."""
        with self._writing(name):
            replace_output(self.folder / name, content, draft=_DRAFT)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Writes the manifest, which completes the bundle."""
        self._flush()
        with self._writing(MANIFEST):
            manifest = {**facts, "files": {name: _fact(self.folder / name) for name in FILES}}
        digest = hashlib.sha256(_dump(manifest)).hexdigest()
        self.write(MANIFEST, _dump({**manifest, "digest": digest}))
        with self._writing(_STATE):
            (self.folder / _STATE).unlink(missing_ok=True)

    def _refuse_others(self) -> None:
        names = {path.name for path in self.folder.iterdir()}
        names = {name for name in names if not is_left_by_system(name)}
        if MANIFEST in names:
            raise BundleRefused(f"{self.folder} holds a finished bundle")
        if names and (_STATE not in names or names - {*FILES, *_DRAFTS, _STATE}):
            raise BundleRefused(f"{self.folder} holds something else than an unfinished bundle")

    def _close(self) -> None:
        for file in self._files:
            with suppress(OSError):  # a write that failed was reported then
                file.close()

    def _flush(self) -> None:
        for name, file in zip(GROWING, self._files, strict=True):
            with self._writing(name):
                flush_to_disk(file)

    def _writing(self, name: str) -> AbstractContextManager[None]:
        return writing(self.folder / name, BundleRefused)


def _dump(manifest: Mapping[str, Any]) -> bytes:
    """A manifest's canonical encoding, which the verifier requires."""
    return (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()


def _fact(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}
