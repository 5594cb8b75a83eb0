"""The tables of metrics: one blob a batch, and a summary row per run and key."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    insert,
    select,
    update,
)

from holdfast.storage import Tx, metadata
from holdfast.tracking.store.runs import BigId, summaries

__all__ = ["KeySummary", "has_batch", "insert_batch", "load_batches", "load_digests", "merge_summaries"]

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
    query = select(_batches.c.batch_id).where(
        _batches.c.workspace_id == workspace,
        _batches.c.run_no == run_no,
        _batches.c.body_sha256 == body_sha256,
    )
    return tx.execute(query).one_or_none() is not None


def insert_batch(
    tx: Tx, workspace: str, run_no: int, body_sha256: str, received_at: int, points: int, blob: bytes
) -> None:
    """Keep a batch; the caller has made sure that it is not a retry."""
    tx.execute(
        insert(_batches).values(
            workspace_id=workspace,
            run_no=run_no,
            body_sha256=body_sha256,
            received_at=received_at,
            points=points,
            blob=blob,
        )
    )


def load_batches(tx: Tx, workspace: str, run_no: int) -> list[bytes]:
    """The blobs of a run in order of arrival."""
    query = select(_batches.c.blob).where(_batches.c.workspace_id == workspace, _batches.c.run_no == run_no)
    return [row.blob for row in tx.execute(query.order_by(_batches.c.batch_id))]


def load_digests(tx: Tx, workspace: str, run_no: int) -> list[str]:
    """The SHA-256 of each batch's body, in order of arrival."""
    query = select(_batches.c.body_sha256).where(
        _batches.c.workspace_id == workspace, _batches.c.run_no == run_no
    )
    return [row.body_sha256 for row in tx.execute(query.order_by(_batches.c.batch_id))]


def merge_summaries(
    tx: Tx, workspace: str, run_no: int, ids: dict[str, int], news: Sequence[KeySummary]
) -> None:
    """Fold a batch's summaries into the run's rows."""
    own = (summaries.c.workspace_id == workspace, summaries.c.run_no == run_no)
    chosen = [ids[new.key] for new in news]
    old = {}
    for at in range(0, len(chosen), 500):
        query = select(summaries).where(*own, summaries.c.key_id.in_(chosen[at : at + 500]))
        old.update({row.key_id: row for row in tx.execute(query)})
    fresh = []
    for new in news:
        row = old.get(ids[new.key])
        if row is None:
            fresh.append(
                {"workspace_id": workspace, "run_no": run_no, "key_id": ids[new.key], **_values(new)}
            )
            continue
        count = row._mapping["count"]
        before = KeySummary(new.key, _nan(row.last), row.last_step, row.last_time, row.min, row.max, count)
        tx.execute(
            update(summaries)
            .where(*own, summaries.c.key_id == ids[new.key])
            .values(**_values(_merge(before, new)))
        )
    if fresh:
        tx.execute(insert(summaries), fresh)


def _merge(old: KeySummary, new: KeySummary) -> KeySummary:
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
