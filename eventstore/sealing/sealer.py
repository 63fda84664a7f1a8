"""Seals the logs: grows their Merkle trees and publishes signed checkpoints of them.

Every service process has a sealer. A lock of its session lets one at a time lead; the others ask
for the lock every second, so that one that dies is replaced.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from eventstore.clock import read_time
from eventstore.connections import KEPT_PLANS, AccountConnection, Connection, LogGrowth, connect
from eventstore.database_errors import DATABASE_ERRORS, is_passing
from eventstore.errors import (
    CheckpointFilesFailed,
    EventStoreError,
    KeyRefused,
    LogDamaged,
    PathUntrusted,
)
from eventstore.primary import Primary
from eventstore.readable_numbers import counted
from eventstore.sealing.checkpoint_files import CheckpointFiles, accounts_with_files
from eventstore.sealing.signed_checkpoint import Checkpoint, is_replaced, sign
from eventstore.sealing.signing_keys import (
    KeyLocation,
    Signer,
    is_ended,
    lock_keys,
    open_locked_signer,
)
from eventstore.sealing.tiles import HEIGHT, Key, StoredTiles, TiledTree, edge_keys, entries, grow
from sql.loader import query

STEP = 50_000
"""Leaves that one transaction adds at most."""

_LOCK = 0x636F6C6C7365616C  # "collseal"
_LOOK = 1.0
_PAGE = 1_000
_SLICE = 2_048
"""Leaves after which a process with other things to do gets to them."""

_SAY_AGAIN = 60.0
log = structlog.get_logger("colloquy.sealer")

T = TypeVar("T")


class SealingState(msgspec.Struct, frozen=True):
    """How far an account's log is sealed. `root` and `sealed_at` are the last checkpoint's."""

    account_id: int
    head: int
    sealed: int
    root: bytes | None
    sealed_at: datetime | None


async def sealing_states(
    connection: Connection, account_id: int | None = None
) -> list[SealingState]:
    """How far each account's log is sealed, or that of one."""
    return [SealingState(*row) for row in await connection.fetch(query("list_sealing"), account_id)]


