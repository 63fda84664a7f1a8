"""A proof for many leaves is sufficient and minimal."""

from hypothesis import given
from hypothesis import strategies as st

from eventstore.sealing.range_proof import CompactRange, gap_nodes
from eventstore.sealing.tiles import grow, read_nodes
from eventstore.sealing.tree_builder import TreeBuilder
from tests.eventstore.sealing.trees import TilesInMemory, naive_root, some_leaves

LEAVES = some_leaves(700)


async def test_the_root_follows_from_any_leaves_and_the_nodes_between() -> None:
    reader = TilesInMemory()
    reader.tiles.update(grow(0, {}, LEAVES))
    for size, chosen in ((1, {0}), (700, {0, 699}), (700, set()), (513, {3, 4, 511, 512})):
        tree = CompactRange()
        used = 0
        for index in [*sorted(chosen), size]:
            nodes = gap_nodes(tree.size, index)
            hashes = await read_nodes(reader, nodes)
            for node in nodes:
                tree.push(node[0], hashes[node])
            used += len(nodes)
            tree.extend(LEAVES[index : index + 1] if index < size else [])
        assert tree.root() == naive_root(LEAVES[:size])
        assert used <= (len(chosen) + 1) * 2 * size.bit_length()


@given(st.integers(0, 5_000), st.integers(0, 5_000))
def test_the_nodes_of_a_gap_cover_it_without_overlap(first: int, length: int) -> None:
    at = first
    for level, index in gap_nodes(first, first + length):
        assert index << level == at
        at += 1 << level
    assert at == first + length


@given(st.lists(st.integers(0, 40), max_size=20))
def test_a_growing_tree_has_the_root_and_the_tiles_of_its_size(steps: list[int]) -> None:
    """Tiles of four hashes, so that there are many levels."""
    tree = TreeBuilder(height=2)
    for step in steps:
        tree.extend(LEAVES[tree.size : min(700, tree.size + step)])
        assert tree.root() == naive_root(LEAVES[: tree.size])
    digests, tiles = tree.digests(), grow(0, {}, LEAVES[: tree.size], 2)
    assert all(digests.fits(key, hashes) for key, hashes in tiles.items())
    assert sum(map(digests.keys_of, range(digests.levels))) == len(tiles)
    assert not any(digests.fits(key, hashes + bytes(32)) for key, hashes in tiles.items())
