"""Trees by the RFC's recursive definitions, to compare the fast ones with."""

import hashlib
from collections.abc import Collection, Sequence

from eventstore.connections import Connection
from eventstore.sealing.tiles import Key, Tiles


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 9162, section 2.1.1, over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = left_size(len(leaves))
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 9162, section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = left_size(len(leaves))
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_proof(old: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PROOF of RFC 9162, section 2.1.4.1."""
    return _subproof(old, leaves, whole=True)


def _subproof(old: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = left_size(len(leaves))
    if old <= k:
        return [*_subproof(old, leaves[:k], whole=whole), naive_root(leaves[k:])]
    return [*_subproof(old - k, leaves[k:], whole=False), naive_root(leaves[:k])]


def left_size(size: int) -> int:
    """The largest power of two below `size`."""
    k = 1
    while 2 * k < size:
        k *= 2
    return k


def some_leaves(number: int) -> list[bytes]:
    """So many different leaf hashes."""
    return [hashlib.sha256(b"\x00%d" % n).digest() for n in range(number)]


class TilesInMemory:
    """Tiles in a dictionary; counts those that are read."""

    def __init__(self) -> None:
        self.tiles: dict[Key, bytes] = {}
        self.reads = 0

    async def read(self, keys: Collection[Key]) -> Tiles:
        self.reads += len(keys)
        return {key: self.tiles[key] for key in keys if key in self.tiles}


async def leaves_of_log(owner: Connection, account_id: int = 1) -> list[bytes]:
    """The leaf hashes of a log, from its lines and by Python's own SHA-256."""
    rows = await owner.fetch(
        "SELECT event_line_v1(e) FROM events e WHERE account_id = $1 ORDER BY position", account_id
    )
    return [hashlib.sha256(b"\x00" + row[0].encode()).digest() for row in rows]
