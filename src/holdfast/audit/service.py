"""Appending to the audit log and checking it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from holdfast.audit import verify
from holdfast.audit.leaf import commit_reason, details_bytes, make_leaf
from holdfast.audit.merkle import Peaks, leaf_hash
from holdfast.audit.records import AuditEntry, Change, LogHead, Verification
from holdfast.audit.store import leaves as store
from holdfast.audit.store import tree
from holdfast.audit.words import describe_entry
from holdfast.kernel.errors import NotFound
from holdfast.kernel.matching import Found, Hit, Wanted
from holdfast.kernel.paging import Items, decode_number, encode_token
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage, Tx, lock

__all__ = ["AuditLog", "append", "append_all", "erase_actor"]


def append(
    tx: Tx,
    caller: Caller,
    *,
    action: str,
    object: str,
    digest: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> int:
    """Append one entry inside the transaction of the change that it records, as its last statement.

    `action` is noun.verb ('model.alias'), `object` is kind:name ('model:flights'). Gives the entry's index.
    Atomic with the change: when the transaction rolls back, there is no entry.
    """
    return append_all(tx, caller, [Change(action, object, digest, before, after, reason)])


def append_all(tx: Tx, caller: Caller, changes: Sequence[Change]) -> int:
    """Append an entry for each change, in order, as `append` does, in few statements. Gives the first one's index."""
    bodies = [_body(caller, change) for change in changes]
    lock(tx, "audit")  # the last of the transaction's locks, held for the shortest time
    head = tree.load_head(tx)
    peaks = Peaks() if head is None else Peaks(head.size, head.peaks)
    first, nodes, leaves = peaks.size, [], []
    for change, body in zip(changes, bodies, strict=True):
        hashed = leaf_hash(body.leaf)
        leaves.append(
            store.StoredLeaf(
                idx=peaks.size,
                workspace_id=caller.workspace,
                leaf=body.leaf,
                leaf_hash=hashed,
                object=change.object,
                actor_name=caller.principal.name,
                reason=change.reason or None,
                salt=body.salt,
                before=body.before,
                after=body.after,
            )
        )
        nodes.extend(peaks.append(hashed))
    if leaves:
        store.insert_leaves(tx, leaves)
        tree.grow_tree(tx, nodes, peaks, is_first=head is None)
    return first


class _Body(msgspec.Struct, frozen=True, gc=False):
    leaf: bytes
    salt: bytes | None
    before: bytes | None
    after: bytes | None


def _body(caller: Caller, change: Change) -> _Body:
    # A run that is rolled back and repeated draws another salt; no part of the first one stays.
    salt = os.urandom(32) if change.reason else None
    before, after = details_bytes(change.before), details_bytes(change.after)
    leaf = make_leaf(
        caller,
        action=change.action,
        object=change.object,
        digest=change.digest,
        before=before,
        after=after,
        reason_commitment=None if salt is None else commit_reason(change.reason, salt),
    )
    return _Body(leaf, salt, before, after)


def erase_actor(tx: Tx, name: str) -> None:
    """Take a name off every entry of who bore it; the entries keep the pseudonym, and the tree does not change."""
    store.erase_actor(tx, name)


class AuditLog:
    """Reading and checking the log."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def list_entries(
        self, caller: Caller, *, limit: int = 100, page_token: str = "", object: str | None = None
    ) -> Items[AuditEntry]:
        """Entries of the caller's workspace, newest first; of one object ('model:flights') when it is named."""
        below = decode_number(page_token) if page_token else None
        found = self._storage.read(
            lambda tx: store.list_entries(tx, caller.workspace, below, limit + 1, object)
        )
        more = len(found) > limit
        return Items(found[:limit], encode_token(found[limit - 1].index) if more else None)

    def get_entry(self, caller: Caller, index: int) -> AuditEntry:
        """One entry. Raises NotFound."""
        entry = self._storage.read(lambda tx: store.load_entry(tx, caller.workspace, index))
        if entry is None:
            raise NotFound(f"There is no audit entry {index} in the workspace {caller.workspace!r}.")
        return entry

    def search(self, caller: Caller, wanted: Wanted) -> Found:
        """The entry whose number the text is: `1043`, `#1043`, `audit 1043`."""
        index = wanted.number("audit", "entry")
        entry = (
            None
            if index is None
            else self._storage.read(lambda tx: store.load_entry(tx, caller.workspace, index))
        )
        if entry is None:
            return Found([])
        name, context = f"Audit entry {entry.index}", describe_entry(entry)
        return Found([Hit("audit entry", name, f"/audit/{entry.index}", context, 4, entry.time_ms)])

    def status(self) -> LogHead:
        """How many entries there are, and when the newest was made: for the operator. Cheap."""
        head, time_ms = self._storage.read(lambda tx: (tree.load_head(tx), store.newest_time(tx)))
        return LogHead(0 if head is None else head.size, time_ms)

    def entries_after(self, index: int, limit: int) -> list[AuditEntry]:
        """The entries of every workspace above an index (-1: from the first), in order: for who follows the log.

        No entry is ever added below one that was seen: appending holds the tree's head until the commit.
        """
        return self._storage.read(lambda tx: store.entries_after(tx, index, limit))

    def verify(self) -> Verification:
        """Recompute the whole tree from its leaves and compare every stored hash. Reads one snapshot."""
        return self._storage.read(verify.verify_log)
