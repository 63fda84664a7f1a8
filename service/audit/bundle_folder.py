"""The folder of a bundle: what belongs in it, how far an unfinished one is, when it is whole."""

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
"""Files that an export adds to as it goes."""

FILES = (*GROWING, "README.txt", "checkpoint", "checkpoints.ndjson", "verify_bundle.py", "vkeys")
MANIFEST = "manifest.json"
_STATE = ".partial"
_DRAFT = ".manifest.draft"
_DRAFTS = (_DRAFT, ".partial.draft")
_BLOCK = 1 << 20


class BundleRefused(ServiceError):
    """The folder holds something else."""


class Selection(msgspec.Struct, frozen=True):
    """What is exported: `all` of the log, or a `conversation`, a `course` or a `user` by id."""

    kind: Literal["all", "conversation", "course", "user"]
    id: int | None = None


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """What an export is of. `head` is where the log ended when it began."""

    account_id: int
    selection: Selection
    tree_size: int
    note: str
    head: int


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """How far an export is: the last position, counts, lengths of files, and the tree so far."""

    position: int = 0
    events: int = 0
    texts: int = 0
    lengths: tuple[int, ...] = (0, 0, 0)
    covered: int = 0
    stack: tuple[tuple[int, bytes], ...] = ()


class State(msgspec.Struct, frozen=True):
    """What an unfinished bundle keeps beside its files."""

    cut: Cut
    reached: Reached


class Bundle:
    """A bundle that is being made.

    Args:
        folder: Where it is; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: list[IO[bytes]] = []

    @contextmanager
    def opened(self) -> Iterator["Bundle"]:
        """Keeps other exports out of the folder.

        Raises:
            BundleRefused: It holds something else, a finished bundle, or is in use.
            PathUntrusted: We are root, and another user could lead us elsewhere.
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
        """How far the folder's export was when it ended before its time."""
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
        """Opens the growing files, as they were at that state."""
        for name, length in zip(GROWING, reached.lengths, strict=True):
            with self._writing(name):
                descriptor = open_output(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                file = os.fdopen(descriptor, "ab")
                self._files.append(file)
                file.truncate(length)

    def add(self, *contents: bytes) -> None:
        """Adds to each of the growing files, in their order.

        Raises:
            BundleRefused: One cannot be written.
        """
        for name, file, content in zip(GROWING, self._files, contents, strict=True):
            with self._writing(name):
                file.write(content)

    def keep(self, state: State) -> None:
        """From here an export that is interrupted goes on."""
        self._flush()
        self.write(_STATE, msgspec.json.encode(state))

    def lengths(self) -> tuple[int, ...]:
        """How long the growing files are."""
        return tuple(file.tell() for file in self._files)

    def write(self, name: str, content: bytes) -> None:
        """One of the other files, as a whole."""
        with self._writing(name):
            replace_output(self.folder / name, content, draft=_DRAFT)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Writes the manifest, with which the bundle is whole."""
        self._flush()
        with self._writing(MANIFEST):
            manifest = {**facts, "files": {name: _fact(self.folder / name) for name in FILES}}
        digest = hashlib.sha256(_dump(manifest)).hexdigest()
        self.write(MANIFEST, _dump({**manifest, "digest": digest}))
        with self._writing(_STATE):
            (self.folder / _STATE).unlink(missing_ok=True)

    def _refuse_others(self) -> None:
        there = {path.name for path in self.folder.iterdir()}
        there = {name for name in there if not is_left_by_system(name)}
        if MANIFEST in there:
            raise BundleRefused(f"{self.folder} holds a finished bundle")
        if there and (_STATE not in there or there - {*FILES, *_DRAFTS, _STATE}):
            raise BundleRefused(f"{self.folder} holds something else than an unfinished bundle")

    def _close(self) -> None:
        for file in self._files:
            with suppress(OSError):  # what found no room was told of when it was written
                file.close()

    def _flush(self) -> None:
        for name, file in zip(GROWING, self._files, strict=True):
            with self._writing(name):
                flush_to_disk(file)

    def _writing(self, name: str) -> AbstractContextManager[None]:
        return writing(self.folder / name, BundleRefused)


def _dump(manifest: Mapping[str, Any]) -> bytes:
    """The one way to write a manifest, which its verifier insists on."""
    return (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()


def _fact(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}
