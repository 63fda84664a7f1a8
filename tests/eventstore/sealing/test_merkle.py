"""The tree follows RFC 9162, and no altered proof passes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.sealing.merkle import (
    EMPTY_ROOT,
    Span,
    consistency_spans,
    join,
    leaf_hash,
    node_hash,
    nodes_of,
)
from tests.eventstore.sealing.proofs import inclusion_spans, is_consistent, is_included
from tests.eventstore.sealing.trees import naive_path, naive_proof, naive_root, some_leaves

# Published with RFC 6962's reference implementation, in merkle_tree_test.cc of the repository
# google/certificate-transparency (kInputs, kSHA256Roots, kSHA256Paths, kSHA256Proofs; it counts
# leaves of paths from 1). The hashes of RFC 9162 are the same.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
INPUTS += ["606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS: dict[tuple[int, int], list[str]] = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (3, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (2, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
PROOFS: dict[tuple[int, int], list[str]] = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
PUBLISHED = [leaf_hash(bytes.fromhex(text)) for text in INPUTS]

MOST = 300
LEAVES = some_leaves(MOST)
ROOT_AT = [naive_root(LEAVES[:size]) for size in range(MOST + 1)]

sizes = st.integers(1, MOST)


def root_of(span: Span, leaves: list[bytes]) -> bytes:
    first, end = span
    nodes = [
        leaves[index << level : (index + 1) << level] for level, index in nodes_of((first, end))
    ]
    assert [leaf for node in nodes for leaf in node] == leaves[first:end]
    return join([naive_root(node) for node in nodes])


def path(index: int, size: int, leaves: list[bytes] = LEAVES) -> list[bytes]:
    return [root_of(span, leaves) for span in inclusion_spans(index, size)]


def proof(old: int, new: int, leaves: list[bytes] = LEAVES) -> list[bytes]:
    return [root_of(span, leaves) for span in consistency_spans(old, new)]


def altered(elements: list[bytes]) -> list[list[bytes]]:
    """The proof with each byte of each element changed, elements dropped, doubled and swapped."""
    changed = [
        [*elements[:n], e[:at] + bytes([e[at] ^ 1 << at % 8]) + e[at + 1 :], *elements[n + 1 :]]
        for n, e in enumerate(elements)
        for at in range(len(e))
    ]
    dropped = [elements[:n] + elements[n + 1 :] for n in range(len(elements))]
    doubled = [[*elements[:n], e, *elements[n:]] for n, e in enumerate(elements)]
    shorter = [[*elements[:n], e[:-1], *elements[n + 1 :]] for n, e in enumerate(elements)]
    return [*changed, *dropped, *doubled, *shorter, [*elements, bytes(32)], [*elements, b""]]


def test_the_published_roots_come_out() -> None:
    assert [root_of((0, size), PUBLISHED).hex() for size in range(9)] == ROOTS
    assert EMPTY_ROOT.hex() == ROOTS[0]


def test_the_published_inclusion_proofs_come_out_and_pass() -> None:
    for (number, size), published in PATHS.items():
        made = path(number - 1, size, PUBLISHED)
        assert [element.hex() for element in made] == published
        root = bytes.fromhex(ROOTS[size])
        assert is_included(number - 1, size, PUBLISHED[number - 1], made, root)


def test_the_published_consistency_proofs_come_out_and_pass() -> None:
    for (old, new), published in PROOFS.items():
        made = proof(old, new, PUBLISHED)
        assert [element.hex() for element in made] == published
        assert is_consistent(old, new, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new]), made)


def test_every_proof_of_small_trees_is_the_one_of_the_definition_and_passes() -> None:
    for size in range(1, 70):
        for n in range(size):
            made = path(n, size)
            assert made == naive_path(n, LEAVES[:size])
            assert is_included(n, size, LEAVES[n], made, ROOT_AT[size])
            made = proof(n + 1, size)
            assert made == naive_proof(n + 1, LEAVES[:size])
            assert is_consistent(n + 1, size, ROOT_AT[n + 1], ROOT_AT[size], made)


@settings(deadline=None)
@given(sizes, st.data())
def test_an_inclusion_proof_is_the_one_of_the_definition_and_passes(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    made = path(index, size)
    assert made == naive_path(index, LEAVES[:size])
    assert is_included(index, size, LEAVES[index], made, ROOT_AT[size])


@settings(deadline=None)
@given(sizes, st.data())
def test_a_consistency_proof_is_the_one_of_the_definition_and_passes(
    new: int, data: st.DataObject
) -> None:
    old = data.draw(st.integers(1, new))
    made = proof(old, new)
    assert made == naive_proof(old, LEAVES[:new])
    assert is_consistent(old, new, ROOT_AT[old], ROOT_AT[new], made)


@settings(deadline=None)
@given(sizes, st.data())
def test_an_inclusion_proof_with_anything_altered_fails(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    made, root, leaf = path(index, size), ROOT_AT[size], LEAVES[index]
    assert not any(is_included(index, size, leaf, wrong, root) for wrong in altered(made))
    assert not any(is_included(index, size, wrong[0], made, root) for wrong in altered([leaf])[:32])
    assert not any(is_included(index, size, leaf, made, wrong[0]) for wrong in altered([root])[:32])
    others = set(range(size)) - {index}
    assert not any(is_included(other, size, leaf, made, root) for other in others)


@settings(deadline=None)
@given(sizes, st.data())
def test_a_consistency_proof_with_anything_altered_fails(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    made, before, after = proof(old, new), ROOT_AT[old], ROOT_AT[new]
    assert not any(is_consistent(old, new, before, after, wrong) for wrong in altered(made))
    for n in range(32):
        assert not is_consistent(old, new, altered([before])[n][0], after, made)
        assert not is_consistent(old, new, before, altered([after])[n][0], made)


def test_an_unknown_leaf_and_a_shrunk_tree_are_not_proved() -> None:
    leaf, root = LEAVES[0], ROOT_AT[1]
    assert is_included(0, 1, leaf, [], root)
    for index, size in ((-1, 1), (1, 1), (0, 0), (0, -1)):
        assert not is_included(index, size, leaf, [], root)
    assert not is_consistent(2, 1, ROOT_AT[2], ROOT_AT[1], [])
    assert not is_consistent(-1, 1, ROOT_AT[1], ROOT_AT[1], [])
    assert not is_consistent(0, 1, ROOT_AT[1], ROOT_AT[1], [])
    assert not is_consistent(0, 1, EMPTY_ROOT, ROOT_AT[1], [leaf])


def test_every_tree_begins_with_the_empty_one() -> None:
    assert is_consistent(0, 7, EMPTY_ROOT, ROOT_AT[7], [])
    assert is_consistent(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])


def test_a_leaf_cannot_pass_for_a_node() -> None:
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)
