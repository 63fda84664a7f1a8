"""A tree in tiles has the defined roots and proofs, and reads few tiles for them."""

import random

import asyncpg
import pytest

from eventstore.connections import Connection, Pool
from eventstore.errors import TilesMissing
from eventstore.sealing.merkle import node_hash
from eventstore.sealing.tiles import StoredTiles, TiledTree, edge_keys, grow
from tests.eventstore.sealing.proofs import is_consistent, is_included, prove_inclusion
from tests.eventstore.sealing.trees import (
    TilesInMemory,
    naive_path,
    naive_proof,
    naive_root,
    some_leaves,
)

FULL = 8192


async def grown(leaves: list[bytes], height: int, steps: list[int]) -> TilesInMemory:
    """The tiles of a tree that has grown by steps from its edge."""
    reader = TilesInMemory()
    size = 0
    for step in steps:
        edge = await reader.read(edge_keys(size, height))
        reader.tiles |= grow(size, edge, leaves[size : size + step], height)
        size += step
    assert size == len(leaves)
    return reader


def random_steps(total: int, chance: random.Random) -> list[int]:
    steps = []
    while total:
        steps.append(min(total, chance.choice([1, 2, 3, 7, 50, 256])))
        total -= steps[-1]
    return steps


@pytest.mark.parametrize("height", [1, 2, 3, 8])
async def test_a_tree_that_grew_by_any_steps_has_the_roots_that_it_ever_had(height: int) -> None:
    leaves = some_leaves(300)
    reader = await grown(leaves, height, random_steps(300, random.Random(height)))
    tree = TiledTree(reader, height)
    for size in range(301):
        assert await tree.root(size) == naive_root(leaves[:size])


@pytest.mark.parametrize("height", [1, 2, 3, 8])
async def test_proofs_from_tiles_equal_those_of_the_definition(height: int) -> None:
    leaves = some_leaves(150)
    tree = TiledTree(await grown(leaves, height, [149, 1]), height)
    for size in (1, 2, 3, 63, 64, 65, 149, 150):
        for n in range(size):
            assert await prove_inclusion(tree, n, size) == naive_path(n, leaves[:size])
            assert await tree.prove_consistency(n + 1, size) == naive_proof(n + 1, leaves[:size])


@pytest.mark.parametrize("height", [1, 2, 3])
async def test_every_boundary_of_small_tiles_three_levels_up_is_crossed_whole(height: int) -> None:
    """Height 2 has at 16, 64 and 256 leaves what height 8 has at 65,536 and beyond."""
    leaves = some_leaves(270)
    for edge in (1 << height * n for n in range(1, 5) if 1 << height * n < 269):
        for first in (edge - 1, edge, edge + 1):
            reader = await grown(leaves, height, [first, 1, 270 - first - 1])
            assert await TiledTree(reader, height).root(270) == naive_root(leaves)
            assert reader.tiles == (await grown(leaves, height, [270])).tiles


@pytest.mark.parametrize("first", [255, 256, 257, 65_535, 65_536, 65_537])
async def test_a_tree_over_the_boundaries_of_tiles_has_its_root(first: int) -> None:
    leaves = some_leaves(first + 2)
    reader = await grown(leaves, 8, [first, 1, 1])
    tree = TiledTree(reader)
    for size in (first, first + 1, first + 2):
        assert await tree.root(size) == naive_root(leaves[:size])


class EndlessTiles:
    """A tree of any size with equal leaves; counts the tiles read."""

    def __init__(self) -> None:
        self.reads = 0

    async def read(self, keys: object) -> dict[tuple[int, int], bytes]:
        assert isinstance(keys, set)
        self.reads += len(keys)
        return {key: self.node(8 * key[0]) * 256 for key in keys}

    def node(self, level: int) -> bytes:
        node = bytes(32)
        for _ in range(level):
            node = node_hash(node, node)
        return node


@pytest.mark.parametrize("size", [10**6, 10**9, 10**12 + 12_345])
async def test_proofs_at_great_sizes_read_two_tiles_a_level_at_most(size: int) -> None:
    levels = (size.bit_length() + 7) // 8
    chance = random.Random(size)
    for n in [
        0,
        1,
        255,
        256,
        size // 3,
        size - 2,
        *(chance.randrange(size - 1) for _ in range(50)),
    ]:
        reader = EndlessTiles()
        tree = TiledTree(reader)
        proof = await prove_inclusion(tree, n, size)
        assert reader.reads <= 2 * levels
        assert len(proof) <= size.bit_length()
        root = await tree.root(size)
        assert is_included(n, size, bytes(32), proof, root)
        reader.reads = 0
        proof = await tree.prove_consistency(n + 1, size)
        assert reader.reads <= 2 * levels
        assert is_consistent(n + 1, size, await tree.root(n + 1), root, proof)


