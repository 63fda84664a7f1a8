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


def inclusion_spans(index: int, size: int) -> list[Span]:
    """The spans whose roots prove that a leaf is in a tree, in the order of the proof.

    Args:
        index: From 0.
        size: Leaves of the tree.

    Raises:
        ValueError: The tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    spans = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((first, middle))
            first = middle
    return spans[::-1]


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


def is_included(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows that the leaf is in the tree with this root (RFC 9162, 2.1.3.2).

    Args:
        leaf: Its hash.
    """
    if not 0 <= index < size or not _are_hashes((leaf, root, *proof)):
        return False
    node, last, found = index, size - 1, leaf
    for element in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(element, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, element)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the proof shows that the new tree begins with the old one (RFC 9162, 2.1.4.2).

    Every tree begins with the empty one, and a tree with itself; their proof is empty.
    """
    if not 0 <= old <= new or not _are_hashes((old_root, new_root, *proof)):
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if old == new:
        return not proof and old_root == new_root
    elements = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    return bool(elements) and _roots_of_both(old, new, elements) == (old_root, new_root)


def _roots_of_both(old: int, new: int, elements: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    of_old = of_new = elements[0]
    for element in elements[1:]:
        if last == 0:
            return None
        if node & 1 or node == last:
            of_old, of_new = node_hash(element, of_old), node_hash(element, of_new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            of_new = node_hash(of_new, element)
        node, last = node >> 1, last >> 1
    return (of_old, of_new) if last == 0 else None


def _split(size: int) -> int:
    """The largest power of two below `size`: how many leaves go to the left."""
    return 1 << ((size - 1).bit_length() - 1)


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH for value in values)
