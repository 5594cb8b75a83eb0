"""The audit tables: leaves with their erasable details, the inner nodes, and the head of the one tree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)

from holdfast.audit.merkle import Node, Peaks
from holdfast.audit.records import AuditEntry, LogHead
from holdfast.storage import Tx, metadata

__all__ = [
    "Head",
    "StoredLeaf",
    "entries_after",
    "erase_actor",
    "insert_leaf",
    "iterate_leaves",
    "list_entries",
    "load_entry",
    "load_head",
    "load_nodes",
    "log_head",
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
_nodes = Table(
    "audit_node",
    metadata,
    Column("level", Integer, nullable=False),
    Column("idx", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("level", "idx"),
)
_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("peaks", LargeBinary, nullable=False),
)


# Built once: building a statement takes SQLAlchemy longer than running it.
_LOAD_HEAD = select(_head.c.size, _head.c.peaks)
_INSERT_LEAF, _INSERT_NODES, _INSERT_HEAD, _UPDATE_HEAD = (
    insert(_leaves),
    insert(_nodes),
    insert(_head),
    update(_head),
)


class StoredLeaf(msgspec.Struct, frozen=True):
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


class Head(msgspec.Struct, frozen=True):
    """The tree's size and the hashes of its peaks, the largest first."""

    size: int
    peaks: list[bytes]


def load_head(tx: Tx) -> Head | None:
    """The head; None before the first entry."""
    row = tx.execute(_LOAD_HEAD).one_or_none()
    if row is None:
        return None
    peaks = _blob(row.peaks) or b""
    return Head(row.size, [peaks[at : at + 32] for at in range(0, len(peaks), 32)])


def insert_leaf(tx: Tx, leaf: StoredLeaf, nodes: list[Node], peaks: Peaks) -> None:
    """Write one leaf, the nodes that it completed, and the new head."""
    tx.execute(_INSERT_LEAF, msgspec.structs.asdict(leaf))
    if nodes:
        tx.execute(
            _INSERT_NODES, [{"level": node.level, "idx": node.index, "hash": node.hash} for node in nodes]
        )
    head = {"id": 1, "size": peaks.size, "peaks": b"".join(peaks.hashes)}
    tx.execute(_INSERT_HEAD if peaks.size == 1 else _UPDATE_HEAD, head)


def iterate_leaves(tx: Tx) -> Iterator[StoredLeaf]:
    """All leaves in order of index."""
    for row in tx.execute(select(_leaves).order_by(_leaves.c.idx)).yield_per(1000):
        yield _leaf(row)


def load_nodes(tx: Tx) -> dict[tuple[int, int], bytes]:
    """The stored inner nodes by (level, index)."""
    return {(row.level, row.idx): _blob(row.hash) or b"" for row in tx.execute(select(_nodes))}


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
    query = select(_leaves).where(_leaves.c.workspace_id == workspace, _leaves.c.idx == index)
    row = tx.execute(query).one_or_none()
    return None if row is None else _entry(_leaf(row))


def log_head(tx: Tx) -> LogHead:
    """The length of the log and the time of its newest entry."""
    head = load_head(tx)
    query = select(_leaves).order_by(_leaves.c.idx.desc()).limit(1)
    row = tx.execute(query).one_or_none()
    return LogHead(0 if head is None else head.size, None if row is None else _entry(_leaf(row)).time_ms)


def _leaf(row: Row[Any]) -> StoredLeaf:
    return StoredLeaf(
        row.idx,
        row.workspace_id,
        _blob(row.leaf) or b"",
        _blob(row.leaf_hash) or b"",
        row.object,
        row.actor_name,
        row.reason,
        _blob(row.salt),
        _blob(row.before),
        _blob(row.after),
    )


def _blob(value: object) -> bytes | None:
    """A column's bytes; SQLite gives text or a number where a hand wrote one."""
    return value if isinstance(value, bytes) or value is None else str(value).encode()


def _entry(stored: StoredLeaf) -> AuditEntry:
    try:
        signed = msgspec.json.decode(stored.leaf, type=_Signed)
    except msgspec.DecodeError:
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
