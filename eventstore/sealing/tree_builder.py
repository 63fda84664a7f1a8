"""A Merkle tree that grows in memory, with its root and the digests of its tiles."""

import hashlib
from collections.abc import Sequence

from eventstore.sealing.merkle import full_root, join, nodes_of
from eventstore.sealing.tiles import HEIGHT, Key

_DIGEST = 32


class TreeBuilder:
    """Keeps only a digest of each full tile: an eighth of a byte for each leaf.

    Args:
        height: Levels of the tree that one tile spans.
    """

    def __init__(self, height: int = HEIGHT) -> None:
        self._height = height
        self._width = 1 << height
        self._edge: list[list[bytes]] = [[]]
        self._digests: list[bytearray] = [bytearray()]
        self.size = 0

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Adds leaves, given their hashes."""
        self.size += len(leaves)
        self._extend(0, leaves)

    def root(self) -> bytes:
        """The root of the current tree; all its nodes are in the partial tiles."""
        hashes = []
        for level, index in nodes_of((0, self.size)):
            tile_level, inside = divmod(level, self._height)
            first = (index << inside) & (self._width - 1)
            hashes.append(full_root(self._edge[tile_level][first : first + (1 << inside)]))
        return join(hashes)

    def digests(self) -> "TileDigests":
        """The digests of the current tree's tiles."""
        return TileDigests(
            [
                bytes(digests) + (_digest(edge) if edge else b"")
                for digests, edge in zip(self._digests, self._edge, strict=True)
            ]
        )

    def _extend(self, level: int, hashes: Sequence[bytes]) -> None:
        if level == len(self._edge):
            self._edge.append([])
            self._digests.append(bytearray())
        held = self._edge[level]
        held.extend(hashes)
        whole = len(held) - len(held) % self._width
        if not whole:
            return
        above = []
        for at in range(0, whole, self._width):
            tile = held[at : at + self._width]
            self._digests[level] += _digest(tile)
            above.append(full_root(tile))
        del held[:whole]
        self._extend(level + 1, above)


class TileDigests:
    """The digests of a tree's tiles.

    Args:
        levels: The digests of each level's tiles, joined.
    """

    def __init__(self, levels: Sequence[bytes]) -> None:
        self._levels = [level for level in levels if level]

    def keys_of(self, level: int) -> int:
        """The number of tiles of a level."""
        return len(self._levels[level]) // _DIGEST if level < len(self._levels) else 0

    @property
    def levels(self) -> int:
        """The number of levels of tiles."""
        return len(self._levels)

    def fits(self, key: Key, hashes: bytes) -> bool:
        """Whether the tree has a tile with exactly these hashes."""
        level, index = key
        if level >= len(self._levels) or index < 0:
            return False
        digest = self._levels[level][index * _DIGEST : (index + 1) * _DIGEST]
        return digest == hashlib.sha256(hashes).digest()


def _digest(tile: Sequence[bytes]) -> bytes:
    return hashlib.sha256(b"".join(tile)).digest()
