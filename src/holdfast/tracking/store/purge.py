"""Deleted runs, and taking a run's rows away."""

from __future__ import annotations

from sqlalchemy import delete, select

from holdfast.storage import Tx
from holdfast.tracking.store.inputs import inputs, links
from holdfast.tracking.store.tables import batches, loose, params, pending, runs, segments, summaries, tags

__all__ = ["delete_run", "is_deleted", "list_deleted"]

_OF_RUNS = (params, tags, summaries, batches, pending, loose, segments, inputs, links, runs)


def list_deleted(tx: Tx, workspace: str, before: int, limit: int) -> list[str]:
    """The ids of runs that were deleted at `before` (ms UTC) or earlier, the longest deleted first."""
    query = select(runs.c.run_id).where(runs.c.workspace_id == workspace, runs.c.deleted_at <= before)
    return list(tx.execute(query.order_by(runs.c.deleted_at, runs.c.run_no).limit(limit)).scalars())


def is_deleted(tx: Tx, workspace: str, run_id: str, before: int) -> bool:
    """Whether a run is there and was deleted at `before` or earlier."""
    query = select(runs.c.run_no).where(
        runs.c.workspace_id == workspace, runs.c.run_id == run_id, runs.c.deleted_at <= before
    )
    return tx.execute(query).first() is not None


def delete_run(tx: Tx, workspace: str, run_no: int) -> None:
    """Delete every row of a run, its own last."""
    for table in _OF_RUNS:
        tx.execute(delete(table).where(table.c.workspace_id == workspace, table.c.run_no == run_no))
