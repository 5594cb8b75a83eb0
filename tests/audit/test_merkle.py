"""The tree of RFC 6962 against the vectors of Certificate Transparency's own tests."""

from __future__ import annotations

import hashlib

import pytest

from holdfast.audit.merkle import EMPTY_ROOT, Node, Peaks, leaf_hash, node_hash, root_of

LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
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


def recursive_root(hashes: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(recursive_root(hashes[:split]), recursive_root(hashes[split:]))


@pytest.mark.parametrize("size", range(9))
def test_roots_of_the_known_trees(size: int) -> None:
    assert root_of([leaf_hash(leaf) for leaf in LEAVES[:size]]).hex() == ROOTS[size]


def test_the_empty_root_is_the_hash_of_nothing() -> None:
    assert EMPTY_ROOT == Peaks().root() == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("size", [*range(9, 70), 1000])
def test_appending_gives_the_root_of_the_definition(size: int) -> None:
    hashes = [leaf_hash(b"%d" % number) for number in range(size)]
    assert root_of(hashes) == recursive_root(hashes)


def test_appending_gives_each_inner_node_once() -> None:
    peaks = Peaks()
    made = [node for number in range(8) for node in peaks.append(leaf_hash(LEAVES[number]))]
    assert sorted((node.level, node.index) for node in made) == [
        (1, 0),
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 0),
        (2, 1),
        (3, 0),
    ]
    assert made[-1] == Node(3, 0, bytes.fromhex(ROOTS[8]))


def test_a_tree_goes_on_from_its_peaks() -> None:
    first = Peaks()
    for leaf in LEAVES[:5]:
        first.append(leaf_hash(leaf))
    second = Peaks(first.size, first.hashes)
    for leaf in LEAVES[5:]:
        second.append(leaf_hash(leaf))
    assert second.root().hex() == ROOTS[8]


def test_a_leaf_never_hashes_like_a_node() -> None:
    left, right = leaf_hash(b"left"), leaf_hash(b"right")
    assert node_hash(left, right) != leaf_hash(left + right)
