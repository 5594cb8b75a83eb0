"""The table of leaves with their erasable details, and the entries that they show."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    bindparam,
    select,
    update,
)

from holdfast.audit.records import AuditEntry
from holdfast.audit.store.damaged import blob, readable, words
from holdfast.storage import Tx, metadata
from holdfast.storage.direct import Direct, Inserts

__all__ = [
    "StoredLeaf",
    "entries_after",
    "erase_actor",
    "insert_leaves",
    "iterate_leaves",
    "iterate_rows",
    "list_entries",
    "load_entry",
    "load_leaf",
    "load_leaf_hash",
    "load_range",
    "newest_time",
]

_leaves = Table(
    "audit_leaf",
    metadata,
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("workspace_id", String(64), nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("object", String(600), nullable=False),
    Column("actor_name", String(200), nullable=False),
    Column("reason", Text),
    Column("salt", LargeBinary),
    Column("before", LargeBinary),
    Column("after", LargeBinary),
    Index("ix_audit_leaf_workspace_id_idx", "workspace_id", "idx"),
    Index("ix_audit_leaf_workspace_id_object_idx", "workspace_id", "object", "idx"),
)
_BLOCK = 4096
_NEW_LEAVES = Inserts(_leaves)
_LOAD_HASH = Direct(select(_leaves.c.leaf_hash).where(_leaves.c.idx == bindparam("at_idx")))
_NEXT_ROWS = Direct(
    select(
        _leaves.c.idx,
        _leaves.c.leaf,
        _leaves.c.leaf_hash,
        _leaves.c.workspace_id,
        _leaves.c.object,
        _leaves.c.before,
        _leaves.c.after,
        _leaves.c.reason,
        _leaves.c.salt,
    )
    .where(_leaves.c.idx > bindparam("after"))
    .order_by(_leaves.c.idx)
    .limit(_BLOCK)
)
_LOAD_LEAF = Direct(
    select(_leaves).where(
        _leaves.c.workspace_id == bindparam("at_workspace"), _leaves.c.idx == bindparam("at_idx")
    )
)


class StoredLeaf(msgspec.Struct, frozen=True, gc=False):
    """A leaf as it is stored, with the details that its hashes bind."""

    idx: int
    workspace_id: str
    leaf: bytes
    leaf_hash: bytes
    object: str
    actor_name: str
    reason: str | None
    salt: bytes | None
    before: bytes | None
    after: bytes | None


class _Signed(msgspec.Struct, frozen=True):
    """What an entry shows of its leaf; a damaged leaf shows nothing, so that the log can be read all the same."""

    time_ms: int = 0
    actor: str = ""
    auth: str = ""
    action: str = "unreadable"
    object: str = ""
    digest: str | None = None
    request_id: str = ""


def insert_leaves(tx: Tx, leaves: Sequence[StoredLeaf]) -> None:
    """Write leaves, in order."""
    _NEW_LEAVES.run(tx, list(map(msgspec.structs.astuple, leaves)))


def iterate_leaves(tx: Tx) -> Iterator[StoredLeaf]:
    """All leaves in order of index, whatever their bytes are: text that is not valid UTF-8 comes with marks in it."""
    columns = readable(tx, _leaves.c)
    for row in tx.execute(select(*columns).order_by(_leaves.c.idx)).yield_per(1000):
        yield _leaf(row)


def iterate_rows(tx: Tx) -> Iterator[Sequence[Any]]:
    """As `iterate_leaves`, in blocks of rows (index, leaf, leaf hash, workspace, object, before, after, reason, salt).

    As the driver gives them: making a row object of each would take longer than hashing it.
    """
    after = -(2**63)
    while rows := _NEXT_ROWS.rows(tx, {"after": after}):
        yield rows
        after = rows[-1][0]


def load_range(tx: Tx, start: int, end: int) -> list[StoredLeaf]:
    """The leaves from `start` up to, not with, `end`, in order."""
    query = select(_leaves).where(_leaves.c.idx >= start, _leaves.c.idx < end).order_by(_leaves.c.idx)
    return [_leaf(row) for row in tx.execute(query)]


def load_leaf(tx: Tx, workspace: str, index: int) -> StoredLeaf | None:
    """One stored leaf of a workspace."""
    rows = _LOAD_LEAF.rows(tx, {"at_workspace": workspace, "at_idx": index})
    return _leaf(rows[0]) if rows else None


def load_leaf_hash(tx: Tx, index: int) -> bytes | None:
    """The stored hash of one leaf."""
    rows = _LOAD_HASH.rows(tx, {"at_idx": index})
    return rows[0][0] if rows else None


def list_entries(
    tx: Tx, workspace: str, before_index: int | None, limit: int, object: str | None = None
) -> list[AuditEntry]:
    """Entries of a workspace, newest first, below `before_index`; of one object alone when it is named."""
    query = select(_leaves).where(_leaves.c.workspace_id == workspace)
    if before_index is not None:
        query = query.where(_leaves.c.idx < before_index)
    if object is not None:
        query = query.where(_leaves.c.object == object)
    return [_entry(_leaf(row)) for row in tx.execute(query.order_by(_leaves.c.idx.desc()).limit(limit))]


def erase_actor(tx: Tx, name: str) -> None:
    """Write `erased` in place of an actor's name, in every workspace."""
    tx.execute(update(_leaves).where(_leaves.c.actor_name == name).values(actor_name="erased"))


def entries_after(tx: Tx, index: int, limit: int) -> list[AuditEntry]:
    """The entries of every workspace above an index, in order."""
    query = select(_leaves).where(_leaves.c.idx > index).order_by(_leaves.c.idx).limit(limit)
    return [_entry(_leaf(row)) for row in tx.execute(query)]


def load_entry(tx: Tx, workspace: str, index: int) -> AuditEntry | None:
    """One entry of a workspace."""
    stored = load_leaf(tx, workspace, index)
    return None if stored is None else _entry(stored)


def newest_time(tx: Tx) -> int | None:
    """The time of the newest entry; None before the first."""
    row = tx.execute(select(_leaves).order_by(_leaves.c.idx.desc()).limit(1)).one_or_none()
    return None if row is None else _entry(_leaf(row)).time_ms


def _leaf(row: Sequence[Any]) -> StoredLeaf:
    index, workspace, leaf, leaf_hash, thing, actor_name, reason, salt, before, after = row
    return StoredLeaf(
        index,
        words(workspace) or "",
        blob(leaf) or b"",
        blob(leaf_hash) or b"",
        words(thing) or "",
        words(actor_name) or "",
        words(reason),
        blob(salt),
        blob(before),
        blob(after),
    )


def _entry(stored: StoredLeaf) -> AuditEntry:
    try:
        signed = msgspec.json.decode(stored.leaf, type=_Signed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        signed = _Signed(object=stored.object)
    return AuditEntry(
        index=stored.idx,
        time_ms=signed.time_ms,
        workspace=stored.workspace_id,
        actor=signed.actor,
        actor_name=stored.actor_name,
        auth=signed.auth,
        action=signed.action,
        object=signed.object,
        digest=signed.digest,
        request_id=signed.request_id,
        reason=stored.reason or "",
        before=_object(stored.before),
        after=_object(stored.after),
        leaf=_object(stored.leaf) or {},
        leaf_hash=stored.leaf_hash.hex(),
    )


def _object(data: bytes | None) -> dict[str, Any] | None:
    """A JSON object out of its bytes; None for none, and for bytes that are damaged."""
    try:
        found = None if data is None else json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
