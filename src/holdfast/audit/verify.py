"""Checking the whole log: every leaf against its hash and details, every node, the root; damaged entries by name."""

from __future__ import annotations

import json

from holdfast.audit import store
from holdfast.audit.leaf import commit_reason
from holdfast.audit.merkle import Peaks, leaf_hash
from holdfast.audit.records import Damage, Verification
from holdfast.audit.store import StoredLeaf
from holdfast.kernel.hashing import sha256_hex
from holdfast.storage import Tx

__all__ = ["verify_log"]

_MOST_NAMED = 1000


def verify_log(tx: Tx) -> Verification:
    """Verify every entry of the log; `damaged` names at most 1,000."""
    head, nodes = store.load_head(tx), store.load_nodes(tx)
    peaks = Peaks()
    damaged: list[Damage] = []
    for leaf in store.iterate_leaves(tx):
        while peaks.size < leaf.idx and len(damaged) < _MOST_NAMED:
            damaged.append(Damage(peaks.size, "the entry is missing"))
            peaks.append(b"\x00" * 32)
        damaged.extend(Damage(leaf.idx, problem) for problem in _leaf_problems(leaf))
        for node in peaks.append(leaf_hash(leaf.leaf)):
            stored = nodes.pop((node.level, node.index), None)
            if stored != node.hash:
                damaged.append(_node_damage(node.level, node.index, stored is None))
        if len(damaged) >= _MOST_NAMED:
            break
    else:
        damaged.extend(_head_problems(head, peaks))
        damaged.extend(
            Damage(-1, f"the tree holds a node too many (level {level}, {at})") for level, at in nodes
        )
    return Verification(not damaged, peaks.size, peaks.root().hex(), damaged[:_MOST_NAMED])


def _leaf_problems(leaf: StoredLeaf) -> list[str]:
    if leaf_hash(leaf.leaf) != leaf.leaf_hash:
        return ["the leaf does not match its hash"]
    try:
        signed = json.loads(leaf.leaf)
    except ValueError:
        return ["the leaf is not JSON"]
    problems = []
    for name, stored in (("before", leaf.before), ("after", leaf.after)):
        if stored is not None and signed.get(name) != sha256_hex(stored):
            problems.append(f"the state {name} the change does not match its hash in the leaf")
    if leaf.reason is not None and signed.get("reason") != commit_reason(leaf.reason, leaf.salt or b""):
        problems.append("the reason does not match its commitment in the leaf")
    if signed.get("workspace") != leaf.workspace_id or signed.get("object") != leaf.object:
        problems.append("the index columns do not match the leaf")
    return problems


def _node_damage(level: int, index: int, missing: bool) -> Damage:
    first, last = index << level, ((index + 1) << level) - 1
    what = "is missing" if missing else "does not match"
    return Damage(first, f"the tree node over the entries {first} to {last} {what}")


def _head_problems(head: store.Head | None, peaks: Peaks) -> list[Damage]:
    size = 0 if head is None else head.size
    if size > peaks.size:
        return [
            Damage(at, "the entry is missing")
            for at in range(peaks.size, min(size, peaks.size + _MOST_NAMED))
        ]
    if size < peaks.size:
        return [Damage(at, "the entry is beyond the tree's head") for at in range(size, peaks.size)]
    if head is not None and Peaks(head.size, head.peaks).root() != peaks.root():
        return [Damage(-1, "the root does not match the entries")]
    return []
