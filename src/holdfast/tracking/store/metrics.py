"""The tables of metrics: one blob a batch, and a summary row per run and key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    insert,
    select,
    update,
)

from holdfast.storage import BigId, Tx, metadata
from holdfast.tracking.store.runs import summaries

__all__ = [
    "KeySummary",
    "has_batch",
    "insert_batch",
    "load_batches",
    "load_digests",
    "merge",
    "merge_summaries",
]

_batches = Table(
    "metric_batch",
    metadata,
    Column("batch_id", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("run_no", BigInteger, nullable=False),
    Column("body_sha256", String(64), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("points", Integer, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    UniqueConstraint("workspace_id", "run_no", "body_sha256"),
    sqlite_autoincrement=True,
)


# Built once: building a statement takes SQLAlchemy longer than running it.
_OF_RUN = (_batches.c.workspace_id == bindparam("workspace"), _batches.c.run_no == bindparam("run"))
_HAS_BATCH = select(_batches.c.batch_id).where(*_OF_RUN, _batches.c.body_sha256 == bindparam("sha256"))
_LOAD_BATCHES = select(_batches.c.blob).where(*_OF_RUN).order_by(_batches.c.batch_id)
_LOAD_DIGESTS = select(_batches.c.body_sha256).where(*_OF_RUN).order_by(_batches.c.batch_id)
_INSERT_BATCH = insert(_batches)
_OWN = (summaries.c.workspace_id == bindparam("workspace"), summaries.c.run_no == bindparam("run"))
_LOAD_SUMMARIES = select(summaries).where(*_OWN, summaries.c.key_id.in_(bindparam("keys", expanding=True)))
_UPDATE_SUMMARIES = update(summaries).where(*_OWN, summaries.c.key_id == bindparam("key"))
_INSERT_SUMMARIES = insert(summaries)


class KeySummary(msgspec.Struct, frozen=True):
    """What one batch says of one key: its greatest (step, time, value), extremes without NaN, points."""

    key: str
    last: float
    last_step: int
    last_time: int
    min: float | None
    max: float | None
    count: int


def has_batch(tx: Tx, workspace: str, run_no: int, body_sha256: str) -> bool:
    """Whether a batch with this body was kept for this run before."""
    own = {"workspace": workspace, "run": run_no, "sha256": body_sha256}
    return tx.execute(_HAS_BATCH, own).one_or_none() is not None


def insert_batch(
    tx: Tx, workspace: str, run_no: int, body_sha256: str, received_at: int, points: int, blob: bytes
) -> None:
    """Keep a batch; the caller has made sure that it is not a retry."""
    values = {
        "workspace_id": workspace,
        "run_no": run_no,
        "body_sha256": body_sha256,
        "received_at": received_at,
        "points": points,
        "blob": blob,
    }
    tx.execute(_INSERT_BATCH, values)


def load_batches(tx: Tx, workspace: str, run_no: int) -> list[bytes]:
    """The blobs of a run in order of arrival."""
    return list(tx.execute(_LOAD_BATCHES, {"workspace": workspace, "run": run_no}).scalars())


def load_digests(tx: Tx, workspace: str, run_no: int) -> list[str]:
    """The SHA-256 of each batch's body, in order of arrival."""
    return list(tx.execute(_LOAD_DIGESTS, {"workspace": workspace, "run": run_no}).scalars())


def merge_summaries(
    tx: Tx, workspace: str, run_no: int, ids: dict[str, int], news: Sequence[KeySummary]
) -> None:
    """Fold a batch's summaries into the run's rows."""
    own = {"workspace": workspace, "run": run_no}
    chosen = [ids[new.key] for new in news]
    old = {}
    for at in range(0, len(chosen), 500):
        found = tx.execute(_LOAD_SUMMARIES, {**own, "keys": chosen[at : at + 500]})
        old.update({row.key_id: row for row in found})
    fresh, changed = [], []
    for new in news:
        key = ids[new.key]
        if key in old:
            changed.append({**own, "key": key, **_values(merge(_before(new.key, old[key]), new))})
        else:
            fresh.append({"workspace_id": workspace, "run_no": run_no, "key_id": key, **_values(new)})
    if changed:
        tx.execute(_UPDATE_SUMMARIES, changed)
    if fresh:
        tx.execute(_INSERT_SUMMARIES, fresh)


def _before(key: str, row: Row[Any]) -> KeySummary:
    count = row._mapping["count"]
    return KeySummary(key, _nan(row.last), row.last_step, row.last_time, row.min, row.max, count)


def merge(old: KeySummary, new: KeySummary) -> KeySummary:
    """The summary of all points of two, of one key."""
    newest = max(old, new, key=lambda one: (one.last_step, one.last_time, one.last == one.last, one.last))
    lows = [low for low in (old.min, new.min) if low is not None]
    highs = [high for high in (old.max, new.max) if high is not None]
    return KeySummary(
        new.key,
        newest.last,
        newest.last_step,
        newest.last_time,
        min(lows, default=None),
        max(highs, default=None),
        old.count + new.count,
    )


def _values(summary: KeySummary) -> dict[str, object]:
    return {
        "last": None if summary.last != summary.last else summary.last,
        "last_step": summary.last_step,
        "last_time": summary.last_time,
        "min": summary.min,
        "max": summary.max,
        "count": summary.count,
    }


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value
