"""Checkpoints held to the log: those of the database, and those outside it, which came first."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from eventstore.checkpoint_files import read_notes
from eventstore.connections import Connection
from eventstore.errors import CheckpointFilesDamaged, NoteInvalid
from eventstore.findings import Findings
from eventstore.notes import Checkpoint, VerifierKey, verify
from sql.loader import query

_PAGE = 1_000


class Witness(msgspec.Struct, frozen=True):
    """A genuine checkpoint, and where it was found. `digest` is of the whole note."""

    source: str
    checkpoint: Checkpoint
    digest: bytes


class Signatures:
    """Opens the notes of one log.

    Args:
        account_id: Of the log.
        keys: Whoever may sign.
        findings: Get what is wrong.
    """

    def __init__(self, account_id: int, keys: Sequence[VerifierKey], findings: Findings) -> None:
        self._origins = {f"{key.name}/{account_id}" for key in keys}
        self._keys = keys
        self._findings = findings

    def open(self, source: str, note: str, position: int) -> Witness | None:
        """The checkpoint, if one of the keys has signed it for this log.

        Args:
            source: Where the note was found.
            position: The first event that it can be about.
        """
        try:
            checkpoint = verify(note, self._keys)
        except NoteInvalid as error:
            self._findings.add(position, f"a checkpoint in {source} is not genuine: {error}")
            return None
        if checkpoint.origin not in self._origins:
            self._findings.add(
                position, f"a checkpoint in {source} is of another log: {checkpoint.origin}"
            )
            return None
        return Witness(source, checkpoint, sha256(note.encode()).digest())


def read_outside(folder: Path, signatures: Signatures, findings: Findings) -> list[Witness]:
    """The checkpoints in an account's files outside the database; their order must rise.

    Raises:
        CheckpointFilesDamaged: A file holds something else, or cannot be read.
    """
    found: list[Witness] = []
    before = 0
    try:
        for path in sorted(folder.glob("*.checkpoints")):
            for note in read_notes(path):
                witness = signatures.open(path.name, note, before + 1)
                if witness is None:
                    continue
                size = witness.checkpoint.size
                if size <= before:
                    findings.add(size, f"{path.name} has {size} events after {before}")
                before = max(before, size)
                found.append(witness)
        latest = folder / "latest"
        if latest.exists():
            # A crash leaves it behind the others by a few, so that it need not be the last.
            witness = signatures.open("latest", latest.read_bytes().decode(), before + 1)
            found += [witness] if witness else []
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointFilesDamaged(f"the files in {folder} cannot be read: {error}") from error
    return found


async def read_stored(
    connection: Connection, account_id: int, signatures: Signatures, findings: Findings
) -> list[Witness]:
    """The checkpoints in the database; each row must be what its note says."""
    found: list[Witness] = []
    size = 0
    while page := await connection.fetch(query("list_tree_heads"), account_id, size, _PAGE):
        for row in page:
            size = row["size"]
            witness = signatures.open("the database", row["note"], size)
            if witness is None:
                continue
            said = witness.checkpoint
            if (said.size, said.root, said.time) != (size, row["root"], row["sealed_at"]):
                findings.add(
                    size, f"the database's checkpoint of {size} events is not what its note says"
                )
            found.append(witness)
    return found


def compare(
    witnesses: Iterable[Witness], roots: Mapping[int, bytes], head: int, findings: Findings
) -> None:
    """Holds checkpoints to the roots that the log really has.

    Args:
        witnesses: Rising by size.
        roots: By size, for every size up to the head that a checkpoint has.
        head: Position of the log's last event.
    """
    sound = 0
    for witness in witnesses:
        size, source = witness.checkpoint.size, witness.source
        if size > head:
            findings.add(
                head + 1, f"the log ends here, but {source} has a checkpoint of {size} events"
            )
        elif roots[size] != witness.checkpoint.root:
            findings.add_range(
                sound,
                size,
                f"from here to {size} the log is not what was sealed: it has another root than "
                f"{source} has for {size} events",
            )
        else:
            sound = size


def compare_outside(
    outside: Iterable[Witness], stored: Iterable[Witness], head: int, findings: Findings
) -> None:
    """What the files have, the database must have too, and the same."""
    known = {witness.checkpoint.size: witness.digest for witness in stored}
    for witness in outside:
        size = witness.checkpoint.size
        if known.get(size) != witness.digest:
            lacks = "has another" if size in known else "lacks the"
            findings.add(
                min(size, head + 1),
                f"the database {lacks} checkpoint of {size} events that {witness.source} has",
            )
