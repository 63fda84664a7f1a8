"""Compares the checkpoints of the database, and those outside it, with the log."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from eventstore.connections import Connection
from eventstore.errors import CheckpointFilesDamaged, NoteInvalid
from eventstore.readable_numbers import counted
from eventstore.sealing.checkpoint_files import day_files, read_notes
from eventstore.sealing.findings import Findings
from eventstore.sealing.signed_checkpoint import (
    Checkpoint,
    VerifierKey,
    check_signatures,
    current_keys,
    read_note,
)
from sql.loader import query

_PAGE = 1_000


class SourcedCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint whose signature is verified, and its source.

    Attributes:
        source: Where it was read.
        digest: SHA-256 of the whole note.
        current: Whether a key that was not replaced has signed it.
    """

    source: str
    checkpoint: Checkpoint
    digest: bytes
    current: bool


class CheckpointVerifier:
    """Opens the notes of one log.

    Args:
        keys: Keys that may sign; of one name the oldest first, each replaced by the next.
        findings: Receives what is wrong.
    """

    def __init__(self, keys: Sequence[VerifierKey], findings: Findings) -> None:
        self._keys = keys
        self._current = current_keys(keys)
        self._findings = findings

    def open(self, source: str, note: str, position: int) -> SourcedCheckpoint | None:
        """The checkpoint if one of the keys has signed it, else None and a finding.

        Args:
            source: Where the note was read.
            position: The first event that it can be about.
        """
        try:
            signers = check_signatures(note, self._keys)
            checkpoint = read_note(note)
        except NoteInvalid as error:
            self._findings.add(position, f"a checkpoint in {source} is not genuine: {error}")
            return None
        current = not self._current.isdisjoint(signers)
        return SourcedCheckpoint(source, checkpoint, sha256(note.encode()).digest(), current)


def read_outside(
    folder: Path, verifier: CheckpointVerifier, findings: Findings
) -> list[SourcedCheckpoint]:
    """The checkpoints in an account's files outside the database, whose sizes must increase.

    Raises:
        CheckpointFilesDamaged: A file has other contents, or cannot be read.
    """
    checkpoints: list[SourcedCheckpoint] = []
    before = 0
    try:
        for path in day_files(folder):
            for note in read_notes(path):
                one = verifier.open(path.name, note, before + 1)
                if one is None:
                    continue
                size = one.checkpoint.size
                if size <= before:
                    findings.add(size, f"{path.name} has {counted(size, 'event')} after {before}")
                before = max(before, size)
                checkpoints.append(one)
        latest = folder / "latest"
        if latest.exists():
            # After a crash, `latest` may be older than the last note of the newest file.
            one = verifier.open("latest", latest.read_bytes().decode(), before + 1)
            checkpoints += [one] if one else []
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointFilesDamaged(f"the files in {folder} cannot be read: {error}") from error
    return checkpoints


async def read_stored(
    connection: Connection, account_id: int, verifier: CheckpointVerifier, findings: Findings
) -> list[SourcedCheckpoint]:
    """The checkpoints in the database; each row must agree with its note."""
    checkpoints: list[SourcedCheckpoint] = []
    size = 0
    while page := await connection.fetch(query("list_tree_heads"), account_id, size, _PAGE):
        for row in page:
            size = row["size"]
            one = verifier.open("the database", row["note"], size)
            if one is None:
                continue
            signed = one.checkpoint
            if (signed.size, signed.root, signed.time) != (size, row["root"], row["sealed_at"]):
                findings.add(
                    size,
                    f"the database's checkpoint of {counted(size, 'event')} is not what its "
                    "note says",
                )
            checkpoints.append(one)
    return checkpoints


async def read_rotations(
    connection: Connection, account_id: int, verifier: CheckpointVerifier, findings: Findings
) -> list[SourcedCheckpoint]:
    """The checkpoints that were recorded when keys were replaced."""
    checkpoints: list[SourcedCheckpoint] = []
    for row in await connection.fetch(query("list_key_rotations"), account_id):
        one = verifier.open("the record of a replaced key", row["note"], row["size"])
        if one is None:
            continue
        signed = one.checkpoint
        if (signed.size, signed.root) != (row["size"], row["root"]):
            findings.add(
                row["size"],
                f"the record of a replaced key at {counted(row['size'], 'event')} is not what its "
                "note says",
            )
        checkpoints.append(one)
    return checkpoints


def of_log(
    sourced: Iterable[SourcedCheckpoint], origins: Collection[str], head: int, findings: Findings
) -> list[SourcedCheckpoint]:
    """The checkpoints that are of this log; others become findings.

    Args:
        origins: The names of the log in its checkpoints, since the first one.
        head: Position of the log's last event.
    """
    checkpoints: list[SourcedCheckpoint] = []
    for one in sourced:
        origin, size = one.checkpoint.origin, one.checkpoint.size
        if origin in origins:
            checkpoints.append(one)
        else:
            findings.add(
                min(size, head + 1),
                f"a checkpoint in {one.source} is of another log: {origin}",
            )
    return checkpoints


def compare_replaced(
    sourced: Collection[SourcedCheckpoint], roots: Mapping[int, bytes], findings: Findings
) -> None:
    """Checks that checkpoints of replaced keys are not beyond the last one of a current key.

    A thief can sign with a stolen key after its replacement, and backdate. So a checkpoint by a
    replaced key counts only up to the size that its successor has signed, at the latest when it
    replaced the key.

    Args:
        roots: As for `compare`.
    """
    sound = [
        w.checkpoint.size
        for w in sourced
        if w.current and roots.get(w.checkpoint.size) == w.checkpoint.root
    ]
    last = max(sound, default=0)
    for one in sourced:
        size = one.checkpoint.size
        if not one.current and size > last:
            findings.add(
                last + 1,
                f"the checkpoint of {counted(size, 'event')} in {one.source} is by a key that "
                f"was replaced, and its successor bears witness to {counted(last, 'event')} only",
            )


def compare(
    sourced: Iterable[SourcedCheckpoint],
    roots: Mapping[int, bytes],
    head: int,
    findings: Findings,
) -> None:
    """Compares checkpoints with the roots of the log.

    Args:
        sourced: In order of size.
        roots: By size, for each checkpoint's size up to the head.
        head: Position of the log's last event.
    """
    sound = 0
    for one in sourced:
        size, source = one.checkpoint.size, one.source
        if size > head:
            findings.add(
                head + 1,
                f"the log ends here, but {source} has a checkpoint of {counted(size, 'event')}",
            )
        elif roots[size] != one.checkpoint.root:
            findings.add_range(
                sound,
                size,
                f"from here to {size} the log is not what was sealed: it has another root than "
                f"{source} has for {counted(size, 'event')}",
            )
        else:
            sound = size


def compare_outside(
    outside: Iterable[SourcedCheckpoint],
    stored: Iterable[SourcedCheckpoint],
    head: int,
    findings: Findings,
) -> None:
    """Checks that the database has the same checkpoints as the files."""
    known = {one.checkpoint.size: one.digest for one in stored}
    for one in outside:
        size = one.checkpoint.size
        if known.get(size) != one.digest:
            lacks = "has another" if size in known else "lacks the"
            findings.add(
                min(size, head + 1),
                f"the database {lacks} checkpoint of {counted(size, 'event')} that "
                f"{one.source} has",
            )
