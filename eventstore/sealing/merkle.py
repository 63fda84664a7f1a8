"""The arithmetic of a Merkle tree (RFC 9162, section 2.1), without storage or clock.

A *span* is a run of leaves, from the first to the one after the last; each element of a proof is
the root of a span. A *node* is a level and an index: the root of the 2^level leaves that begin at
index · 2^level. Nodes never change while a tree grows, so they can be stored.
"""

import hashlib
from collections.abc import Sequence

Span = tuple[int, int]
Node = tuple[int, int]

HASH = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf_hash(line: bytes) -> bytes:
    """The hash of a leaf, which is one line of the log without its line feed."""
    return hashlib.sha256(b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node above two others."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def full_root(hashes: Sequence[bytes]) -> bytes:
    """The root of nodes of one level, whose number must be a power of two."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[n], level[n + 1]) for n in range(0, len(level), 2)]
    return level[0]


def join(nodes: Sequence[bytes]) -> bytes:
    """The root of a span from the hashes of its nodes, in the order of `nodes_of`."""
    if not nodes:
        return EMPTY_ROOT
    root = nodes[-1]
    for left in reversed(nodes[:-1]):
        root = node_hash(left, root)
    return root


def nodes_of(span: Span) -> list[Node]:
    """The nodes of a span that is a subtree, from left to right."""
    first, end = span
    nodes = []
    while first < end:
        level = (end - first).bit_length() - 1
        nodes.append((level, first >> level))
        first += 1 << level
    return nodes


def consistency_spans(old: int, new: int) -> list[Span]:
    """The spans whose roots prove that a tree has only grown, in the order of the proof.

    Args:
        old: Number of leaves before.
        new: Number of leaves after.

    Raises:
        ValueError: Not 0 < old <= new. Growth from an empty tree needs no proof.
    """
    if not 0 < old <= new:
        raise ValueError(f"no tree of {new} leaves grew out of one of {old}")
    spans = []
    first, end = 0, new
    while old != end:
        middle = first + _split(end - first)
        if old <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((first, middle))
            first = middle
    # A verifier knows the old tree's root, so a span that is the whole old tree is left out.
    return ([(first, end)] if first else []) + spans[::-1]


def _split(size: int) -> int:
    """The largest power of two below `size`: the leaves of the left subtree."""
    return 1 << ((size - 1).bit_length() - 1)
