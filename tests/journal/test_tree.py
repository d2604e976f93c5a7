"""The tree and its proofs against known answers, the RFC's definition, and everything wrong."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import InvalidRequest
from zoran_ray.journal import Tree, consistency_holds, inclusion_holds, leaf_hash, node_hash

# Source: certificate-transparency's merkle_tree_test (the reference vectors of RFC 6962's authors).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
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
INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
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
MOST = 70
DATA = [f"leaf {number}".encode() for number in range(MOST)]
HASHES = [leaf_hash(data) for data in DATA]


def mth(hashes: list[bytes]) -> bytes:
    """Merkle tree hash, word for word from RFC 6962, 2.1."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node_hash(mth(hashes[:k]), mth(hashes[k:]))


def tree_of(hashes: list[bytes], kept_from: int = 0) -> Tree:
    tree = Tree(lambda first, last: hashes[first:last], kept_from)
    tree.take(tree.grown(hashes))
    return tree


@pytest.mark.parametrize("kept_from", [0, 1, 2, 4])
def test_known_answers(kept_from: int) -> None:
    tree = tree_of([leaf_hash(data) for data in LEAVES], kept_from)
    assert [tree.root(size).hex() for size in range(9)] == ROOTS
    for (index, size), path in INCLUSION.items():
        assert [node.hex() for node in tree.inclusion(index, size)] == path
    for (old, size), path in CONSISTENCY.items():
        assert [node.hex() for node in tree.consistency(old, size)] == path


@pytest.mark.parametrize("kept_from", [0, 3, 4])
def test_roots_are_those_of_the_definition_however_it_grows(kept_from: int) -> None:
    tree = Tree(lambda first, last: HASHES[first:last], kept_from)
    for size in range(MOST):
        assert tree.root() == mth(HASHES[:size])
        tree.take(tree.grown([HASHES[size]]))
    assert [tree.root(size) for size in range(MOST)] == [mth(HASHES[:size]) for size in range(MOST)]


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(0, 5))
def test_batches_make_no_difference(sizes: list[int], kept_from: int) -> None:
    tree, first = Tree(lambda a, b: HASHES[a:b], kept_from), 0
    for size in sizes:
        growth = tree.grown(HASHES[first : first + size])
        assert tree.size == first  # nothing has happened yet
        tree.take(growth)
        first += size
    assert (tree.size, tree.root()) == (first, mth(HASHES[:first]))
    if first:
        assert tree.inclusion(first - 1) == tree_of(HASHES[:first]).inclusion(first - 1)


def test_every_inclusion_proof_holds_and_is_short() -> None:
    tree = tree_of(HASHES, 4)
    for size in range(1, MOST + 1):
        for index in range(size):
            path = tree.inclusion(index, size)
            assert len(path) <= (size - 1).bit_length()
            assert inclusion_holds(HASHES[index], index, size, path, tree.root(size))


def test_every_consistency_proof_holds_between_all_sizes() -> None:
    tree = tree_of(HASHES, 4)
    for size in range(MOST + 1):
        for old in range(size + 1):
            path = tree.consistency(old, size)
            assert len(path) <= size.bit_length() + 1
            assert consistency_holds(old, tree.root(old), size, tree.root(size), path)


def test_no_inclusion_proof_holds_for_anything_else() -> None:
    tree = tree_of(HASHES)
    for size in range(1, 20):
        root = tree.root(size)
        for index in range(size):
            path = tree.inclusion(index, size)
            for other in range(20):
                if other != index:
                    assert not inclusion_holds(HASHES[other], index, size, path, root)
                    assert not inclusion_holds(HASHES[index], other, size, path, root)
            if path:
                assert not inclusion_holds(HASHES[index], index, size, path[:-1], root)
                assert not inclusion_holds(HASHES[index], index, size, path[1:], root)
            assert not inclusion_holds(HASHES[index], index, size, [*path, root], root)
            assert not inclusion_holds(
                HASHES[index], index, size, path, HASHES[0] if size > 1 else root[::-1]
            )


def test_no_consistency_proof_holds_for_another_history() -> None:
    tree, forged = tree_of(HASHES), tree_of([leaf_hash(b"forged"), *HASHES[1:]])
    for size in range(1, 24):
        for old in range(1, size + 1):
            path, roots = tree.consistency(old, size), (tree.root(old), tree.root(size))
            assert not consistency_holds(old, forged.root(old), size, roots[1], path)
            assert not consistency_holds(old, roots[0], size, forged.root(size), path)
            assert not consistency_holds(old, roots[0], size, roots[1], [*path, roots[0]])
            if path:
                assert not consistency_holds(old, roots[0], size, roots[1], path[:-1])
                assert not consistency_holds(old, roots[0], size, roots[1], [*path[::-1], b"x" * 32])
            for other in range(1, size + 1):
                if other != old:
                    assert not consistency_holds(other, roots[0], size, roots[1], path)


@given(st.integers(1, MOST), st.data())
def test_a_flipped_bit_breaks_a_proof(size: int, data: st.DataObject) -> None:
    tree = tree_of(HASHES, 4)
    index = data.draw(st.integers(0, size - 1))
    path = tree.inclusion(index, size)
    if path:
        where = data.draw(st.integers(0, len(path) * 256 - 1))
        path[where // 256] = flipped(path[where // 256], where % 256)
        assert not inclusion_holds(HASHES[index], index, size, path, tree.root(size))
    old = data.draw(st.integers(1, size))
    path = tree.consistency(old, size)
    if path:
        where = data.draw(st.integers(0, len(path) * 256 - 1))
        path[where // 256] = flipped(path[where // 256], where % 256)
        assert not consistency_holds(old, tree.root(old), size, tree.root(size), path)


@given(
    st.integers(-2, 2**64),
    st.integers(-2, 2**64),
    st.lists(st.binary(min_size=30, max_size=33), max_size=70),
)
def test_nonsense_is_no_proof(index: int, size: int, path: list[bytes]) -> None:
    assert not inclusion_holds(HASHES[0], index, size, path, HASHES[1])
    if index != 0 or path:
        assert not consistency_holds(index, HASHES[0], size, HASHES[1], path)


def test_what_is_not_there() -> None:
    tree = tree_of(HASHES[:5])
    for ask in (
        lambda: tree.root(6),
        lambda: tree.root(-1),
        lambda: tree.inclusion(5),
        lambda: tree.inclusion(-1),
        lambda: tree.inclusion(3, 3),
        lambda: tree.consistency(4, 3),
        lambda: tree.consistency(6),
    ):
        with pytest.raises(InvalidRequest, match="has 5 entries"):
            ask()


def test_growth_of_another_state_is_refused() -> None:
    tree = tree_of(HASHES[:3])
    stale = tree.grown(HASHES[3:4])
    tree.take(tree.grown(HASHES[3:5]))
    with pytest.raises(ValueError, match="has grown since"):
        tree.take(stale)
    with pytest.raises(ValueError, match="gives them again"):
        Tree(kept_from=1)


def flipped(data: bytes, bit: int) -> bytes:
    return bytes(byte ^ (1 << bit % 8 if at == bit // 8 else 0) for at, byte in enumerate(data))
