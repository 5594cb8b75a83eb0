"""Proofs of RFC 6962: that an entry is in a tree (2.1.1), and that a tree continues an earlier one (2.1.2).

Pure: made from hashes of complete subtrees, which a tree of any later size keeps; checked with the proof alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from holdfast.audit.merkle import node_hash

__all__ = [
    "Subtree",
    "consistency_ranges",
    "inclusion_ranges",
    "is_consistent",
    "is_included",
    "make_proof",
    "subtrees_of",
]

Subtree: TypeAlias = tuple[int, int]
"""A complete subtree of 2^level leaves: (level, index within its level). Level 0 are the leaves."""
Range: TypeAlias = tuple[int, int]
"""The leaves from the first number up to, not with, the second."""


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The leaves under each hash of the inclusion proof, from the leaf upwards. 0 <= index < size."""
    ranges: list[Range] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return ranges[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """The leaves under each hash of the consistency proof. 0 < first <= second; none when they are equal."""
    ranges: list[Range] = []
    low, high, is_whole = 0, second, True
    while first != high:
        middle = low + _split(high - low)
        if first <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low, is_whole = middle, False
    return ([] if is_whole else [(low, high)]) + ranges[::-1]


def subtrees_of(leaves: Range) -> list[Subtree]:
    """The complete subtrees that make up leaves of one proof hash, the largest first."""
    low, high = leaves
    found: list[Subtree] = []
    while low < high:
        level = (high - low).bit_length() - 1
        found.append((level, low >> level))
        low += 1 << level
    return found


def make_proof(
    ranges: Sequence[Range], read: Callable[[Iterable[Subtree]], dict[Subtree, bytes]]
) -> list[bytes]:
    """The proof's hashes. `read` gives the hashes of the subtrees it is asked for, once."""
    parts = [subtrees_of(leaves) for leaves in ranges]
    known = read({subtree for part in parts for subtree in part})
    return [_fold([known[subtree] for subtree in part]) for part in parts]


def is_included(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows the leaf's hash at `index` in the tree of `size` leaves with this root."""
    if not 0 <= index < size or any(len(part) != 32 for part in (leaf, root, *proof)):
        return False
    ranges = inclusion_ranges(index, size)
    if len(ranges) != len(proof):
        return False
    current = leaf
    for (low, _), sibling in zip(ranges, proof, strict=True):
        current = node_hash(sibling, current) if low < index else node_hash(current, sibling)
    return current == root


def is_consistent(first: int, second: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> bool:
    """Whether the proof shows that the tree of `second` leaves begins with that of `first` leaves."""
    if not 0 < first <= second or any(len(part) != 32 for part in (root1, root2, *proof)):
        return False
    ranges = consistency_ranges(first, second)
    if len(ranges) != len(proof):
        return False
    if first == second:
        return root1 == root2
    left = list(zip(ranges, proof, strict=True))
    # Where the first tree is a subtree of the second, its root is where the way up starts.
    old = new = root1 if ranges[0][0] >= first else left.pop(0)[1]
    for (low, _), sibling in left:
        if low >= first:
            new = node_hash(new, sibling)
        else:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
    return old == root1 and new == root2


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def _fold(hashes: Sequence[bytes]) -> bytes:
    current = hashes[-1]
    for left in reversed(hashes[:-1]):
        current = node_hash(left, current)
    return current