class Sealer:
    """Seals all logs for as long as it leads.

    Args:
        url: The owner's connection URL.
        place: Where the key is. It is read anew for each checkpoint, so that it can be replaced.
        folder: For the files of checkpoints.
        seconds: Pause between two rounds.
        height: Levels of the tree that one tile spans.
        primary: Shared with the process's other connections.
    """

    def __init__(
        self,
        url: str,
        place: KeyLocation,
        folder: Path,
        seconds: float,
        height: int = HEIGHT,
        primary: Primary | None = None,
    ) -> None:
        self._url = url
        self._primary = primary
        self._place = place
        self._folder = folder
        self._seconds = seconds
        self._height = height
        self._growth = LogGrowth()
        self._sound: set[int] = set()
        self._said: dict[tuple[str, int], float] = {}

    async def run(self) -> None:
        """Runs until it is cancelled; a database that is away is waited for."""
        while True:
            try:
                async with self.leading() as connection:
                    while True:
                        await self.seal(connection)
                        await asyncio.sleep(self._seconds)
            except DATABASE_ERRORS as error:
                log.warning("sealer_waiting", error=repr(error))
                await asyncio.sleep(_LOOK)

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[AccountConnection]:
        """The connection whose session leads; waits for the one before it to end.

        All that a leader writes goes over this connection. So when its session is lost, and with
        it the lead, it writes no more.
        """
        connection = await connect(self._url, "colloquy_worker", KEPT_PLANS, self._primary)
        try:
            # Waiting inside the server would hold a snapshot, and with it the vacuum, back.
            while not await connection.fetchval(query("try_lock_sealing"), _LOCK):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK)
            self._sound.clear()
            log.info("sealing_leads")
            yield connection
        finally:
            connection.terminate()

    async def seal(self, connection: AccountConnection) -> None:
        """One round: each log up to the head that it has now.

        An account with which something is wrong is left as it is and told of, in this round and
        those to come, and the others are sealed.
        """
        states = await sealing_states(connection)
        self._growth.reached(max((state.head for state in states), default=0))
        await connection.renew_plans(self._growth)
        await self._look_for_lost({state.account_id for state in states})
        for state in states:
            account_id = state.account_id
            if account_id in self._sound and state.head == state.sealed:
                continue
            self._sound.discard(account_id)
            await self._try_seal(connection, account_id)

    async def _try_seal(self, connection: Connection, account_id: int) -> None:
        try:
            await self._seal_account(connection, account_id)
            self._sound.add(account_id)
        except CheckpointFilesFailed as error:
            self._say("checkpoint_files_failed", account_id, error)
        except LogDamaged as error:
            self._say("log_went_back", account_id, error)
        except EventStoreError as error:
            self._say("sealing_stopped", account_id, error)
        except DATABASE_ERRORS as error:
            if is_passing(error):
                raise
            self._say("sealing_stopped", account_id, error)
        except Exception as error:  # whatever is wrong with one log, the others are sealed
            self._say("sealing_broke", account_id, error)

    async def _seal_account(self, connection: Connection, account_id: int) -> None:
        files = CheckpointFiles(self._folder, account_id)
        tiles = StoredTiles(connection, account_id, self._height)
        known = await self._known(files, account_id)
        # Read after the files: then the log has whatever they rightly know.
        (state,) = await sealing_states(connection, account_id)
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
        await self._grow(connection, state, tiles)
        tree = TiledTree(tiles, self._height)
        claims = {(c.size, c.root): "the checkpoint files" for c in known}
        if state.root:
            claims[state.sealed, state.root] = "the last checkpoint of the database"
        for (size, root), source in claims.items():
            await _compare(tree, size, root, source)
        if state.head > state.sealed:
            await self._publish(connection, state, await tree.root(state.head))
        await self._write(connection, files, account_id)

    async def _look_for_lost(self, accounts: set[int]) -> None:
        """A database that is older than an account has forgotten the whole of its log."""
        for account_id in await asyncio.to_thread(accounts_with_files, self._folder):
            if account_id not in accounts:
                known = f"the checkpoint files know account {account_id}, the database does not"
                self._say("log_went_back", account_id, LogDamaged(known))

    async def _known(self, files: CheckpointFiles, account_id: int) -> list[Checkpoint]:
        """What the files know. Files that cannot be read do not keep the database from sealing."""
        try:
            return await _in_files(files.known)
        except CheckpointFilesFailed as error:
            self._say("checkpoint_files_failed", account_id, error)
            return []

    async def _grow(self, connection: Connection, state: SealingState, tiles: StoredTiles) -> None:
        """Adds the leaves that the tree lacks, reading nothing of it but its right edge."""
        size = await tiles.size()
        if size > state.head:
            raise LogDamaged(f"the tree has {size} leaves, the log ends at {state.head}")
        while size < state.head:
            upto = min(size + STEP, state.head)
            joined = await connection.fetchval(
                query("get_leaf_hashes"), state.account_id, size, upto
            )
            leaves = entries(joined)
            if len(leaves) != upto - size:
                raise LogDamaged(
                    f"the log has {len(leaves)} of the {upto - size} events above {size}"
                )
            await self._add(tiles, size, leaves)
            size = upto

    async def _add(self, tiles: StoredTiles, size: int, leaves: list[bytes]) -> None:
        edge = await tiles.read(edge_keys(size, self._height))
        changed: dict[Key, bytes] = {}
        for first in range(0, len(leaves), _SLICE):
            part = leaves[first : first + _SLICE]
            changed |= grow(size + first, {**edge, **changed}, part, self._height)
            await asyncio.sleep(0)
        await tiles.store(changed)

    async def _publish(self, connection: Connection, state: SealingState, root: bytes) -> None:
        now = await read_time(connection)
        time = max(now, state.sealed_at or now)
        origin = await connection.fetchval(query("get_log_origin"), state.account_id)
        async with _signing(self._place) as signer:
            await _refuse_replaced(connection, state.account_id, signer)
            await asyncio.to_thread(_refuse_ended, self._place, signer)
            origin = origin or f"{signer.name}/{state.account_id}"
            note = sign(Checkpoint(origin, state.head, root, time), signer.name, signer.private)
            await connection.execute(
                query("record_tree_head"), state.account_id, state.head, root, note, time
            )

    async def _write(self, connection: Connection, files: CheckpointFiles, account_id: int) -> None:
        """Brings the files up to the table."""
        size = await _in_files(files.size)
        while heads := await connection.fetch(query("list_tree_heads"), account_id, size, _PAGE):
            await _in_files(files.append, [head["note"] for head in heads])
            size = heads[-1]["size"]

    def _say(self, event: str, account_id: int, error: Exception) -> None:
        """Logs an error once, and again as long as it lasts, but not at every round."""
        now = asyncio.get_running_loop().time()
        if now >= self._said.get((event, account_id), now):
            log.error(event, account_id=account_id, error=str(error))
            self._said[event, account_id] = now + _SAY_AGAIN


async def _compare(tree: TiledTree, size: int, root: bytes, source: str) -> None:
    found = await tree.root(size)
    if found != root:
        raise LogDamaged(
            f"of {counted(size, 'event')} {source} says root {root.hex()}, "
            f"the log's tree {found.hex()}"
        )


async def _refuse_replaced(connection: Connection, account_id: int, signer: Signer) -> None:
    """Raises KeyRefused where another machine has replaced the key, of which this has a copy."""
    for row in await connection.fetch(query("list_key_rotations"), account_id):
        if is_replaced(signer.public, row["note"]):
            raise KeyRefused(
                "the sealing key was replaced on another machine: copy the new one and the list of "
                "keys from there"
            )


def _refuse_ended(place: KeyLocation, signer: Signer) -> None:
    """Raises KeyRefused where the settings lead back to a key that another one has replaced."""
    if is_ended(place, signer.public):
        raise KeyRefused(
            f"the sealing key was replaced, as {place.vkeys} says, and what it signs counts no "
            "more: name its successor, or run `colloquy seal rotate-key`"
        )


@asynccontextmanager
async def _signing(place: KeyLocation) -> AsyncIterator[Signer]:
    """The key, which nobody replaces until what it signed is on record."""
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
    """What is done with files; their errors must not pass for the database's.

    Whoever is cancelled waits for what is being done: afterwards nobody writes any more.
    """
    working = asyncio.ensure_future(asyncio.to_thread(work, *args))
    try:
        return await asyncio.shield(working)
    except (OSError, PathUntrusted) as error:
        raise CheckpointFilesFailed(str(error)) from error
    except asyncio.CancelledError:
        await asyncio.wait((working,))
        raise
