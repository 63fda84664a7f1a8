"""A Merkle tree kept in tiles: reading nodes, roots and proofs out of them, and growing it.

Tile i of level 0 holds the leaf hashes 256·i and following; an entry of a tile of level n is the
root of a full tile of level n − 1. Whatever lies between two levels is computed inside a tile.
Only the last tile of a level may be partial, and a full one never changes.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from eventstore.connections import Connection, Pool
from eventstore.errors import TilesMissing
from eventstore.sealing.merkle import (
    HASH,
    Node,
    Span,
    consistency_spans,
    full_root,
    join,
    nodes_of,
)
from sql.loader import query

HEIGHT = 8
"""Levels of the tree that one tile spans."""

Key = tuple[int, int]
"""Level and index of a tile."""

Tiles = Mapping[Key, bytes]
"""Tiles as the hashes that they hold, joined."""


class TileReader(Protocol):
    """Where tiles are."""

    async def read(self, keys: Collection[Key]) -> Tiles:
        """Those of the tiles that there are."""
        ...


class StoredTiles:
    """The tiles of one account's tree in the database.

    Args:
        connection: Its role must see the account's tiles.
        height: Levels that a tile spans.
    """

    def __init__(
        self, connection: Connection | Pool, account_id: int, height: int = HEIGHT
    ) -> None:
        self._connection = connection
        self._account_id = account_id
        self._height = height

    async def read(self, keys: Collection[Key]) -> Tiles:
        """Those of the tiles that are stored, in one query."""
        if not keys:
            return {}
        levels, indexes = zip(*keys, strict=True)
        rows = await self._connection.fetch(query("read_tiles"), self._account_id, levels, indexes)
        return {(row["level"], row["index"]): row["hashes"] for row in rows}

    async def size(self) -> int:
        """How many leaves the tiles hold."""
        width = 1 << self._height
        size = await self._connection.fetchval(query("get_tree_size"), self._account_id, width)
        return int(size)

    async def store(self, tiles: Tiles) -> None:
        """Writes tiles, all or none. One that is there may only grow."""
        levels, indexes = zip(*tiles, strict=True)
        hashes = list(tiles.values())
        await self._connection.execute(
            query("store_tiles"), self._account_id, levels, indexes, hashes
        )


class TiledTree:
    """Roots and proofs of a tree in tiles, each in one read of some tiles a level.

    Args:
        reader: Where its tiles are.
        height: Levels that a tile spans.
    """

    def __init__(self, reader: TileReader, height: int = HEIGHT) -> None:
        self._reader = reader
        self._height = height

    async def root(self, size: int) -> bytes:
        """The root that the tree had, or has, at a size.

        Raises:
            TilesMissing: It was never of that size.
        """
        return (await self.roots([(0, size)]))[0]

    async def prove_consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the tree of size `new` begins with the one of size `old`.

        Raises:
            TilesMissing: The tree was never of that size.
            ValueError: Not 0 < old <= new.
        """
        return await self.roots(consistency_spans(old, new))

    async def roots(self, spans: Sequence[Span]) -> list[bytes]:
        """The roots of spans that are subtrees, in one read of the tiles.

        Raises:
            TilesMissing: The tree does not reach that far.
        """
        nodes = [nodes_of(span) for span in spans]
        keys = {self._place(node)[0] for listed in nodes for node in listed}
        tiles = await self._reader.read(keys)
        return [join([self._hash(tiles, node) for node in listed]) for listed in nodes]

    def _place(self, node: Node) -> tuple[Key, int, int]:
        """The tile that a node is computed in, and which of its entries are below it."""
        level, index = node
        tile_level, inside = divmod(level, self._height)
        first = index << inside
        key = (tile_level, first >> self._height)
        return key, first & ((1 << self._height) - 1), 1 << inside

    def _hash(self, tiles: Tiles, node: Node) -> bytes:
        key, first, number = self._place(node)
        hashes = entries(tiles.get(key, b""))[first : first + number]
        if len(hashes) < number:
            raise TilesMissing(f"tile {key[1]} of level {key[0]} ends before it should")
        return full_root(hashes)


def entries(tile: bytes) -> list[bytes]:
    """The hashes in a tile."""
    return [tile[at : at + HASH] for at in range(0, len(tile), HASH)]


def edge_keys(size: int, height: int = HEIGHT) -> list[Key]:
    """The partial tiles of a tree of that size: all that its growth needs to know of it."""
    keys = []
    level = 0
    while number := size >> (height * level):
        if number & ((1 << height) - 1):
            keys.append((level, number >> height))
        level += 1
    return keys


def grow(size: int, edge: Tiles, leaves: Sequence[bytes], height: int = HEIGHT) -> dict[Key, bytes]:
    """The tiles that change or come to be when leaves are added to a tree.

    Args:
        size: Leaves that it has.
        edge: Its tiles that `edge_keys` names.
        leaves: The hashes of the new ones.

    Raises:
        TilesMissing: The edge is not that of a tree of this size.
    """
    width = 1 << height
    changed: dict[Key, bytes] = {}
    level, added = 0, list(leaves)
    while added:
        index, held = divmod(size >> (height * level), width)
        before = edge.get((level, index), b"") if held else b""
        if len(before) != held * HASH:
            raise TilesMissing(f"tile {index} of level {level} does not hold {held} hashes")
        hashes = entries(before) + added
        cut = [hashes[at : at + width] for at in range(0, len(hashes), width)]
        changed |= {(level, index + n): b"".join(tile) for n, tile in enumerate(cut)}
        added = [full_root(tile) for tile in cut if len(tile) == width]
        level += 1
    return changed
