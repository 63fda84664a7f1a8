"""A proof for many leaves: one hash for each of the largest subtrees in the gaps between them.

A verifier goes over its leaves from left to right, and takes the next hash of the proof for each
subtree between them. The proof for all leaves is empty.
"""

from collections.abc import Collection, Iterable, Sequence

from eventstore.errors import TilesMissing
from eventstore.sealing.merkle import Node, full_root, join, node_hash
from eventstore.sealing.tiles import HEIGHT, Key, TileReader, entries

_WIDTH = 1 << HEIGHT

Stack = list[tuple[int, bytes]]
"""Levels and hashes of a tree's complete subtrees, from left to right."""


class CompactRange:
    """A tree built from left to right out of leaves, and of nodes for the gaps between them.

    Args:
        size: Leaves that it covers at the beginning.
        stack: Its subtrees at the beginning.
    """

    def __init__(self, size: int = 0, stack: Stack | None = None) -> None:
        self.size = size
        self.stack: Stack = stack or []

    def push(self, level: int, node: bytes) -> None:
        """Adds the node of the next 2^level leaves."""
        self.size += 1 << level
        while self.stack and self.stack[-1][0] == level:
            node = node_hash(self.stack.pop()[1], node)
            level += 1
        self.stack.append((level, node))

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Adds the next leaves, given their hashes."""
        for leaf in leaves:
            self.push(0, leaf)

    def root(self) -> bytes:
        """The root of the leaves so far."""
        return join([node for _, node in self.stack])


def gap_nodes(size: int, upto: int) -> list[Node]:
    """The largest subtrees that fit between the first `size` leaves and those from `upto` on."""
    nodes = []
    while size < upto:
        level = (upto - size).bit_length() - 1
        if size:
            level = min(level, (size & -size).bit_length() - 1)
        nodes.append((level, size >> level))
        size += 1 << level
    return nodes


async def read_nodes(reader: TileReader, nodes: Collection[Node]) -> dict[Node, bytes]:
    """The hashes of nodes, in one read of tiles.

    Raises:
        TilesMissing: The tree is too small for a node.
    """
    places = {node: _place(node) for node in nodes}
    tiles = await reader.read({key for key, _, _ in places.values()})
    hashes = {key: entries(tile) for key, tile in tiles.items()}
    return {node: _hash(hashes.get(place[0], []), place) for node, place in places.items()}


def _place(node: Node) -> tuple[Key, int, int]:
    """A node's tile, and the first and number of the tile's entries below the node."""
    level, index = node
    tile_level, inside = divmod(level, HEIGHT)
    first = index << inside
    return (tile_level, first >> HEIGHT), first & (_WIDTH - 1), 1 << inside


def _hash(tile: Sequence[bytes], place: tuple[Key, int, int]) -> bytes:
    (level, index), first, number = place
    hashes = tile[first : first + number]
    if len(hashes) < number:
        raise TilesMissing(f"tile {index} of level {level} ends before it should")
    return full_root(hashes)
