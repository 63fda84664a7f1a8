"""Replaces the key that signs checkpoints, and records each log's state at that time."""

from contextlib import suppress
from pathlib import Path

import msgspec

from eventstore.clock import read_time
from eventstore.connections import Connection, connect
from eventstore.errors import EventStoreError, LogDamaged, NoteInvalid
from eventstore.readable_numbers import counted
from eventstore.sealing.checkpoint_files import CheckpointFiles
from eventstore.sealing.log_sealer import STEP
from eventstore.sealing.sealing_state import SealingState, sealing_states
from eventstore.sealing.signed_checkpoint import (
    Checkpoint,
    VerifierKey,
    check_signatures,
    cosign,
    current_keys,
    sign,
    signatures,
    verify,
)
from eventstore.sealing.signing_keys import (
    KeyLocation,
    Signer,
    generate_successor,
    list_keys,
    locked_keys,
    open_locked_signer,
    replace_key,
)
from eventstore.sealing.tiles import entries
from eventstore.sealing.tree_builder import TreeBuilder
from sql.loader import query


class Rotation(msgspec.Struct, frozen=True):
    """A key that was replaced.

    Attributes:
        signer: The new key.
        problems: Why a log got no record, one for each such log. Its checkpoints by the old key
            count only once the new key has sealed it.
    """

    signer: Signer
    problems: list[str]


async def rotate_key(url: str, place: KeyLocation, folder: Path) -> Rotation:
    """Replaces the key by a new one; the old private key is deleted, its public half stays listed.

    Each log that the old key has sealed gets a record of its size and root, signed by both keys. A
    thief of the old key can still sign, and backdate; but a checkpoint by the old key counts only
    up to the size that the new key has signed. So a log is not recorded if its last checkpoint is
    not of its tree, is not by the old key, or differs from the files.

    Args:
        url: The owner's connection URL.
        folder: With all accounts' files of checkpoints.

    Raises:
        KeyRefused: There is no key yet, or it cannot be replaced.
    """
    connection = await connect(url, "colloquy_worker")
    problems = []
    try:
        # The lock is held until the end, so that the old key seals nothing after the records.
        with locked_keys(place):
            old = open_locked_signer(place)  # lists it under its current name
            new = generate_successor(old)
            listed = list_keys(place)
            for state in await sealing_states(connection):
                try:
                    await _record(connection, state, folder, listed, old, new)
                except EventStoreError as error:
                    problems.append(f"account {state.account_id}: {error}")
            replace_key(place, new)
    finally:
        await connection.close()
    return Rotation(new, problems)


async def _record(
    connection: Connection,
    state: SealingState,
    folder: Path,
    listed: list[VerifierKey],
    old: Signer,
    new: Signer,
) -> None:
    head = await connection.fetchrow(query("get_tree_head"), state.account_id, None)
    if head is None:
        return
    others = current_keys(listed) - {key for key in listed if key.public == old.public.public}
    if not others.isdisjoint(check_signatures(head["note"], listed)):
        return  # another machine seals this log with its own key
    rotations = await connection.fetch(query("list_key_rotations"), state.account_id)
    last = _last_signed([head["note"], *(row["note"] for row in rotations)], old)
    if last is None or last.size < state.sealed:
        raise LogDamaged("its last checkpoint is by a key that was replaced")
    known = CheckpointFiles(folder, state.account_id).known()
    await _compare(connection, state, [last, *known])
    time = max(last.time, await read_time(connection))
    last = msgspec.structs.replace(last, time=time)
    note = cosign(sign(last, old.name, old.private), new.name, new.private)
    await connection.execute(
        query("record_key_rotation"), state.account_id, last.size, last.root, note
    )


def _last_signed(notes: list[str], signer: Signer) -> Checkpoint | None:
    """The largest of these checkpoints that the signer has signed, under any name."""
    signed = []
    for note in notes:
        names = {name for name, _ in signatures(note)}
        with suppress(NoteInvalid):
            signed.append(verify(note, [VerifierKey(n, signer.public.public) for n in names]))
    return max(signed, key=lambda checkpoint: checkpoint.size, default=None)


async def _compare(connection: Connection, state: SealingState, known: list[Checkpoint]) -> None:
    """Compares checkpoints with the log, whose leaves are hashed anew."""
    account_id = state.account_id
    tree, size = TreeBuilder(), 0
    for checkpoint in sorted(known, key=lambda one: one.size):
        if checkpoint.size > state.head:
            raise LogDamaged(
                f"a checkpoint has {counted(checkpoint.size, 'event')}, "
                f"the log ends at {state.head}"
            )
        while size < checkpoint.size:
            upto = min(size + STEP, checkpoint.size)
            joined = await connection.fetchval(query("get_leaf_hashes"), account_id, size, upto)
            tree.extend(entries(joined))
            size = upto
        if tree.size != checkpoint.size or tree.root() != checkpoint.root:
            raise LogDamaged(f"of {counted(checkpoint.size, 'event')} the log has another root")
