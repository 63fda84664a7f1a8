"""A Merkle tree stored in tiles: reads nodes, roots and proofs, and grows the tree.

Tile i of level 0 holds the leaf hashes from 256·i on; each entry of a tile of level n is the root
of a full tile of level n − 1. Nodes between two levels are computed from a tile's entries. Only
the last tile of a level may be partial; a full tile never changes.
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
"""The joined hashes of each tile."""


class TileReader(Protocol):
    """A source of tiles."""

    async def read(self, keys: Collection[Key]) -> Tiles:
        """The tiles that exist, of those requested."""
        ...


class StoredTiles:
    """The tiles of one account's tree in the database.

    Args:
        connection: Of a role that sees the account's tiles.
        height: Levels that a tile spans.
    """

    def __init__(
        self, connection: Connection | Pool, account_id: int, height: int = HEIGHT
    ) -> None:
        self._connection = connection
        self._account_id = account_id
        self._height = height

    async def read(self, keys: Collection[Key]) -> Tiles:
        """The stored tiles of those requested, in one query."""
        if not keys:
            return {}
        levels, indexes = zip(*keys, strict=True)
        rows = await self._connection.fetch(query("read_tiles"), self._account_id, levels, indexes)
        return {(row["level"], row["index"]): row["hashes"] for row in rows}

    async def size(self) -> int:
        """The number of leaves in the tiles."""
        width = 1 << self._height
        size = await self._connection.fetchval(query("get_tree_size"), self._account_id, width)
        return int(size)

    async def store(self, tiles: Tiles) -> None:
        """Writes tiles, all or none. An existing tile may only grow."""
        levels, indexes = zip(*tiles, strict=True)
        hashes = list(tiles.values())
        await self._connection.execute(
            query("store_tiles"), self._account_id, levels, indexes, hashes
        )


class TiledTree:
    """Roots and proofs of a tree in tiles; each reads a few tiles of each level at once.

    Args:
        reader: The tree's tiles.
        height: Levels that a tile spans.
    """

    def __init__(self, reader: TileReader, height: int = HEIGHT) -> None:
        self._reader = reader
        self._height = height

    async def root(self, size: int) -> bytes:
        """The root of the tree at a past or current size.

        Raises:
            TilesMissing: The tree is smaller.
        """
        return (await self.roots([(0, size)]))[0]

    async def prove_consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the tree of size `new` begins with the tree of size `old`.

        Raises:
            TilesMissing: The tree is smaller.
            ValueError: Not 0 < old <= new.
        """
        return await self.roots(consistency_spans(old, new))

    async def roots(self, spans: Sequence[Span]) -> list[bytes]:
        """The roots of spans that are subtrees, in one read of tiles.

        Raises:
            TilesMissing: The tree is smaller.
        """
        nodes = [nodes_of(span) for span in spans]
        distinct = {node for listed in nodes for node in listed}
        hashes = await read_nodes(self._reader, distinct, self._height)
        return [join([hashes[node] for node in listed]) for listed in nodes]


async def read_nodes(
    reader: TileReader, nodes: Collection[Node], height: int = HEIGHT
) -> dict[Node, bytes]:
    """The hashes of nodes, in one read of tiles.

    Raises:
        TilesMissing: The tree is too small for a node.
    """
    locations = {node: _location(node, height) for node in nodes}
    tiles = await reader.read({key for key, _, _ in locations.values()})
    return {node: _hash(tiles, location) for node, location in locations.items()}


def _location(node: Node, height: int) -> tuple[Key, int, int]:
    """A node's tile, and the first and number of the tile's entries below the node."""
    level, index = node
    tile_level, inside = divmod(level, height)
    first = index << inside
    return (tile_level, first >> height), first & ((1 << height) - 1), 1 << inside


def _hash(tiles: Tiles, location: tuple[Key, int, int]) -> bytes:
    key, first, number = location
    hashes = entries(tiles.get(key, b"")[first * HASH : (first + number) * HASH])
    if len(hashes) < number:
        raise TilesMissing(f"tile {key[1]} of level {key[0]} ends before it should")
    return full_root(hashes)


def entries(tile: bytes) -> list[bytes]:
    """The hashes in a tile."""
    return [tile[at : at + HASH] for at in range(0, len(tile), HASH)]


def edge_keys(size: int, height: int = HEIGHT) -> list[Key]:
    """The partial tiles of a tree of that size, which its growth extends."""
    keys = []
    level = 0
    while number := size >> (height * level):
        if number & ((1 << height) - 1):
            keys.append((level, number >> height))
        level += 1
    return keys


def grow(size: int, edge: Tiles, leaves: Sequence[bytes], height: int = HEIGHT) -> dict[Key, bytes]:
    """The tiles that change, and the new ones, when leaves are added to a tree.

    Args:
        size: Number of leaves before.
        edge: The tiles of `edge_keys`.
        leaves: The hashes of the new leaves.

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
