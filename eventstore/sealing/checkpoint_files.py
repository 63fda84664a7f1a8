"""Checkpoints in files outside the database, which outlive whatever happens to it.

A folder for each account has a file for each day (UTC), `<YYYY-MM-DD>.checkpoints`, to which notes
are only ever added, each followed by an empty line. No note has more than one empty line of its
own, and it stands before the signatures; so a file splits at its empty lines into text,
signatures, text, signatures. `latest` is the last note, and is replaced as a whole.
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
"""Bytes at the end of a file in which its last note is looked for."""

_TORN = 4 * 1024
"""Bytes that a crash can leave of a note at most."""


class CheckpointFiles:
    """The files of one account.

    Args:
        folder: For all accounts' files.
    """

    def __init__(self, folder: Path, account_id: int) -> None:
        self.folder = folder / str(account_id)

    def known(self) -> list[Checkpoint]:
        """The last checkpoint of the newest file and that of `latest`, as far as there are any.

        Raises:
            CheckpointFilesDamaged: A file holds something else.
            PathUntrusted: Another user could have prepared them, or could change them.
            OSError: They cannot be read.
        """
        latest = self.folder / "latest"
        last = self._last()
        return ([last] if last else []) + (
            [_read(latest, _content(latest))[1]] if latest.exists() else []
        )

    def size(self) -> int:
        """Size of the last checkpoint of the newest file, 0 where there is none."""
        last = self._last()
        return last.size if last else 0

    def append(self, notes: Sequence[str]) -> None:
        """Adds those of the notes that are newer than what the files hold, in the order given.

        What a crash left of a note is cut off first.

        Raises:
            CheckpointFilesDamaged: A file holds something else than notes.
            PathUntrusted: Another user could have prepared them, or could change them.
            OSError: They cannot be written.
        """
        is_new = not self.folder.exists()
        make_trusted_folder(self.folder, 0o755)
        if is_new:
            sync(self.folder.parent)
        with self._alone():
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
    def _alone(self) -> Iterator[None]:
        """A process that has lost its leadership unawares may be at it still."""
        with locked(open_trusted_file(self.folder / ".lock", os.O_RDWR | os.O_CREAT)):
            yield


def accounts_with_files(folder: Path) -> list[int]:
    """The accounts that have files in the folder for all of them."""
    return sorted(int(path.name) for path in folder.glob("*/") if path.name.isdecimal())


def day_files(folder: Path) -> list[Path]:
    """An account's files of days, the oldest first; what macOS puts beside a file is none."""
    return sorted(p for p in folder.glob("*.checkpoints") if not p.name.startswith("._"))


def read_notes(path: Path) -> list[str]:
    """All notes in a file, in order; what a crash left of one at its end is passed over.

    Raises:
        CheckpointFilesDamaged: It holds something else than notes.
    """
    parts = path.read_bytes().removeprefix(BOM_UTF8).split(b"\n\n")
    whole = (len(parts) - 1) // 2
    if len(b"\n\n".join(parts[2 * whole :])) > _TORN:
        raise CheckpointFilesDamaged(f"{path} does not end in a checkpoint")
    pairs = zip(parts[: 2 * whole : 2], parts[1 : 2 * whole : 2], strict=True)
    return [_read(path, b"\n\n".join(pair) + b"\n")[0] for pair in pairs]


def _last_of(path: Path) -> tuple[Checkpoint | None, int]:
    """The last whole note of a file, and where it ends; None and 0 where there is none."""
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
