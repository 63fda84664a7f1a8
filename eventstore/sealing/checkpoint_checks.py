"""Compares checkpoints, those of the database and those outside it, with the log."""

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
        source: Where it was found.
        digest: Of the whole note.
        current: Whether a key has signed it that no other one replaced.
    """

    source: str
    checkpoint: Checkpoint
    digest: bytes
    current: bool


class CheckpointVerifier:
    """Opens the notes of one log.

    Args:
        keys: Those that may sign; of one name the oldest first, each replaced by the next.
        findings: Get what is wrong.
    """

    def __init__(self, keys: Sequence[VerifierKey], findings: Findings) -> None:
        self._keys = keys
        self._current = current_keys(keys)
        self._findings = findings

    def open(self, source: str, note: str, position: int) -> SourcedCheckpoint | None:
        """The checkpoint, if one of the keys has signed it.

        Args:
            source: Where the note was found.
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
    """The checkpoints in an account's files outside the database; their order must rise.

    Raises:
        CheckpointFilesDamaged: A file holds something else, or cannot be read.
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
            # A crash leaves it behind the others by a few, so that it need not be the last.
            one = verifier.open("latest", latest.read_bytes().decode(), before + 1)
            checkpoints += [one] if one else []
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointFilesDamaged(f"the files in {folder} cannot be read: {error}") from error
    return checkpoints


async def read_stored(
    connection: Connection, account_id: int, verifier: CheckpointVerifier, findings: Findings
) -> list[SourcedCheckpoint]:
    """The checkpoints in the database; each row must be what its note says."""
    checkpoints: list[SourcedCheckpoint] = []
    size = 0
    while page := await connection.fetch(query("list_tree_heads"), account_id, size, _PAGE):
        for row in page:
            size = row["size"]
            one = verifier.open("the database", row["note"], size)
            if one is None:
                continue
            said = one.checkpoint
            if (said.size, said.root, said.time) != (size, row["root"], row["sealed_at"]):
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
    """What was recorded of the log whenever a key was replaced."""
    checkpoints: list[SourcedCheckpoint] = []
    for row in await connection.fetch(query("list_key_rotations"), account_id):
        one = verifier.open("the record of a replaced key", row["note"], row["size"])
        if one is None:
            continue
        said = one.checkpoint
        if (said.size, said.root) != (row["size"], row["root"]):
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
    """Those of the checkpoints that are of this log; others are findings.

    Args:
        origins: What checkpoints have called the log since its first one.
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
    """What only replaced keys have signed must be a beginning of what a current one has.

    Whoever stole a key can sign on with it, and say any time; so only what its successor has
    signed, at the latest when it replaced the key, bears witness to what the old key signed.

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
    """Holds checkpoints to the roots that the log really has.

    Args:
        sourced: Rising by size.
        roots: By size, for every size up to the head that a checkpoint has.
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
    """What the files have, the database must have too, and the same."""
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
