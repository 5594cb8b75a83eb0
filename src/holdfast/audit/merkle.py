"""Merkle tree hashing of RFC 6962, section 2.1: leaf hash, node hash, root; appending keeps the peaks alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

__all__ = ["EMPTY_ROOT", "Node", "Peaks", "leaf_hash", "node_hash", "root_of"]

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256 of 0x00 and the leaf (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and the two child hashes (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Node(msgspec.Struct, frozen=True, gc=False):
    """A complete subtree of 2^level leaves, the `index`-th of its level."""

    level: int
    index: int
    hash: bytes


class Peaks:
    """The roots of the complete subtrees that make up a tree of `size` leaves, the largest first."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)

    def append(self, leaf: bytes) -> list[Node]:
        """Add the hash of one leaf; gives the inner nodes (level >= 1) that it completed."""
        made: list[Node] = []
        current, index, level = leaf, self.size, 0
        while index & 1:
            current = node_hash(self.hashes.pop(), current)
            index >>= 1
            level += 1
            made.append(Node(level, index, current))
        self.hashes.append(current)
        self.size += 1
        return made

    def root(self) -> bytes:
        """The tree's root: the peaks folded from the right."""
        if not self.hashes:
            return EMPTY_ROOT
        current = self.hashes[-1]
        for peak in reversed(self.hashes[:-1]):
            current = node_hash(peak, current)
        return current


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, by appending them in order."""
    peaks = Peaks()
    for leaf in leaves:
        peaks.append(leaf)
    return peaks.root()
