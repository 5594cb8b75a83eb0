"""Whether the whole log holds, in one pass: about 5 us an entry. What does not hold is named by `verify`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec
from sqlalchemy.exc import DBAPIError

from holdfast.audit.merkle import Peaks
from holdfast.audit.store import leaves as store
from holdfast.audit.store import tree
from holdfast.storage import Tx

__all__ = ["quick_roots"]


class _Signed(msgspec.Struct):
    """The parts of a leaf that bind what is stored beside it."""

    workspace: str
    object: str
    before: str | None
    after: str | None
    reason: str | None


def quick_roots(tx: Tx, sizes: Iterable[int]) -> dict[int, bytes] | None:
    """The roots of the tree at the given sizes and at its full size, when everything in the tables holds; else None.

    Every leaf is hashed, its details are compared with it, every node is compared with its children, and the head
    with the nodes.
    """
    try:
        head = tree.load_head(tx)
        size = 0 if head is None else head.size
        hashes = _leaf_hashes(tx, size)
        if hashes is None or tree.count_nodes(tx) != _node_count(size):
            return None
        levels = _levels(tx, hashes)
    except (DBAPIError, AttributeError, TypeError, ValueError):
        # Bytes that are no text, or a value of another type than its column.
        return None
    if levels is None or (head is not None and head.peaks != _peaks(levels, size)):
        return None
    return {at: Peaks(at, _peaks(levels, at)).root() for at in {*sizes, size} if at <= size}


def _leaf_hashes(tx: Tx, size: int) -> list[bytes] | None:
    """The hashes of all leaves, computed; None when one of them, or what is stored beside one, is not as it was."""
    sha256, decode = hashlib.sha256, msgspec.json.Decoder(_Signed).decode
    hashes: list[bytes] = []
    for rows in store.iterate_rows(tx):
        for index, leaf, leaf_hash, workspace, thing, before, after, reason, salt in rows:
            hashed = sha256(b"\x00" + leaf).digest()
            if hashed != leaf_hash or index != len(hashes):
                return None
            signed = decode(leaf)
            if signed.workspace != workspace or signed.object != thing:
                return None
            if before is not None and sha256(before).hexdigest() != signed.before:
                return None
            if after is not None and sha256(after).hexdigest() != signed.after:
                return None
            if reason is not None and sha256((salt or b"") + reason.encode()).hexdigest() != signed.reason:
                return None
            hashes.append(hashed)
    return hashes if len(hashes) == size else None


def _levels(tx: Tx, hashes: list[bytes]) -> list[list[bytes]] | None:
    """The hashes of the complete subtrees by level, computed; None when a stored node differs."""
    sha256 = hashlib.sha256
    levels = [hashes]
    while len(levels[-1]) > 1:
        below = iter(levels[-1])
        made = [sha256(b"\x01" + left + right).digest() for left, right in zip(below, below, strict=False)]
        if tree.load_level(tx, len(levels)) != list(enumerate(made)):
            return None
        levels.append(made)
    return levels


def _peaks(levels: list[list[bytes]], size: int) -> list[bytes]:
    found, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            found.append(levels[level][start >> level])
            start += 1 << level
    return found


def _node_count(size: int) -> int:
    """How many inner nodes a tree of `size` leaves has: each complete subtree of two leaves or more."""
    return sum(size >> level for level in range(1, size.bit_length()))
