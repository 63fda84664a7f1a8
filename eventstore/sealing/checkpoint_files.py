"""Checkpoints in files outside the database, which survive its loss.

Each account has a folder with a file for each day (UTC), `<YYYY-MM-DD>.checkpoints`. Notes are
appended, each followed by an empty line. A note itself has one empty line, before its signatures;
so a file splits at its empty lines into text, signatures, text, signatures. `latest` holds the
last note, and is replaced as a whole.
"""

import os
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from eventstore.durable_files import flush_to_disk, locked, replace_file, sync
from eventstore.errors import CheckpointFilesDamaged, NoteInvalid
from eventstore.sealing.signed_checkpoint import Checkpoint, read_note
from eventstore.trusted_paths import check_trusted, make_trusted_folder, open_trusted_file

_TAIL = 64 * 1024
"""Bytes at the end of a file that are searched for its last note."""

_TORN = 4 * 1024
"""Bytes of an incomplete note at most, as a crash may leave it."""


class CheckpointFiles:
    """The files of one account.

    Args:
        folder: For all accounts' files.
    """

    def __init__(self, folder: Path, account_id: int) -> None:
        self.folder = folder / str(account_id)

    def known(self) -> list[Checkpoint]:
        """The last checkpoint of the newest file and that of `latest`, if there are any.

        Raises:
            CheckpointFilesDamaged: A file has other contents.
            PathUntrusted: Another user may have created the files, or can change them.
            OSError: They cannot be read.
        """
        latest = self.folder / "latest"
        last = self._last()
        return ([last] if last else []) + (
            [_read(latest, _content(latest))[1]] if latest.exists() else []
        )

    def size(self) -> int:
        """Size of the last checkpoint of the newest file, 0 without one."""
        last = self._last()
        return last.size if last else 0

    def append(self, notes: Sequence[str]) -> None:
        """Appends the notes that are newer than those in the files, in the given order.

        Cuts off an incomplete note of a crash first.

        Raises:
            CheckpointFilesDamaged: A file has other contents than notes.
            PathUntrusted: Another user may have created the files, or can change them.
            OSError: They cannot be written.
        """
        is_new = not self.folder.exists()
        make_trusted_folder(self.folder, 0o755)
        if is_new:
            sync(self.folder.parent)
        with self._locked():
            size = self.size()
            newer = [(note, c) for note in notes if (c := read_note(note)).size > size]
            for day, of_day in groupby(newer, lambda pair: pair[1].time.date()):
                _add(self.folder / f"{day}.checkpoints", [note for note, _ in of_day])
            if newer:
                latest = self.folder / "latest"
                replace_file(latest, newer[-1][0].encode(), 0o644, draft=".latest")
            sync(self.folder)

    def _last(self) -> Checkpoint | None:
        if self.folder.exists():
            check_trusted(self.folder)
        for path in reversed(day_files(self.folder)):
            if checkpoint := _last_of(path)[0]:
                return checkpoint
        return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Excludes a process that has lost its leadership without noticing and still writes."""
        with locked(open_trusted_file(self.folder / ".lock", os.O_RDWR | os.O_CREAT)):
            yield


def accounts_with_files(folder: Path) -> list[int]:
    """The accounts with files in the folder."""
    return sorted(int(path.name) for path in folder.glob("*/") if path.name.isdecimal())


def day_files(folder: Path) -> list[Path]:
    """An account's files of days, the oldest first, without macOS's `._` companions."""
    return sorted(p for p in folder.glob("*.checkpoints") if not p.name.startswith("._"))


def read_notes(path: Path) -> list[str]:
    """All notes in a file, in order, without an incomplete note of a crash at its end.

    Raises:
        CheckpointFilesDamaged: The file has other contents than notes.
    """
    parts = path.read_bytes().removeprefix(BOM_UTF8).split(b"\n\n")
    whole = (len(parts) - 1) // 2
    if len(b"\n\n".join(parts[2 * whole :])) > _TORN:
        raise CheckpointFilesDamaged(f"{path} does not end in a checkpoint")
    pairs = zip(parts[: 2 * whole : 2], parts[1 : 2 * whole : 2], strict=True)
    return [_read(path, b"\n\n".join(pair) + b"\n")[0] for pair in pairs]


def _last_of(path: Path) -> tuple[Checkpoint | None, int]:
    """The last complete note of a file and its end in bytes; None and 0 without one."""
    with os.fdopen(open_trusted_file(path, os.O_RDONLY), "rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - _TAIL))
        parts = file.read().split(b"\n\n")
    signatures = [n for n in range(1, len(parts) - 1) if parts[n].startswith("— ".encode())]
    last = signatures[-1] if signatures else -1
    torn = len(b"\n\n".join(parts[last + 1 :]))
    if torn > _TORN:
        raise CheckpointFilesDamaged(f"{path} does not end in a checkpoint")
    if not signatures:
        return None, 0
    return _read(path, b"\n\n".join(parts[last - 1 : last + 1]) + b"\n")[1], length - torn


def _content(path: Path) -> bytes:
    with os.fdopen(open_trusted_file(path, os.O_RDONLY), "rb") as file:
        return file.read()


def _read(path: Path, note: bytes) -> tuple[str, Checkpoint]:
    try:
        return note.decode(), read_note(note.decode())
    except (NoteInvalid, UnicodeDecodeError) as error:
        raise CheckpointFilesDamaged(f"{path}: {error}") from error


def _add(path: Path, notes: Sequence[str]) -> None:
    with os.fdopen(open_trusted_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab") as file:
        file.truncate(_last_of(path)[1])
        file.write("".join(f"{note}\n" for note in notes).encode())
        flush_to_disk(file)
