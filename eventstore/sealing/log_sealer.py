"""Seals one account's log: grows its Merkle tree and publishes a signed checkpoint."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from eventstore.clock import read_time
from eventstore.connections import Connection
from eventstore.errors import CheckpointFilesFailed, KeyRefused, LogDamaged, PathUntrusted
from eventstore.readable_numbers import counted
from eventstore.sealing.checkpoint_files import CheckpointFiles
from eventstore.sealing.sealing_state import SealingState, sealing_states
from eventstore.sealing.signed_checkpoint import Checkpoint, is_replaced, sign
from eventstore.sealing.signing_keys import (
    KeyLocation,
    Signer,
    is_ended,
    lock_keys,
    open_locked_signer,
)
from eventstore.sealing.tiles import Key, StoredTiles, TiledTree, edge_keys, entries, grow
from sql.loader import query

STEP = 50_000
"""Leaves that one transaction adds at most."""

_PAGE = 1_000
_SLICE = 2_048
"""Leaves after which the event loop may run other tasks."""

T = TypeVar("T")

Report = Callable[[str, int, Exception], None]
"""Receives the log event of a failure, the account, and the error."""


class LogSealer:
    """Seals the log of one account.

    Args:
        connection: The leader's; all writes use it.
        place: The signing key's location.
        folder: For all accounts' files of checkpoints.
        height: Levels of the tree that one tile spans.
        report: Receives failures in spite of which the database is sealed.
    """

    def __init__(
        self,
        connection: Connection,
        account_id: int,
        place: KeyLocation,
        folder: Path,
        height: int,
        report: Report,
    ) -> None:
        self._connection = connection
        self._account_id = account_id
        self._place = place
        self._height = height
        self._report = report
        self._files = CheckpointFiles(folder, account_id)
        self._tiles = StoredTiles(connection, account_id, height)

    async def seal(self) -> None:
        """Seals the log up to its current head.

        Raises:
            LogDamaged: The log differs from what was sealed.
            CheckpointFilesFailed: The files cannot be written; the database has the checkpoint.
            KeyRefused, NoteInvalid: The key cannot sign, so nothing was published.
        """
        known = await self._known()
        # Read after the files, so that a sound log has all that they know.
        (state,) = await sealing_states(self._connection, self._account_id)
        if state.sealed > state.head:
            raise LogDamaged(
                f"{counted(state.sealed, 'event')} are sealed, the log ends at {state.head}"
            )
        for checkpoint in known:
            if checkpoint.size > state.head:
                raise LogDamaged(
                    f"the checkpoint files know {counted(checkpoint.size, 'event')}, "
                    f"the log ends at {state.head}"
                )
        await self._grow(state)
        tree = TiledTree(self._tiles, self._height)
        claims = {(c.size, c.root): "the checkpoint files" for c in known}
        if state.root:
            claims[state.sealed, state.root] = "the last checkpoint of the database"
        for (size, root), source in claims.items():
            await _compare(tree, size, root, source)
        if state.head > state.sealed:
            await self._publish(state, await tree.root(state.head))
        await self._write_files()

    async def _known(self) -> list[Checkpoint]:
        """The checkpoints in the files; none if they cannot be read, which is only reported."""
        try:
            return await _in_files(self._files.known)
        except CheckpointFilesFailed as error:
            self._report("checkpoint_files_failed", self._account_id, error)
            return []

    async def _grow(self, state: SealingState) -> None:
        """Adds the missing leaves to the tree; reads only the tree's right edge."""
        size = await self._tiles.size()
        if size > state.head:
            raise LogDamaged(f"the tree has {size} leaves, the log ends at {state.head}")
        while size < state.head:
            upto = min(size + STEP, state.head)
            joined = await self._connection.fetchval(
                query("get_leaf_hashes"), state.account_id, size, upto
            )
            leaves = entries(joined)
            if len(leaves) != upto - size:
                raise LogDamaged(
                    f"the log has {len(leaves)} of the {upto - size} events above {size}"
                )
            await self._add(size, leaves)
            size = upto

    async def _add(self, size: int, leaves: list[bytes]) -> None:
        edge = await self._tiles.read(edge_keys(size, self._height))
        changed: dict[Key, bytes] = {}
        for first in range(0, len(leaves), _SLICE):
            part = leaves[first : first + _SLICE]
            changed |= grow(size + first, {**edge, **changed}, part, self._height)
            await asyncio.sleep(0)
        await self._tiles.store(changed)

    async def _publish(self, state: SealingState, root: bytes) -> None:
        now = await read_time(self._connection)
        time = max(now, state.sealed_at or now)
        origin = await self._connection.fetchval(query("get_log_origin"), state.account_id)
        async with _signing(self._place) as signer:
            await _refuse_replaced(self._connection, state.account_id, signer)
            await asyncio.to_thread(_refuse_retired, self._place, signer)
            origin = origin or f"{signer.name}/{state.account_id}"
            note = sign(Checkpoint(origin, state.head, root, time), signer.name, signer.private)
            await self._connection.execute(
                query("record_tree_head"), state.account_id, state.head, root, note, time
            )

    async def _write_files(self) -> None:
        """Appends the checkpoints that the files lack."""
        size = await _in_files(self._files.size)
        while heads := await self._connection.fetch(
            query("list_tree_heads"), self._account_id, size, _PAGE
        ):
            await _in_files(self._files.append, [head["note"] for head in heads])
            size = heads[-1]["size"]


async def _compare(tree: TiledTree, size: int, root: bytes, source: str) -> None:
    actual = await tree.root(size)
    if actual != root:
        raise LogDamaged(
            f"of {counted(size, 'event')} {source} says root {root.hex()}, "
            f"the log's tree {actual.hex()}"
        )


async def _refuse_replaced(connection: Connection, account_id: int, signer: Signer) -> None:
    """Raises KeyRefused if another machine with a copy of the key has replaced it."""
    for row in await connection.fetch(query("list_key_rotations"), account_id):
        if is_replaced(signer.public, row["note"]):
            raise KeyRefused(
                "the sealing key was replaced on another machine: copy the new one and the list of "
                "keys from there"
            )


def _refuse_retired(place: KeyLocation, signer: Signer) -> None:
    """Raises KeyRefused if the settings name a key that another one has replaced."""
    if is_ended(place, signer.public):
        raise KeyRefused(
            f"the sealing key was replaced, as {place.vkeys} says, and its signatures no longer "
            "count: name its successor, or run `colloquy seal rotate-key`"
        )


@asynccontextmanager
async def _signing(place: KeyLocation) -> AsyncIterator[Signer]:
    """The key; its lock keeps others from replacing it until its signature is recorded."""
    locking = asyncio.ensure_future(asyncio.to_thread(lock_keys, place))
    try:
        await asyncio.shield(locking)
    except asyncio.CancelledError:
        await asyncio.wait((locking,))
        if locking.exception() is None:
            os.close(locking.result())
        raise
    try:
        yield await asyncio.to_thread(open_locked_signer, place)
    finally:
        os.close(locking.result())


async def _in_files(work: Callable[..., T], *args: object) -> T:
    """Runs file operations in a thread; their OSErrors must not pass for the database's.

    A cancelled caller waits for the thread, which would otherwise still write.
    """
    working = asyncio.ensure_future(asyncio.to_thread(work, *args))
    try:
        return await asyncio.shield(working)
    except (OSError, PathUntrusted) as error:
        raise CheckpointFilesFailed(str(error)) from error
    except asyncio.CancelledError:
        await asyncio.wait((working,))
        raise
