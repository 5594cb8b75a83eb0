"""The tables of endpoints, log segments, label batches and changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Executable,
    Index,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    select,
    update,
)

from holdfast.kernel.matching import Wanted
from holdfast.predictions.records import (
    Backlog,
    Change,
    Endpoint,
    LabelBatch,
    LogStatus,
    Reference,
    Segment,
    SegmentName,
    SegmentOutcome,
)
from holdfast.storage import ALL_WORKSPACES, BigId, Tx, lock, metadata
from holdfast.storage.matching import best_first, has_words

__all__ = [
    "all_batches",
    "all_endpoint_ids",
    "all_served",
    "backlog",
    "endpoint_by_id",
    "find_batch",
    "find_endpoint",
    "find_segment",
    "insert_batch",
    "insert_change",
    "insert_endpoint",
    "insert_segment",
    "last_compacted",
    "list_changes",
    "list_endpoints",
    "log_status",
    "mark_batch",
    "mark_dropped",
    "mark_segment",
    "next_batch",
    "old_segments",
    "open_batches",
    "pending_batches",
    "pending_endpoints",
    "pending_segments",
    "search_endpoints",
    "update_endpoint",
]


_endpoints = Table(
    "endpoint",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("endpoint_id", String(64), nullable=False),
    Column("name", String(63), nullable=False),
    Column(
        "name_key", String(64), nullable=False
    ),  # the name while active, the id afterwards: names are free again
    Column("kind", String(16), nullable=False),
    Column("clock", String(8), nullable=False),
    Column("window", String(8), nullable=False),
    Column("task", String(16), nullable=False),
    Column("target", String(500), nullable=False),
    Column("positive", String(256)),
    Column("classes", Text, nullable=False),
    Column("model", String(256), nullable=False),
    Column("version", BigInteger),
    Column("deployable_digest", String(64)),
    Column("live_version", BigInteger),
    Column("status", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("signature", Text),
    Column("reference", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "endpoint_id"),
    UniqueConstraint("workspace_id", "name_key"),
)
_segments = Table(
    "prediction_segment",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("endpoint_id", String(64), nullable=False),
    Column("replica", String(64), nullable=False),
    Column("boot", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("damage", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "endpoint_id", "replica", "boot", "seq"),
    Index("ix_prediction_segment_state", "state", "endpoint_id"),
    Index("ix_prediction_segment_sha256", "sha256"),
)
_batches = Table(
    "label_batch",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("endpoint_id", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("batch_id", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("matched", BigInteger),
    PrimaryKeyConstraint("workspace_id", "endpoint_id", "seq"),
    Index("ix_label_batch_state", "state", "endpoint_id"),
    Index("ix_label_batch_sha256", "sha256"),
)
_changes = Table(
    "prediction_change",
    metadata,
    Column("change_id", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("endpoint_id", String(64), nullable=False),
    Column("first_day", BigInteger, nullable=False),
    Column("last_day", BigInteger, nullable=False),
    Index("ix_prediction_change_endpoint_id_change_id", "workspace_id", "endpoint_id", "change_id"),
    sqlite_autoincrement=True,
)
_json = msgspec.json.Encoder().encode


def _to_row(endpoint: Endpoint) -> dict[str, Any]:
    row = msgspec.structs.asdict(endpoint)
    row["name_key"] = endpoint.name if endpoint.state == "active" else endpoint.endpoint_id
    row["classes"] = _json(endpoint.classes).decode()
    row["signature"] = None if endpoint.signature is None else _json(endpoint.signature).decode()
    row["reference"] = _json(endpoint.reference).decode()
    return row


def _endpoint(row: Row[Any]) -> Endpoint:
    values = dict(row._mapping)
    del values["name_key"]
    values["classes"] = msgspec.json.decode(values["classes"], type=list[str])
    values["signature"] = None if values["signature"] is None else msgspec.json.decode(values["signature"])
    values["reference"] = msgspec.json.decode(values["reference"], type=Reference)
    return Endpoint(**values)


def insert_endpoint(tx: Tx, endpoint: Endpoint) -> None:
    """Add an endpoint."""
    tx.execute(insert(_endpoints).values(**_to_row(endpoint)))


def update_endpoint(tx: Tx, endpoint: Endpoint) -> None:
    """Write all fields of a known endpoint."""
    tx.execute(
        update(_endpoints)
        .where(
            _endpoints.c.workspace_id == endpoint.workspace_id,
            _endpoints.c.endpoint_id == endpoint.endpoint_id,
        )
        .values(**_to_row(endpoint))
    )


def find_endpoint(tx: Tx, workspace: str, name: str, *, hold: bool = False) -> Endpoint | None:
    """The active endpoint of this name; with `hold`, nobody else changes it until the transaction ends."""
    query = select(_endpoints).where(
        _endpoints.c.workspace_id == workspace, _endpoints.c.name_key == name, _endpoints.c.state == "active"
    )
    row = tx.execute(query.with_for_update() if hold else query).one_or_none()
    return None if row is None else _endpoint(row)


def endpoint_by_id(tx: Tx, workspace: str, endpoint_id: str, *, hold: bool = False) -> Endpoint | None:
    """The endpoint of this id, deleted or not; with `hold`, nobody else changes it until the transaction ends."""
    query = select(_endpoints).where(
        _endpoints.c.workspace_id == workspace, _endpoints.c.endpoint_id == endpoint_id
    )
    row = tx.execute(query.with_for_update() if hold else query).one_or_none()
    return None if row is None else _endpoint(row)


def workspace_of(tx: Tx, endpoint_id: str) -> str | None:
    """The workspace of an endpoint, deleted or not: replicas know endpoints by their ids alone."""
    query = select(_endpoints.c.workspace_id).where(_endpoints.c.endpoint_id == endpoint_id)
    return tx.execute(query.execution_options(**ALL_WORKSPACES)).scalar()


def all_endpoint_ids(tx: Tx) -> set[str]:
    """The ids of the endpoints of all workspaces, deleted ones too."""
    return set(tx.execute(select(_endpoints.c.endpoint_id).execution_options(**ALL_WORKSPACES)).scalars())


def list_endpoints(tx: Tx, workspace: str, after: str = "", limit: int = 1000) -> list[Endpoint]:
    """The active endpoints by name, from the one after `after`."""
    query = select(_endpoints).where(
        _endpoints.c.workspace_id == workspace, _endpoints.c.state == "active", _endpoints.c.name_key > after
    )
    return [_endpoint(row) for row in tx.execute(query.order_by(_endpoints.c.name_key).limit(limit))]


def search_endpoints(tx: Tx, workspace: str, wanted: Wanted, limit: int) -> list[Endpoint]:
    """Active endpoints with the words in their name, model or target, the best and newest first."""
    query = select(_endpoints).where(
        _endpoints.c.workspace_id == workspace,
        _endpoints.c.state == "active",
        has_words(wanted.words, _endpoints.c.name, _endpoints.c.model, _endpoints.c.target),
    )
    order = best_first(wanted, _endpoints.c.name), _endpoints.c.updated_at.desc(), _endpoints.c.name
    return [_endpoint(row) for row in tx.execute(query.order_by(*order).limit(limit))]


def _segment(row: Row[Any]) -> Segment:
    name = SegmentName(row.endpoint_id, row.replica, row.boot, row.seq)
    return Segment(name, row.sha256, row.size, row.state, row.received_at, row.rows, row.damage)


def _named(workspace: str, name: SegmentName) -> tuple[Any, ...]:
    return (*_of_boot(workspace, name), _segments.c.seq == name.seq)


def _of_boot(workspace: str, name: SegmentName) -> tuple[Any, ...]:
    return (
        _segments.c.workspace_id == workspace,
        _segments.c.endpoint_id == name.endpoint_id,
        _segments.c.replica == name.replica,
        _segments.c.boot == name.boot,
    )


def find_segment(tx: Tx, workspace: str, name: SegmentName) -> Segment | None:
    """The shipped segment of this name."""
    row = tx.execute(select(_segments).where(*_named(workspace, name))).one_or_none()
    return None if row is None else _segment(row)


def insert_segment(tx: Tx, workspace: str, segment: Segment) -> None:
    """Add a shipped segment."""
    name = segment.name
    tx.execute(
        insert(_segments).values(
            workspace_id=workspace,
            endpoint_id=name.endpoint_id,
            replica=name.replica,
            boot=name.boot,
            seq=name.seq,
            sha256=segment.sha256,
            size=segment.size,
            state=segment.state,
            received_at=segment.received_at,
            rows=segment.rows,
            damage=segment.damage,
        )
    )


def last_compacted(tx: Tx, workspace: str, name: SegmentName) -> int:
    """The highest sequence number of this boot that is in the table; 0 when none is."""
    query = select(func.max(_segments.c.seq)).where(
        *_of_boot(workspace, name), _segments.c.state == "compacted"
    )
    return int(tx.execute(query).scalar() or 0)


def pending_endpoints(tx: Tx) -> list[tuple[str, str]]:
    """(workspace, endpoint id) of endpoints with segments or label batches that wait for compaction."""
    found: set[tuple[str, str]] = set()
    for table in (_segments, _batches):
        query = select(table.c.workspace_id, table.c.endpoint_id).where(table.c.state == "pending").distinct()
        found.update((row[0], row[1]) for row in tx.execute(query.execution_options(**ALL_WORKSPACES)))
    return sorted(found)


def backlog(tx: Tx) -> Backlog:
    """What waits for compaction at all endpoints."""

    def everywhere(query: Executable) -> Any:
        return tx.execute(query.execution_options(**ALL_WORKSPACES))

    s, b = _segments.c, _batches.c
    waiting = select(func.count(), func.coalesce(func.sum(s.size), 0), func.min(s.received_at))
    segments = everywhere(waiting.where(s.state == "pending")).one()
    batches = everywhere(select(func.count(), func.min(b.received_at)).where(b.state == "pending")).one()
    damaged = everywhere(select(func.count()).select_from(_segments).where(s.damage != "")).scalar_one()
    oldest = min((at for at in (segments[2], batches[1]) if at is not None), default=None)
    return Backlog(segments[0], int(segments[1]), batches[0], oldest, damaged)


def pending_segments(tx: Tx, workspace: str, endpoint_id: str, limit: int) -> list[Segment]:
    """Waiting segments of an endpoint, per boot in the order of their numbers."""
    query = select(_segments).where(
        _segments.c.workspace_id == workspace,
        _segments.c.endpoint_id == endpoint_id,
        _segments.c.state == "pending",
    )
    order = (_segments.c.boot, _segments.c.replica, _segments.c.seq)
    return [_segment(row) for row in tx.execute(query.order_by(*order).limit(limit))]


def mark_segment(tx: Tx, workspace: str, endpoint_id: str, outcome: SegmentOutcome) -> None:
    """Record that a segment stands in the table, and what it held."""
    name = SegmentName(endpoint_id, outcome.replica, outcome.boot, outcome.seq)
    values = {"state": "compacted", "rows": outcome.rows, "damage": outcome.damage}
    tx.execute(update(_segments).where(*_named(workspace, name)).values(**values))


def old_segments(tx: Tx, workspace: str, endpoint_id: str, before: int, limit: int) -> list[Segment]:
    """Compacted segments without damage that were received before a time."""
    query = select(_segments).where(
        _segments.c.workspace_id == workspace,
        _segments.c.endpoint_id == endpoint_id,
        _segments.c.state == "compacted",
        _segments.c.received_at < before,
        _segments.c.damage == "",
    )
    return [_segment(row) for row in tx.execute(query.limit(limit))]


def all_served(tx: Tx) -> list[tuple[str, str, str, int | None]]:
    """(workspace, name, model, version) of every active endpoint of all workspaces that serves a model."""
    e = _endpoints.c
    query = select(e.workspace_id, e.name, e.model, e.version).where(e.state == "active", e.kind == "served")
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


def all_batches(tx: Tx) -> list[tuple[str, str, int, str]]:
    """(workspace, id, rows, SHA-256) of every label batch of all workspaces."""
    b = _batches.c
    query = select(b.workspace_id, b.batch_id, b.rows, b.sha256)
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


def mark_dropped(tx: Tx, workspace: str, names: Sequence[SegmentName]) -> None:
    """Record that these segments need their objects no longer."""
    for name in names:
        tx.execute(update(_segments).where(*_named(workspace, name)).values(state="dropped"))


def referred_objects(tx: Tx, digests: Sequence[str]) -> dict[str, list[str]]:
    """Those of the objects that segments, label batches and references of endpoints need, with their names."""
    found: dict[str, list[str]] = {}
    s, b, e = _segments.c, _batches.c, _endpoints.c
    segments = select(s.sha256, s.endpoint_id, s.replica, s.boot, s.seq).where(
        s.sha256.in_(digests), s.state != "dropped"
    )
    for sha256, endpoint_id, replica, boot, seq in tx.execute(
        segments.order_by(s.sha256).execution_options(**ALL_WORKSPACES)
    ):
        found.setdefault(sha256, []).append(f"segment {replica}/{boot}/{seq} of the endpoint {endpoint_id}")
    batches = select(b.sha256, b.endpoint_id, b.batch_id).where(b.sha256.in_(digests))
    for sha256, endpoint_id, batch_id in tx.execute(
        batches.order_by(b.sha256, b.batch_id).execution_options(**ALL_WORKSPACES)
    ):
        found.setdefault(sha256, []).append(f"label batch {batch_id} of the endpoint {endpoint_id}")
    wanted = set(digests)
    references = select(e.name, e.reference).order_by(e.endpoint_id).execution_options(**ALL_WORKSPACES)
    for name, reference in tx.execute(references):
        sha256 = msgspec.json.decode(reference, type=Reference).sha256
        if sha256 in wanted:
            found.setdefault(sha256, []).append(f"reference of the endpoint {name}")
    return found


def _batch(row: Row[Any]) -> LabelBatch:
    return LabelBatch(
        row.batch_id, row.endpoint_id, row.seq, row.sha256, row.rows, row.received_at, row.state, row.matched
    )


def _of_endpoint(workspace: str, endpoint_id: str) -> tuple[Any, ...]:
    return (_batches.c.workspace_id == workspace, _batches.c.endpoint_id == endpoint_id)


def next_batch(tx: Tx, workspace: str, endpoint_id: str) -> int:
    """The number that the next label batch of the endpoint gets."""
    query = select(func.max(_batches.c.seq)).where(*_of_endpoint(workspace, endpoint_id))
    return int(tx.execute(query).scalar() or 0) + 1


def insert_batch(tx: Tx, workspace: str, batch: LabelBatch) -> None:
    """Add an accepted label batch."""
    tx.execute(insert(_batches).values(workspace_id=workspace, **msgspec.structs.asdict(batch)))


def find_batch(tx: Tx, workspace: str, endpoint_id: str, batch_id: str) -> LabelBatch | None:
    """The label batch of this id."""
    query = select(_batches).where(*_of_endpoint(workspace, endpoint_id), _batches.c.batch_id == batch_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else _batch(row)


def pending_batches(tx: Tx, workspace: str, endpoint_id: str, limit: int) -> list[LabelBatch]:
    """Waiting label batches in the order of their numbers."""
    query = select(_batches).where(*_of_endpoint(workspace, endpoint_id), _batches.c.state == "pending")
    return [_batch(row) for row in tx.execute(query.order_by(_batches.c.seq).limit(limit))]


def open_batches(tx: Tx, workspace: str, endpoint_id: str, since: int, limit: int) -> list[LabelBatch]:
    """Compacted batches received at or after `since` some of whose rows have no prediction yet, newest first."""
    query = select(_batches).where(
        *_of_endpoint(workspace, endpoint_id),
        _batches.c.state == "compacted",
        _batches.c.matched < _batches.c.rows,
        _batches.c.received_at >= since,
    )
    return [_batch(row) for row in tx.execute(query.order_by(_batches.c.seq.desc()).limit(limit))]


def mark_batch(tx: Tx, workspace: str, endpoint_id: str, seq: int, matched: int) -> None:
    """Record that a label batch stands in the table and how many of its rows have a prediction."""
    tx.execute(
        update(_batches)
        .where(*_of_endpoint(workspace, endpoint_id), _batches.c.seq == seq)
        .values(state="compacted", matched=matched)
    )


def insert_change(tx: Tx, workspace: str, endpoint_id: str, days: Sequence[tuple[int, int]]) -> None:
    """Record that these runs of event days have changed."""
    # Readers go on from the highest number that they saw: lower ones may not appear after it.
    lock(tx, "changes", workspace, endpoint_id)
    for first, last in days:
        tx.execute(
            insert(_changes).values(
                workspace_id=workspace, endpoint_id=endpoint_id, first_day=first, last_day=last
            )
        )


def list_changes(tx: Tx, workspace: str, endpoint_id: str, after: int) -> list[Change]:
    """The changes after the number `after`, in order."""
    query = select(_changes).where(
        _changes.c.workspace_id == workspace,
        _changes.c.endpoint_id == endpoint_id,
        _changes.c.change_id > after,
    )
    return [
        Change(row.change_id, row.first_day, row.last_day)
        for row in tx.execute(query.order_by(_changes.c.change_id))
    ]


def log_status(tx: Tx, workspace: str, endpoint_id: str) -> LogStatus:
    """How much an endpoint has logged and what waits."""
    of_log = (_segments.c.workspace_id == workspace, _segments.c.endpoint_id == endpoint_id)
    rows = tx.execute(select(func.coalesce(func.sum(_segments.c.rows), 0)).where(*of_log)).scalar_one()
    waiting = tx.execute(select(func.count()).where(*of_log, _segments.c.state == "pending")).scalar_one()
    damaged = tx.execute(select(func.count()).where(*of_log, _segments.c.damage != "")).scalar_one()
    labels = tx.execute(
        select(
            func.coalesce(func.sum(_batches.c.rows), 0),
            func.coalesce(func.sum(_batches.c.matched), 0),
            func.count().filter(_batches.c.state == "pending"),
        ).where(*_of_endpoint(workspace, endpoint_id))
    ).one()
    return LogStatus(int(rows), waiting, damaged, int(labels[0]), int(labels[1]), labels[2])
