"""The audit tables: leaves with their erasable details, the inner nodes, and the head of the one tree."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    CursorResult,
    Index,
    Insert,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from holdfast.audit.merkle import Node, Peaks
from holdfast.audit.proofs import Subtree
from holdfast.audit.records import AuditEntry, LogHead
from holdfast.audit.store.damaged import readable, words
from holdfast.storage import Tx, metadata

__all__ = [
    "Head",
    "StoredLeaf",
    "count_nodes",
    "entries_after",
    "erase_actor",
    "insert_leaves",
    "iterate_leaves",
    "iterate_rows",
    "list_entries",
    "load_entry",
    "load_hashes",
    "load_head",
    "load_leaf",
    "load_level",
    "load_nodes",
    "load_range",
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


_BLOCK = 4096
_compiled: dict[tuple[str, str], tuple[str, bool]] = {}

# Built once: building a statement takes SQLAlchemy longer than running it.
_LOAD_HEAD = select(_head.c.size, _head.c.peaks)
_NEXT_ROWS = (
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
_LOAD_LEAF_HASH = select(_leaves.c.leaf_hash).where(_leaves.c.idx == bindparam("at_idx"))
# As many nodes as the proofs of any real log need, by the table's key: SQLite reads a whole table for a list of pairs.
_SLOTS = 32
_LOAD_NODES = select(_nodes).where(
    or_(
        *(
            and_(_nodes.c.level == bindparam(f"level{at}"), _nodes.c.idx == bindparam(f"idx{at}"))
            for at in range(_SLOTS)
        )
    )
)
_LOAD_LEAF = select(_leaves).where(
    _leaves.c.workspace_id == bindparam("at_workspace"), _leaves.c.idx == bindparam("at_idx")
)
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


def insert_leaves(tx: Tx, leaves: Sequence[StoredLeaf], nodes: Sequence[Node], peaks: Peaks) -> None:
    """Write leaves in order, the nodes that they completed, and the new head."""
    _run_many(tx, _INSERT_LEAF, [msgspec.structs.astuple(leaf) for leaf in leaves])
    if nodes:
        _run_many(tx, _INSERT_NODES, [msgspec.structs.astuple(node) for node in nodes])
    head = {"id": 1, "size": peaks.size, "peaks": b"".join(peaks.hashes)}
    tx.execute(_INSERT_HEAD if peaks.size == len(leaves) else _UPDATE_HEAD, head)


def _run_many(tx: Tx, statement: Insert, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run an insert for rows in the order of its table's columns, with the text that it was compiled to once."""
    key = (tx.dialect.name, statement.table.name)
    if key not in _compiled:
        compiled = statement.compile(dialect=tx.dialect)
        _compiled[key] = (str(compiled), compiled.positional)
    text, is_positional = _compiled[key]
    if is_positional:
        tx.exec_driver_sql(text, list(rows))
    else:
        names = statement.table.columns.keys()
        tx.exec_driver_sql(text, [dict(zip(names, row, strict=True)) for row in rows])


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
    while rows := _driver_rows(tx.execute(_NEXT_ROWS, {"after": after})):
        yield rows
        after = rows[-1][0]


def _driver_rows(result: CursorResult[Any]) -> list[Any]:
    cursor: Any = result.cursor
    return list(cursor.fetchall())


def load_level(tx: Tx, level: int) -> list[tuple[int, bytes]]:
    """The stored inner nodes of a level as (index, hash), in order."""
    query = select(_nodes.c.idx, _nodes.c.hash).where(_nodes.c.level == level).order_by(_nodes.c.idx)
    return _driver_rows(tx.execute(query))


def count_nodes(tx: Tx) -> int:
    """How many inner nodes are stored."""
    return int(tx.execute(select(func.count()).select_from(_nodes)).scalar_one())


def load_nodes(tx: Tx) -> dict[Subtree, bytes]:
    """The stored inner nodes by (level, index)."""
    return {(row.level, row.idx): _blob(row.hash) or b"" for row in tx.execute(select(_nodes))}


def load_hashes(tx: Tx, wanted: Iterable[Subtree]) -> dict[Subtree, bytes]:
    """The stored hashes of the named subtrees; those of level 0 are leaves. What is missing is missing in the answer."""
    found: dict[Subtree, bytes] = {}
    for index in (index for level, index in wanted if level == 0):
        row = tx.execute(_LOAD_LEAF_HASH, {"at_idx": index}).one_or_none()
        if row is not None:
            found[0, index] = row.leaf_hash
    nodes = [subtree for subtree in wanted if subtree[0] > 0]
    for start in range(0, len(nodes), _SLOTS):
        asked = nodes[start : start + _SLOTS]
        padded = asked + [(-1, -1)] * (_SLOTS - len(asked))
        values = {f"level{at}": subtree[0] for at, subtree in enumerate(padded)}
        values |= {f"idx{at}": subtree[1] for at, subtree in enumerate(padded)}
        found |= {(row.level, row.idx): row.hash for row in tx.execute(_LOAD_NODES, values)}
    return found


def load_range(tx: Tx, start: int, end: int) -> list[StoredLeaf]:
    """The leaves from `start` up to, not with, `end`, in order."""
    query = select(_leaves).where(_leaves.c.idx >= start, _leaves.c.idx < end).order_by(_leaves.c.idx)
    return [_leaf(row) for row in tx.execute(query)]


def load_leaf(tx: Tx, workspace: str, index: int) -> StoredLeaf | None:
    """One stored leaf of a workspace."""
    row = tx.execute(_LOAD_LEAF, {"at_workspace": workspace, "at_idx": index}).one_or_none()
    return None if row is None else _leaf(row)


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


def log_head(tx: Tx) -> LogHead:
    """The length of the log and the time of its newest entry."""
    head = load_head(tx)
    query = select(_leaves).order_by(_leaves.c.idx.desc()).limit(1)
    row = tx.execute(query).one_or_none()
    return LogHead(0 if head is None else head.size, None if row is None else _entry(_leaf(row)).time_ms)


def _leaf(row: Row[Any]) -> StoredLeaf:
    return StoredLeaf(
        row.idx,
        words(row.workspace_id) or "",
        _blob(row.leaf) or b"",
        _blob(row.leaf_hash) or b"",
        words(row.object) or "",
        words(row.actor_name) or "",
        words(row.reason),
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
