"""Proofs against the definitions of RFC 6962, on every size of small trees and on random ones."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from holdfast.audit.merkle import Peaks, leaf_hash, node_hash, root_of
from holdfast.audit.proofs import (
    Subtree,
    consistency_ranges,
    inclusion_ranges,
    is_consistent,
    is_included,
    make_proof,
)

LEAVES = [leaf_hash(b"%d" % number) for number in range(300)]
NODES: dict[Subtree, bytes] = {(0, at): leaf for at, leaf in enumerate(LEAVES)}
_peaks = Peaks()
NODES |= {(node.level, node.index): node.hash for leaf in LEAVES for node in _peaks.append(leaf)}


def read(wanted: Iterable[Subtree]) -> dict[Subtree, bytes]:
    return {subtree: NODES[subtree] for subtree in wanted}


def inclusion(index: int, size: int) -> list[bytes]:
    return make_proof(inclusion_ranges(index, size), read)


def consistency(first: int, second: int) -> list[bytes]:
    return make_proof(consistency_ranges(first, second), read)


def split(leaves: list[bytes]) -> int:
    return 1 << (len(leaves) - 1).bit_length() - 1


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    k = split(leaves)
    if index < k:
        return [*path(index, leaves[:k]), root_of(leaves[k:])]
    return [*path(index - k, leaves[k:]), root_of(leaves[:k])]


def subproof(first: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2, word for word."""
    if first == len(leaves):
        return [] if whole else [root_of(leaves)]
    k = split(leaves)
    if first <= k:
        return [*subproof(first, leaves[:k], whole), root_of(leaves[k:])]
    return [*subproof(first - k, leaves[k:], False), root_of(leaves[:k])]


@pytest.mark.parametrize("size", range(1, 35))
def test_every_proof_of_small_trees_is_that_of_the_definition_and_holds(size: int) -> None:
    root = root_of(LEAVES[:size])
    for index in range(size):
        proof = inclusion(index, size)
        assert proof == path(index, LEAVES[:size])
        assert is_included(index, size, LEAVES[index], proof, root)
    for first in range(1, size + 1):
        proof = consistency(first, size)
        assert proof == subproof(first, LEAVES[:size], True)
        assert is_consistent(first, size, proof, root_of(LEAVES[:first]), root)


def test_a_proof_needs_few_hashes() -> None:
    for size in (255, 256, 257, 300):
        for index in range(size):
            assert len(inclusion(index, size)) <= 9


def test_no_other_entry_size_or_root_is_proved() -> None:
    chooser = random.Random(6962)
    for _ in range(300):
        size = chooser.randint(2, 300)
        index, root = chooser.randrange(size), root_of(LEAVES[:size])
        proof = inclusion(index, size)
        assert not is_included(index, size, LEAVES[(index + 1) % size], proof, root)
        assert not is_included((index + 1) % size, size, LEAVES[index], proof, root)
        assert not is_included(index, size, LEAVES[index], proof, node_hash(root, root))
        assert not is_included(index, size, LEAVES[index], [*proof, root], root)
        assert not is_included(index, size, LEAVES[index], proof[:-1], root)
        changed = [*proof]
        at = chooser.randrange(len(changed))
        changed[at] = changed[at][:-1] + bytes([changed[at][-1] ^ 1])
        assert not is_included(index, size, LEAVES[index], changed, root)


def test_no_other_history_is_proved() -> None:
    chooser = random.Random(2)
    for _ in range(300):
        second = chooser.randint(2, 300)
        first = chooser.randrange(1, second)
        root1, root2, proof = root_of(LEAVES[:first]), root_of(LEAVES[:second]), consistency(first, second)
        assert not is_consistent(first, second, proof, node_hash(root1, root1), root2)
        assert not is_consistent(first, second, proof, root1, node_hash(root2, root2))
        assert not is_consistent(first, second, [*proof, root1], root1, root2)
        assert not is_consistent(first, second, proof[1:], root1, root2)
        forked = [*LEAVES[: first - 1], leaf_hash(b"forged"), *LEAVES[first:second]]
        assert not is_consistent(first, second, proof, root1, root_of(forked))


@pytest.mark.parametrize("numbers", [(-1, 3), (3, 3), (0, 0), (5, 3)])
def test_numbers_outside_the_tree_prove_nothing(numbers: tuple[int, int]) -> None:
    assert not is_included(*numbers, LEAVES[0], [], LEAVES[0])
    assert not is_consistent(numbers[0], numbers[1], [LEAVES[0]], LEAVES[0], LEAVES[0])


def test_equal_trees_need_no_proof() -> None:
    root = root_of(LEAVES[:7])
    assert is_consistent(7, 7, [], root, root)
    assert not is_consistent(7, 7, [], root, LEAVES[0])
