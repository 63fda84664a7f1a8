"""Exports a part of a log, or all of it, as a bundle that proves itself."""

from collections.abc import Collection, Sequence
from pathlib import Path

from eventstore.connections import Connection, connect
from eventstore.errors import NoteInvalid
from eventstore.readable_numbers import counted
from eventstore.sealing.signed_checkpoint import VerifierKey, check_signatures
from eventstore.sealing.signing_keys import KeyLocation, list_keys
from eventstore.sealing.tiles import StoredTiles
from eventstore.sealing.verify_log import Progress
from service.audit.bundle_checkpoints import check_origin, other_checkpoints
from service.audit.bundle_folder import Bundle, BundleRefused, Cut, Reached, Selection, State
from service.audit.bundle_writer import SAVE_EVERY, BundleWriter, Exported
from service.errors import NotFound
from sql.loader import query


async def export_bundle(
    url: str,
    place: KeyLocation,
    account_id: int,
    selection: Selection,
    folder: Path,
    *,
    size: int | None,
    prove: Collection[int] = (),
    progress: Progress,
    save_every: int = SAVE_EVERY,
) -> Exported:
    """Makes a bundle, or resumes one that was interrupted.

    Args:
        url: The owner's connection URL.
        place: Where all keys that ever signed are listed.
        size: Size of the checkpoint at which to cut; None for the last checkpoint.
        prove: Sizes of further checkpoints that the bundle proves consistent with its own, such
            as those that an auditor keeps.
        save_every: Events between two saved states, from which an interrupted export resumes.

    Raises:
        BundleRefused: The folder holds something else, the list lacks a key that signed, or the
            checkpoint is signed by a replaced key and no checkpoint by its successor covers it.
        NotFound: There is no such checkpoint, or the selection has no events.
        LogDamaged: The events are not those that were sealed.
    """
    reader = await connect(url, "colloquy_auditor")
    lookup = await connect(url, "colloquy_auditor")
    try:
        with Bundle(folder).opened() as bundle:
            state = await _state(lookup, bundle, account_id, selection, size)
            keys = list_keys(place)
            _check_signatures(place, keys, [state.cut.note])
            await check_origin(lookup, state.cut)
            others = await other_checkpoints(lookup, state.cut, keys, prove)
            _check_signatures(place, keys, others)
            writer = BundleWriter(
                bundle, state, StoredTiles(lookup, account_id), progress, save_every
            )
            await writer.run(reader)
            await writer.finish(others, keys)
            cut = state.cut
            removed = await lookup.fetchval(
                query("has_removed_since"), cut.account_id, cut.tree_size
            )
            return writer.result(removed_later=removed)
    finally:
        await reader.close()
        await lookup.close()


async def _state(
    connection: Connection,
    bundle: Bundle,
    account_id: int,
    selection: Selection,
    size: int | None,
) -> State:
    """The state in which the export begins or resumes."""
    saved = bundle.state()
    if saved is None:
        return await _begin(connection, account_id, selection, size)
    cut = saved.cut
    same_size = size in (None, cut.tree_size)
    if (cut.account_id, cut.selection) != (account_id, selection) or not same_size:
        raise BundleRefused(f"{bundle.folder} holds an unfinished bundle of something else")
    if await connection.fetchval(query("has_removed_since"), account_id, cut.head):
        # The unfinished bundle may hold texts that have been erased since.
        return await _begin(connection, account_id, selection, cut.tree_size)
    return saved


async def _begin(
    connection: Connection, account_id: int, selection: Selection, size: int | None
) -> State:
    head = await connection.fetchval(query("get_log_head"), account_id)
    if head is None:
        raise NotFound(f"there is no account {account_id}: see `colloquy account list`")
    row = await connection.fetchrow(query("get_tree_head"), account_id, size)
    if row is None:
        which = "" if size is None else f" of {counted(size, 'event')}"
        raise NotFound(f"account {account_id} has no checkpoint{which}: see `colloquy seal status`")
    cut = Cut(
        account_id=account_id,
        selection=selection,
        tree_size=row["size"],
        note=row["note"],
        head=head,
    )
    return State(cut, Reached())


def _check_signatures(
    place: KeyLocation, keys: Sequence[VerifierKey], notes: Sequence[str]
) -> None:
    """Checks the signatures of a bundle's checkpoints, as its verifier will."""
    for note in notes:
        try:
            check_signatures(note, keys)
        except NoteInvalid as error:
            raise BundleRefused(
                f"a checkpoint does not fit the keys in {place.vkeys}: {error}"
            ) from error
