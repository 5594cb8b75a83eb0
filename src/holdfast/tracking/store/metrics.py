"""Rows of metrics: one blob a batch, and a summary row per run and key, which follows the batches a moment later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import bindparam, delete, insert, literal, select, update

from holdfast.storage import ALL_WORKSPACES, Tx
from holdfast.storage.direct import Direct, DirectIn, Inserts
from holdfast.tracking.records import MetricSummary
from holdfast.tracking.store.attributes import note_keys
from holdfast.tracking.store.tables import batches, pending, runs, segments, summaries

__all__ = [
    "first_pending",
    "has_batch",
    "insert_batch",
    "list_pending",
    "load_batches",
    "load_digests",
    "load_segments",
    "next_batches",
    "pending_batches",
    "put_summaries",
    "set_pending",
]

# Built once: building a statement takes SQLAlchemy longer than running it.
_OF_RUN = (batches.c.workspace_id == bindparam("workspace"), batches.c.run_no == bindparam("run"))
_HAS_BATCH = Direct(select(literal(1)).where(*_OF_RUN, batches.c.body_sha256 == bindparam("sha256")))
_LOAD_BATCHES = Direct(
    select(batches.c.blob)
    .where(*_OF_RUN, batches.c.batch_id >= bindparam("first"), batches.c.batch_id < bindparam("below"))
    .order_by(batches.c.batch_id)
)
_PENDING_BATCHES = Direct(
    select(batches.c.batch_id, batches.c.received_at, batches.c.blob)
    .where(*_OF_RUN, batches.c.batch_id >= bindparam("first"))
    .order_by(batches.c.batch_id)
    .limit(bindparam("most"))
)
_LOAD_DIGESTS = Direct(select(batches.c.body_sha256).where(*_OF_RUN).order_by(batches.c.batch_id))
_BATCH = ("workspace_id", "run_no", "body_sha256", "received_at", "points", "blob")
_INSERT_BATCH, _INSERT_FIRST_BATCH = Inserts(batches, *_BATCH), insert(batches)
_OF_PENDING = (pending.c.workspace_id == bindparam("workspace"), pending.c.run_no == bindparam("run"))
_FIRST_PENDING = Direct(select(pending.c.first_batch).where(*_OF_PENDING))
_INSERT_PENDING = Inserts(pending)
_MOVE_PENDING = Direct(update(pending).where(*_OF_PENDING).values(first_batch=bindparam("first")))
_DELETE_PENDING = Direct(delete(pending).where(*_OF_PENDING))
_PENDING_OF = DirectIn(
    select(pending.c.run_no, pending.c.first_batch).where(pending.c.workspace_id == bindparam("workspace")),
    pending.c.run_no,
)
_SUMMARY = ("workspace_id", "run_no", "key_id", "last", "last_step", "last_time", "min", "max", "count")
_INSERT_SUMMARIES = Inserts(summaries, *_SUMMARY)
_UPDATE_SUMMARIES = Direct(
    update(summaries)
    .where(
        summaries.c.workspace_id == bindparam("workspace"),
        summaries.c.run_no == bindparam("run"),
        summaries.c.key_id == bindparam("key"),
    )
    .values(**{f"{name}": bindparam(f"new_{name}") for name in _SUMMARY[3:]})
)
_SEGMENTS_OF = (segments.c.workspace_id == bindparam("workspace"), segments.c.run_no == bindparam("run"))
_ALL_SEGMENTS = Direct(select(segments.c.blob).where(*_SEGMENTS_OF).order_by(segments.c.segment_id))
_SEGMENTS_OF_KEY = Direct(
    select(segments.c.blob)
    .where(*_SEGMENTS_OF, segments.c.key.in_([bindparam("key"), literal("")]))
    .order_by(segments.c.segment_id)
)


def has_batch(tx: Tx, workspace: str, run_no: int, body_sha256: str) -> bool:
    """Whether a batch with this body was kept for this run before."""
    return bool(_HAS_BATCH.rows(tx, {"workspace": workspace, "run": run_no, "sha256": body_sha256}))


def insert_batch(
    tx: Tx, workspace: str, run_no: int, body_sha256: str, received_at: int, points: int, blob: bytes
) -> None:
    """Keep a batch, and that the run's summaries don't have it yet; the caller has made sure that it is no retry."""
    values = (workspace, run_no, body_sha256, received_at, points, blob)
    if first_pending(tx, workspace, run_no) is not None:
        _INSERT_BATCH.run(tx, [values])
        return
    done = tx.execute(_INSERT_FIRST_BATCH, dict(zip(_BATCH, values, strict=True)))
    assert done.inserted_primary_key is not None
    _INSERT_PENDING.run(tx, [(workspace, run_no, int(done.inserted_primary_key[0]))])


def first_pending(tx: Tx, workspace: str, run_no: int) -> int | None:
    """The first batch of a run that its summaries don't have yet; None when they have all."""
    found = _FIRST_PENDING.rows(tx, {"workspace": workspace, "run": run_no})
    return int(found[0][0]) if found else None


