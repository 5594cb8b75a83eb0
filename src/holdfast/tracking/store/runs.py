"""Rows of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import BindParameter, bindparam, insert, select, update

from holdfast.storage import ALL_WORKSPACES, Tx
from holdfast.storage.direct import Direct, DirectIn
from holdfast.tracking.points import Columns, decode_points
from holdfast.tracking.records import MetricSummary, Recipe, Run, RunLinks, RunStatus
from holdfast.tracking.store import attributes, metrics
from holdfast.tracking.store.changes import touch
from holdfast.tracking.store.inputs import load_links
from holdfast.tracking.store.tables import runs
from holdfast.tracking.summaries import changed_summaries

__all__ = [
    "RunState",
    "all_sealed",
    "find_run",
    "insert_run",
    "list_runs",
    "load_runs",
    "records_of",
    "state_of",
    "update_run",
]


class _Row(NamedTuple):
    run_no: int
    run_id: str
    experiment_id: int
    name: str
    status: RunStatus
    start_time: int
    end_time: int | None
    user: str
    recipe: str | None
    exit_code: int | None
    digest: str | None
    deleted_at: int | None


# Built once: building a statement takes SQLAlchemy longer than running it.
_WORKSPACE: BindParameter[str] = bindparam("workspace")
_RUN_ID: BindParameter[str] = bindparam("run_id")
_RUNS = select(*(runs.c[name] for name in _Row._fields))
_FIND_RUN = Direct(_RUNS.where(runs.c.workspace_id == _WORKSPACE, runs.c.run_id == _RUN_ID))
_STATE = Direct(
    select(runs.c.run_no, runs.c.digest, runs.c.deleted_at).where(
        runs.c.workspace_id == _WORKSPACE, runs.c.run_id == _RUN_ID
    )
)
_LOAD_RUNS = DirectIn(_RUNS.where(runs.c.workspace_id == _WORKSPACE), runs.c.run_no)
_INSERT_RUN = insert(runs)


def insert_run(tx: Tx, workspace: str, run: Run) -> int:
    """A new run without attributes; the integer id under which its rows will stand."""
    values = {
        "workspace_id": workspace,
        "run_id": run.run_id,
        "experiment_id": run.experiment_id,
        "name": run.name,
        "status": run.status,
        "start_time": run.start_time,
        "end_time": run.end_time,
        "user": run.user,
        "recipe": None if run.recipe is None else msgspec.json.encode(run.recipe).decode(),
    }
    done = tx.execute(_INSERT_RUN, values)
    assert done.inserted_primary_key is not None
    run_no = int(done.inserted_primary_key[0])
    touch(tx, workspace, run_no)
    return run_no


def update_run(tx: Tx, workspace: str, run_no: int, values: Mapping[str, Any]) -> None:
    """Set columns of a run."""
    given = {f"new_{name}": value for name, value in values.items()}
    _setting(tuple(values)).run(tx, {"workspace": workspace, "run": run_no, **given})
    touch(tx, workspace, run_no)


@cache
def _setting(names: tuple[str, ...]) -> Direct:
    """The statement that sets these columns."""
    own = (runs.c.workspace_id == _WORKSPACE, runs.c.run_no == bindparam("run"))
    return Direct(update(runs).where(*own).values({name: bindparam(f"new_{name}") for name in names}))


class RunState(msgspec.Struct, frozen=True):
    """What a change of a run needs to know of it."""

    run_no: int
    is_sealed: bool
    """It carries the digest of its end."""
    is_deleted: bool


def state_of(tx: Tx, workspace: str, run_id: str) -> RunState | None:
    """A run's number and state."""
    rows = _STATE.rows(tx, {"workspace": workspace, "run_id": run_id})
    return RunState(int(rows[0][0]), rows[0][1] is not None, rows[0][2] is not None) if rows else None


def find_run(tx: Tx, workspace: str, run_id: str) -> Run | None:
    """One run with all its attributes."""
    rows = _FIND_RUN.rows(tx, {"workspace": workspace, "run_id": run_id})
    return records_of(tx, workspace, rows)[0] if rows else None


def list_runs(
    tx: Tx, workspace: str, experiment_id: int | None, below: int | None, limit: int
) -> list[tuple[int, Run]]:
    """Runs with their integer ids, newest first, of one experiment when it is named."""
    query = _RUNS.where(runs.c.workspace_id == workspace, runs.c.deleted_at.is_(None))
    if experiment_id is not None:
        query = query.where(runs.c.experiment_id == experiment_id)
    if below is not None:
        query = query.where(runs.c.run_no < below)
    rows = tx.execute(query.order_by(runs.c.run_no.desc()).limit(limit)).all()
    return [(row.run_no, run) for row, run in zip(rows, records_of(tx, workspace, rows), strict=True)]


def load_runs(tx: Tx, workspace: str, numbers: Sequence[int]) -> list[Run]:
    """The runs of some numbers, in their order; those that there are not are left out."""
    rows = map(_Row._make, _LOAD_RUNS.rows(tx, {"workspace": workspace}, numbers))
    found = {row.run_no: row for row in rows}
    return records_of(tx, workspace, [found[number] for number in numbers if number in found])


def records_of(tx: Tx, workspace: str, found: Sequence[Any]) -> list[Run]:
    """Rows of the table of runs with all their attributes, in the same order."""
    rows = [_Row._make(row) for row in found]
    numbers = [row.run_no for row in rows]
    params = attributes.load_many(tx, workspace, numbers, "params")
    tags = attributes.load_many(tx, workspace, numbers, "tags")
    summaries = _summaries(tx, workspace, numbers)
    links = load_links(tx, workspace, numbers)
    return [
        Run(
            run_id=row.run_id,
            experiment_id=row.experiment_id,
            name=row.name,
            status=row.status,
            start_time=row.start_time,
            end_time=row.end_time,
            user=row.user,
            params=params.get(row.run_no, {}),
            tags=tags.get(row.run_no, {}),
            metrics=summaries.get(row.run_no, {}),
            recipe=None if row.recipe is None else msgspec.json.decode(row.recipe, type=Recipe),
            exit_code=row.exit_code,
            digest=row.digest,
            deleted_at=row.deleted_at,
            links=links.get(row.run_no, RunLinks()),
        )
        for row in rows
    ]


def _summaries(tx: Tx, workspace: str, numbers: Sequence[int]) -> dict[int, dict[str, MetricSummary]]:
    """The summaries of runs, with the batches that came since they were written."""
    found = attributes.load_summaries(tx, workspace, numbers)
    for run_no, (first, blobs) in metrics.pending_batches(tx, workspace, numbers).items():

        def load_earlier(_keys: Sequence[str], run_no: int = run_no, first: int = first) -> list[Columns]:
            earlier = metrics.load_segments(tx, workspace, run_no)
            earlier += metrics.load_batches(tx, workspace, run_no, below=first)
            return [decode_points(blob) for blob in earlier]

        old = found.setdefault(run_no, {})
        old |= changed_summaries(old, [decode_points(blob) for blob in blobs], load_earlier)
    return found


def all_sealed(tx: Tx) -> list[tuple[str, int, str, str]]:
    """(workspace, number, id, digest) of every sealed run of all workspaces."""
    query = select(runs.c.workspace_id, runs.c.run_no, runs.c.run_id, runs.c.digest)
    query = query.where(runs.c.digest.is_not(None)).order_by(runs.c.run_no)
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]
