"""Selects a bundle's further checkpoints, beside the one at its cut."""

from collections.abc import Collection, Sequence
from pathlib import Path

from eventstore.connections import Connection
from eventstore.errors import NoteInvalid
from eventstore.readable_numbers import counted
from eventstore.sealing.signed_checkpoint import (
    VerifierKey,
    check_signatures,
    current_keys,
    read_note,
)
from service.audit import verify_bundle
from service.audit.bundle_folder import BundleRefused, Cut
from service.errors import NotFound
from sql.loader import query


async def other_checkpoints(
    connection: Connection, cut: Cut, keys: Sequence[VerifierKey], prove: Collection[int]
) -> list[str]:
    """The last checkpoint of each day before the cut, and those of given sizes, by size.

    If only a replaced key has signed the cut, a checkpoint by its successor is added: the record
    of the replacement, or the log's last checkpoint.

    Args:
        keys: All keys that ever signed; those of one name from the oldest on.
        prove: The given sizes.

    Raises:
        BundleRefused: No checkpoint by the successor covers the cut.
        NotFound: There is no checkpoint of a given size.
    """
    account_id, size = cut.account_id, cut.tree_size
    days = await connection.fetch(query("list_days_last_heads"), account_id, size)
    chosen = await connection.fetch(query("list_chosen_heads"), account_id, list(prove))
    origin = read_note(cut.note).origin
    # Checkpoints under an earlier name of the log are included only if their sizes are given.
    named = [row for row in days if read_note(row["note"]).origin == origin]
    notes = {row["size"]: row["note"] for row in (*named, *chosen)}
    if missing := set(prove) - notes.keys():
        raise NotFound(
            f"account {account_id} has no checkpoint of {counted(min(missing), 'event')}"
        )
    notes.pop(size, None)
    if not _is_current(cut.note, keys):
        note = await _successor_note(connection, cut, keys)
        notes[read_note(note).size] = note  # in place of one by the replaced key
    return [note for _, note in sorted(notes.items())]


def sizes_kept(place: Path, account_id: int, keys: Sequence[VerifierKey]) -> set[int]:
    """Sizes of an account's checkpoints in a place, read as the bundle's verifier does.

    Args:
        place: A file of checkpoints, or a folder of such files, of one account or several.
        keys: All keys that ever signed; checkpoints signed by other keys are ignored.

    Raises:
        BundleRefused: It holds something else, or no checkpoint of this account.
    """
    known = {(key.name, key.id): key.public for key in keys}
    try:
        files = verify_bundle.kept_files(place, account_id)
        notes = [text for path in files for text in verify_bundle.notes_in(path)]
        ours = [read_note(text) for text in notes if verify_bundle.under_all_names(known, text)]
    except (verify_bundle.NoBundle, verify_bundle.Wrong, NoteInvalid, UnicodeDecodeError) as error:
        raise BundleRefused(f"{place}: {error}") from error
    sizes = {note.size for note in ours if note.origin.endswith(f"/{account_id}")}
    if not sizes:
        raise BundleRefused(f"{place} holds no checkpoint of account {account_id}")
    return sizes


async def check_origin(connection: Connection, cut: Cut) -> None:
    """Raises `BundleRefused` if the checkpoint of the cut belongs to another log."""
    rows = await connection.fetch(query("list_log_origins"), cut.account_id)
    origin = read_note(cut.note).origin
    if origin not in {row["origin"] for row in rows}:
        raise BundleRefused(
            f"the checkpoint of {counted(cut.tree_size, 'event')} does not fit the log of account "
            f"{cut.account_id}: it is of {origin}"
        )


async def _successor_note(connection: Connection, cut: Cut, keys: Sequence[VerifierKey]) -> str:
    recorded = await connection.fetch(query("list_key_rotations"), cut.account_id)
    last = await connection.fetch(query("get_tree_head"), cut.account_id, None)
    for row in (*recorded, *last):
        if row["size"] >= cut.tree_size and _is_current(row["note"], keys):
            return str(row["note"])
    raise BundleRefused(
        f"the checkpoint of {counted(cut.tree_size, 'event')} is by a key that was replaced, and "
        "no checkpoint by its successor covers it yet: try again once the service has sealed more"
    )


def _is_current(note: str, keys: Sequence[VerifierKey]) -> bool:
    try:
        return not current_keys(keys).isdisjoint(check_signatures(note, keys))
    except NoteInvalid:
        return False
