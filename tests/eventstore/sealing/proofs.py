"""Inclusion proofs, and the checks of proofs that RFC 9162, section 2.1.3 and 2.1.4, gives."""

from collections.abc import Sequence

from eventstore.sealing.merkle import EMPTY_ROOT, HASH, Span, node_hash
from eventstore.sealing.tiles import TiledTree


async def prove_inclusion(tree: TiledTree, index: int, size: int) -> list[bytes]:
    """The proof that a leaf is in the tree of that size.

    Args:
        index: From 0; the leaf of a position is the one before it.

    Raises:
        TilesMissing: The tree was never of that size.
        ValueError: A tree of that size has no such leaf.
    """
    return await tree.roots(inclusion_spans(index, size))


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
