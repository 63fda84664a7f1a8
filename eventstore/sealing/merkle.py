"""The arithmetic of a Merkle tree as RFC 9162, section 2.1, has it. No storage, no clock.

A *span* is a run of leaves, from the first to the one after the last; every element of a proof is
the root of one. A *node* is a level and an index: the root of the 2^level leaves that begin at
index · 2^level. Nodes never change as a tree grows, so they are what storage keeps.
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
    """The node above so many others of one level, whose number must be a power of two."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[n], level[n + 1]) for n in range(0, len(level), 2)]
    return level[0]


def join(nodes: Sequence[bytes]) -> bytes:
    """The root of a span, given the hashes of its nodes as `nodes_of` lists them."""
    if not nodes:
        return EMPTY_ROOT
    root = nodes[-1]
    for left in reversed(nodes[:-1]):
        root = node_hash(left, root)
    return root


def nodes_of(span: Span) -> list[Node]:
    """The nodes that a span which is a subtree consists of, from left to right."""
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
        old: Leaves that it had.
        new: Leaves that it has.

    Raises:
        ValueError: Not 0 < old <= new. That a tree grew out of nothing needs no proof.
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
    # A verifier knows the root of the old tree, and so needs no piece that is all of it.
    return ([(first, end)] if first else []) + spans[::-1]


def _split(size: int) -> int:
    """The largest power of two below `size`: how many leaves go to the left."""
    return 1 << ((size - 1).bit_length() - 1)
