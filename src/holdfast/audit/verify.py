"""Checking the whole log: every leaf against its hash and details, every node, the root; damaged entries by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.audit.leaf import commit_reason
from holdfast.audit.merkle import Peaks, leaf_hash, node_hash
from holdfast.audit.quick import quick_roots
from holdfast.audit.records import Damage, Verification
from holdfast.audit.store import leaves as store
from holdfast.audit.store import tree
from holdfast.audit.store.leaves import StoredLeaf
from holdfast.kernel.hashing import sha256_hex
from holdfast.storage import Tx, misplaced_values

__all__ = ["MOST_NAMED", "verify_log"]

MOST_NAMED = 1000
_MISSING = b"\x00" * 32


def verify_log(tx: Tx, signed: Mapping[int, bytes] | None = None) -> Verification:
    """Verify every entry of the log; `damaged` names at most 1,000.

    `signed` are the roots that checkpoints have signed, by the size of the tree. The root is computed from the
    entries alone; a missing one counts as 32 zero bytes.
    """
    signed = signed or {}
    roots = quick_roots(tx, signed)
    if roots is None:
        return _name_damage(tx, signed)
    size = max(roots)
    damaged = [damage for at, root in signed.items() if (damage := _against(at, root, roots.get(at)))]
    return Verification(not damaged, size, roots[size].hex(), damaged[:MOST_NAMED])


def _against(size: int, signed: bytes, root: bytes | None) -> Damage | None:
    """What is wrong with the tree at a size that a checkpoint has signed."""
    if root is None:
        return Damage(-1, f"a checkpoint signed {size} entries, and the log has fewer")
    if root != signed:
        return Damage(-1, f"the first {size} entries are not those that a checkpoint signed")
    return None


def _name_damage(tx: Tx, signed: Mapping[int, bytes]) -> Verification:
    """Verify entry by entry, and name what does not hold."""
    strange = [Damage(-1, problem) for problem in misplaced_values(tx, tree.TABLES, only_numbers=True)]
    if strange:  # Numbers that are none can't be compared with the entries.
        return Verification(False, 0, Peaks().root().hex(), strange[:MOST_NAMED])
    head, stored = tree.load_head(tx), _StoredTree(tree.load_nodes(tx))
    true = Peaks()
    damaged: list[Damage] = []
    roots: dict[int, bytes] = {}
    for leaf in store.iterate_leaves(tx):
        while true.size < leaf.idx and len(damaged) < MOST_NAMED:
            damaged.append(Damage(true.size, "the entry is missing"))
            damaged.extend(stored.append(()))
            true.append(_MISSING)
        if len(damaged) >= MOST_NAMED:
            break
        damaged.extend(Damage(leaf.idx, problem) for problem in _leaf_problems(leaf))
        damaged.extend(stored.append((leaf_hash(leaf.leaf), leaf.leaf_hash)))
        true.append(leaf_hash(leaf.leaf))
        if true.size in signed:
            roots[true.size] = true.root()
    else:
        damaged.extend(stored.head_problems(head))
        if not damaged and head is not None and Peaks(head.size, head.peaks).root() != true.root():
            damaged.append(Damage(-1, "the root does not match the entries"))
        damaged.extend(damage for at, root in signed.items() if (damage := _against(at, root, roots.get(at))))
    return Verification(not damaged, true.size, true.root().hex(), damaged[:MOST_NAMED])


class _StoredTree:
    """The tree as it is stored. Each node is compared with its children once and then taken as it stands, so that
    a damage is named where it is and not again in every node above it.

    A subtree's hash is a tuple of what it may be: one hash, two where two stored things disagree, none where an
    entry is missing.
    """

    def __init__(self, nodes: dict[tuple[int, int], bytes]) -> None:
        self._nodes = nodes
        self._peaks: list[tuple[bytes, ...]] = []
        self._size = 0

    def append(self, leaf: tuple[bytes, ...]) -> Iterator[Damage]:
        """Add a leaf; gives what is wrong with the nodes that it completes. To be exhausted."""
        current, index, level = leaf, self._size, 0
        while index & 1:
            left = self._peaks.pop()
            index, level = index >> 1, level + 1
            stored = self._nodes.pop((level, index), None)
            made = tuple(dict.fromkeys(node_hash(one, other) for one in left for other in current))
            if stored is None:
                yield Damage(-1, f"the tree node over the {_span(level, index)} is missing")
                current = made[:1]
            elif made and stored not in made:
                yield from _mismatch(level, index)
                current = (stored, made[0])
            else:
                current = (stored,)
        self._peaks.append(current)
        self._size += 1

    def head_problems(self, head: tree.Head | None) -> Iterator[Damage]:
        """What is wrong with the head, and the nodes that belong to no entry."""
        size = 0 if head is None else head.size
        if size != self._size:
            what = "is missing" if size > self._size else "is beyond the tree's head"
            first, last = min(size, self._size), max(size, self._size)
            yield from (Damage(at, f"the entry {what}") for at in range(first, min(last, first + MOST_NAMED)))
            return
        start = 0
        levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
        for level, made, peak in zip(levels, self._peaks, [] if head is None else head.peaks, strict=False):
            if made and peak not in made:
                yield from _mismatch(level, start >> level)
            start += 1 << level
        yield from (
            Damage(-1, f"the tree holds a node too many (level {level}, {at})") for level, at in self._nodes
        )


def _mismatch(level: int, index: int) -> Iterator[Damage]:
    """A node that its children do not give. Of two entries below it, either may be the changed one."""
    span = _span(level, index)
    if level > 1:
        yield Damage(-1, f"the tree node over the {span} does not match")
        return
    for entry in range(index << level, (index + 1) << level):
        yield Damage(entry, f"the tree's hash over the {span} does not match")


def _span(level: int, index: int) -> str:
    first, last = index << level, ((index + 1) << level) - 1
    return f"entry {first}" if first == last else f"entries {first} to {last}"


def _leaf_problems(leaf: StoredLeaf) -> list[str]:
    if leaf_hash(leaf.leaf) != leaf.leaf_hash:
        return ["the leaf does not match its hash"]
    try:
        signed = json.loads(leaf.leaf)
    except ValueError:
        signed = None
    if not isinstance(signed, dict):
        return ["the leaf is not a JSON object"]
    return list(_detail_problems(leaf, signed))


def _detail_problems(leaf: StoredLeaf, signed: Mapping[str, Any]) -> Iterator[str]:
    for name, stored in (("before", leaf.before), ("after", leaf.after)):
        if stored is not None and signed.get(name) != sha256_hex(stored):
            yield f"the state {name} the change does not match its hash in the leaf"
    if leaf.reason is not None and signed.get("reason") != commit_reason(leaf.reason, leaf.salt or b""):
        yield "the reason does not match its commitment in the leaf"
    if signed.get("workspace") != leaf.workspace_id or signed.get("object") != leaf.object:
        yield "the index columns do not match the leaf"
