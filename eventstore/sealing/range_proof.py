"""A proof for many leaves: one hash for each of the largest subtrees in the gaps between them.

A verifier goes over its leaves from left to right, and takes the next hash of the proof for each
subtree between them. The proof for all leaves is empty.
"""

from collections.abc import Iterable

from eventstore.sealing.merkle import Node, join, node_hash

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