def set_pending(tx: Tx, workspace: str, run_no: int, first: int | None) -> None:
    """From now on the summaries lack the batches from `first` on; none without it."""
    own = {"workspace": workspace, "run": run_no}
    if first is None:
        _DELETE_PENDING.run(tx, own)
    else:
        _MOVE_PENDING.run(tx, {**own, "first": first})


def list_pending(tx: Tx, limit: int, workspace: str = "") -> list[tuple[str, str]]:
    """(workspace, run id) of runs whose summaries lack batches, of one workspace or of all."""
    of_run = (runs.c.workspace_id == pending.c.workspace_id, runs.c.run_no == pending.c.run_no)
    query = select(pending.c.workspace_id, runs.c.run_id).join_from(pending, runs, of_run[0] & of_run[1])
    query = query.order_by(pending.c.first_batch).limit(limit)
    if workspace:
        return [tuple(row) for row in tx.execute(query.where(pending.c.workspace_id == workspace))]
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


def pending_batches(tx: Tx, workspace: str, numbers: Sequence[int]) -> dict[int, tuple[int, list[bytes]]]:
    """Of some runs those whose summaries lack batches: the first of these, and the blobs from it on."""
    return {
        run_no: (first, load_batches(tx, workspace, run_no, first))
        for run_no, first in _PENDING_OF.rows(tx, {"workspace": workspace}, numbers)
    }


def next_batches(tx: Tx, workspace: str, run_no: int, first: int, most: int) -> list[tuple[int, int, bytes]]:
    """(batch number, when it was received, blob) of at most so many batches of a run from `first` on."""
    own = {"workspace": workspace, "run": run_no, "first": first, "most": most}
    return [(int(number), int(at), bytes(blob)) for number, at, blob in _PENDING_BATCHES.rows(tx, own)]


def load_batches(tx: Tx, workspace: str, run_no: int, first: int = 0, below: int = 2**63 - 1) -> list[bytes]:
    """The blobs of a run's batches in order of arrival, without those that were compacted."""
    own = {"workspace": workspace, "run": run_no, "first": first, "below": below}
    return [bytes(blob) for (blob,) in _LOAD_BATCHES.rows(tx, own) if blob]


def load_segments(tx: Tx, workspace: str, run_no: int, key: str | None = None) -> list[bytes]:
    """The blobs of a run's compacted points: all, or those that may have points of one key."""
    own = {"workspace": workspace, "run": run_no}
    rows = _ALL_SEGMENTS.rows(tx, own) if key is None else _SEGMENTS_OF_KEY.rows(tx, {**own, "key": key})
    return [bytes(blob) for (blob,) in rows]


def load_digests(tx: Tx, workspace: str, run_no: int) -> list[str]:
    """The SHA-256 of each batch's body, in order of arrival."""
    return [str(digest) for (digest,) in _LOAD_DIGESTS.rows(tx, {"workspace": workspace, "run": run_no})]


def put_summaries(
    tx: Tx,
    workspace: str,
    run_no: int,
    ids: Mapping[str, int],
    changed: Mapping[str, MetricSummary],
    existing: Iterable[str],
) -> None:
    """Write summaries of a run; `existing` are the keys that have a row already."""
    known = set(existing)
    fresh = [(workspace, run_no, ids[key], *_row(one)) for key, one in changed.items() if key not in known]
    _INSERT_SUMMARIES.run(tx, fresh)
    if fresh:
        note_keys(tx, workspace, run_no, "metrics", [ids[key] for key in changed if key not in known])
    updates = [
        {
            "workspace": workspace,
            "run": run_no,
            "key": ids[key],
            **{f"new_{name}": value for name, value in zip(_SUMMARY[3:], _row(one), strict=True)},
        }
        for key, one in changed.items()
        if key in known
    ]
    if updates:
        _UPDATE_SUMMARIES.run(tx, *updates)


def _row(one: MetricSummary) -> tuple[float | int | None, ...]:
    last = None if one.last != one.last else one.last
    return last, one.last_step, one.last_time, one.min, one.max, one.count