async def test_a_root_beyond_the_tree_is_an_error() -> None:
    tree = TiledTree(await grown(some_leaves(10), 8, [10]))
    for ask in (tree.root(11), prove_inclusion(tree, 3, 11), tree.prove_consistency(10, 300)):
        with pytest.raises(TilesMissing):
            await ask


async def test_growth_from_a_wrong_edge_is_an_error() -> None:
    leaves = some_leaves(10)
    edge = (await grown(leaves, 8, [10])).tiles
    for size in (9, 11, 266):
        with pytest.raises(TilesMissing):
            grow(size, edge, leaves)


@pytest.fixture
def stored(workers: Pool) -> StoredTiles:
    """The tiles of the first account's tree."""
    return StoredTiles(workers, 1)


async def test_stored_tiles_are_read_as_they_were_written(stored: StoredTiles) -> None:
    leaves = some_leaves(600)
    assert await stored.size() == 0
    for first, end in ((0, 100), (100, 256), (256, 600)):
        edge = await stored.read(edge_keys(first))
        await stored.store(grow(first, edge, leaves[first:end]))
        assert await stored.size() == end
    tree = TiledTree(stored)
    for size in (0, 1, 256, 257, 512, 600):
        assert await tree.root(size) == naive_root(leaves[:size])
    assert await prove_inclusion(tree, 300, 600) == naive_path(300, leaves)


async def test_a_stored_tile_may_grow_and_nothing_else(stored: StoredTiles) -> None:
    leaves = some_leaves(3)
    await stored.store({(0, 0): b"".join(leaves[:2])})
    for worse in (leaves[0], b"".join(leaves[:2]), b"".join(reversed(leaves)), bytes(96)):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await stored.store({(0, 0): worse})
    await stored.store({(0, 0): b"".join(leaves)})
    assert await stored.read([(0, 0)]) == {(0, 0): b"".join(leaves)}


@pytest.mark.parametrize("hashes", [b"", bytes(31), bytes(FULL + 32)])
async def test_a_tile_holds_whole_hashes_and_no_more_than_fit(
    stored: StoredTiles, hashes: bytes
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await stored.store({(0, 0): hashes})


CHANGES = {
    "tree_tiles": (
        "UPDATE tree_tiles SET hashes = hashes",
        "UPDATE tree_tiles SET level = 1, hashes = hashes || hashes",
        "UPDATE tree_tiles SET hashes = sha256('') || hashes",
        "DELETE FROM tree_tiles",
        "DELETE FROM tree_tiles WHERE false",
        "TRUNCATE tree_tiles",
    ),
    "tree_heads": (
        "UPDATE tree_heads SET note = note",
        "UPDATE tree_heads SET note = note WHERE false",
        "DELETE FROM tree_heads",
        "TRUNCATE tree_heads",
    ),
    "log_origins": (
        "UPDATE log_origins SET origin = 'other/1'",
        "DELETE FROM log_origins",
        "TRUNCATE log_origins",
    ),
    "key_rotations": (
        "UPDATE key_rotations SET note = note",
        "DELETE FROM key_rotations",
        "TRUNCATE key_rotations",
    ),
}
FILL = """
INSERT INTO tree_tiles VALUES (1, 0, 0, sha256('a'));
INSERT INTO tree_heads VALUES (1, 1, sha256('a'), 'note', now());
INSERT INTO log_origins VALUES (1, 'log/1', 1);
INSERT INTO key_rotations VALUES (1, 1, sha256('a'), 'note');
"""


@pytest.mark.parametrize("replica", [False, True], ids=["", "with triggers switched off"])
@pytest.mark.parametrize("table", CHANGES)
async def test_not_even_the_owner_can_change_what_is_sealed(
    owner: Connection, table: str, replica: bool
) -> None:
    await owner.execute(FILL)
    before = await owner.fetch(f"SELECT * FROM {table}")
    if replica:
        await owner.execute("SET session_replication_role = replica")
    for change in CHANGES[table]:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await owner.execute(change)
    assert await owner.fetch(f"SELECT * FROM {table}") == before != []
