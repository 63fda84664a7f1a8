"""Replaces the key that signs checkpoints, and records what each log was by then."""

from datetime import UTC, datetime

import msgspec

from eventstore.connections import Connection, connect
from eventstore.errors import NoteInvalid
from eventstore.keys import (
    KeyPlace,
    Signer,
    generate_successor,
    list_keys,
    locked_keys,
    read_signer,
    replace_key,
)
from eventstore.notes import VerifierKey, cosign, sign, verify
from eventstore.sealer import sealing_states
from sql.loader import query


async def rotate_key(url: str, place: KeyPlace) -> Signer:
    """Puts a new key in the place of the old one, which is gone; its public half stays listed.

    Each log that the old key has sealed gets a record of its size and root by then, signed by both
    keys. Whoever stole the old key can still sign, and backdate; but what it signs counts only as
    a beginning of what the new key has signed.

    Args:
        url: The owner's connection URL.

    Raises:
        KeyRefused: There is no key yet, or it cannot be replaced.
    """
    connection = await connect(url, "colloquy_worker")
    try:
        # Held until the end: a checkpoint by the old key comes before the records or not at all.
        with locked_keys(place):
            old = read_signer(place)
            new = generate_successor(old)
            keys = [key for key in list_keys(place) if key.name == old.name]
            for state in await sealing_states(connection):
                if state.sealed:
                    await _record(connection, state.account_id, keys, old, new)
            replace_key(place, new)
    finally:
        await connection.close()
    return new


async def _record(
    connection: Connection, account_id: int, keys: list[VerifierKey], old: Signer, new: Signer
) -> None:
    head = await connection.fetchrow(query("get_tree_head"), account_id, None)
    assert head is not None
    try:
        last = verify(head["note"], keys)
    except NoteInvalid:  # another machine seals this log, with a key of its own
        return
    time = max(last.time, datetime.now(UTC).replace(microsecond=0))
    last = msgspec.structs.replace(last, time=time)
    note = cosign(sign(last, old.name, old.private), new.name, new.private)
    await connection.execute(query("record_key_rotation"), account_id, last.size, last.root, note)
