"""Rows read column by column, for the index that runs are searched in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, String, Table, bindparam, cast, exists, func, literal, select

from holdfast.storage import Tx
from holdfast.storage.direct import Direct
from holdfast.tracking.conditions import compare
from holdfast.tracking.query import Clause
from holdfast.tracking.store.inputs import datasets, inputs
from holdfast.tracking.store.tables import params, runs, summaries, tags

__all__ = ["changed_runs", "count_runs", "load_runs", "load_values", "numbers_of", "values_of"]

_AT_ONCE = 20_000
_SHOWN = ("run_no", "run_id", "experiment_id", "status", "start_time", "end_time", "deleted_at")
_OF_WORKSPACE = runs.c.workspace_id == bindparam("workspace")
_LOAD_RUNS = Direct(
    select(*(runs.c[name] for name in _SHOWN))
    .where(_OF_WORKSPACE, runs.c.run_no > bindparam("above"))
    .order_by(runs.c.run_no)
    .limit(_AT_ONCE)
)
_CHANGED_RUNS = Direct(
    select(*(runs.c[name] for name in _SHOWN))
    .where(_OF_WORKSPACE, runs.c.changed >= bindparam("first"), runs.c.changed < bindparam("below"))
    .order_by(runs.c.run_no)
)

_COUNT = Direct(select(func.count()).select_from(runs).where(_OF_WORKSPACE))


def _of_key(table: Table, column: str) -> tuple[Direct, Select[Any]]:
    """Values of one key: of all runs, and of some."""
    query = select(table.c.run_no, table.c[column]).where(
        table.c.workspace_id == bindparam("workspace"), table.c.key_id == bindparam("key")
    )
    return Direct(query), query.where(table.c.run_no.in_(bindparam("runs", expanding=True)))


def _of_run(column: str) -> tuple[Direct, Select[Any]]:
    query = select(runs.c.run_no, runs.c[column]).where(_OF_WORKSPACE)
    return Direct(query), query.where(runs.c.run_no.in_(bindparam("runs", expanding=True)))


_VALUES: dict[str, tuple[Direct, Select[Any]]] = {
    "metric": _of_key(summaries, "last"),
    "min": _of_key(summaries, "min"),
    "max": _of_key(summaries, "max"),
    "count": _of_key(summaries, "count"),
    "param": _of_key(params, "value"),
    "tag": _of_key(tags, "value"),
    "name": _of_run("name"),
    "user": _of_run("user"),
}
_DATASET_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": datasets.c.name,
    "digest": datasets.c.digest,
    "context": inputs.c.context,
}
_RUN_COLUMNS: dict[str, ColumnElement[Any]] = {
    "run_id": runs.c.run_id,
    "run_name": runs.c.name,
    "name": runs.c.name,
    "artifact_uri": literal("mlflow-artifacts:/").concat(cast(runs.c.experiment_id, String))
    + "/"
    + runs.c.run_id
    + "/artifacts",
}


def load_runs(tx: Tx, workspace: str, above: int) -> Iterator[list[tuple[Any, ...]]]:
    """(run_no, run_id, experiment_id, status, start_time, end_time, deleted_at) of runs numbered above, in order."""
    while rows := _LOAD_RUNS.rows(tx, {"workspace": workspace, "above": above}):
        yield rows
        above = rows[-1][0]


def count_runs(tx: Tx, workspace: str) -> int:
    """How many runs there are, deleted ones too."""
    return int(_COUNT.rows(tx, {"workspace": workspace})[0][0])


def changed_runs(tx: Tx, workspace: str, first: int, below: int) -> list[tuple[Any, ...]]:
    """The same of runs whose change is numbered from `first` and below `below`."""
    return _CHANGED_RUNS.rows(tx, {"workspace": workspace, "first": first, "below": below})


def load_values(tx: Tx, workspace: str, entity: str, key: int) -> Iterator[Sequence[tuple[int, Any]]]:
    """(run_no, value) of every run that has the metric, param or tag; for the entities name and user of every run."""
    yield from _VALUES[entity][0].chunks(tx, {"workspace": workspace, "key": key}, _AT_ONCE)


def values_of(tx: Tx, workspace: str, entity: str, key: int, numbers: Sequence[int]) -> list[tuple[int, Any]]:
    """The same of some runs."""
    found: list[tuple[int, Any]] = []
    for at in range(0, len(numbers), 500):
        part = {"workspace": workspace, "key": key, "runs": list(numbers[at : at + 500])}
        found += [(int(row[0]), row[1]) for row in tx.execute(_VALUES[entity][1], part)]
    return found


def numbers_of(tx: Tx, workspace: str, clause: Clause) -> list[int]:
    """The numbers of runs that a clause on data sets, on the run's id, its name or its artifacts' place holds for.

    Most names are different: an index of the table keeps them in less memory than a column could.
    """
    query = select(runs.c.run_no).where(runs.c.workspace_id == workspace)
    if clause.entity == "dataset":
        has_data = exists(
            select(inputs.c.run_no)
            .join(datasets, datasets.c.dataset_no == inputs.c.dataset_no)
            .where(
                inputs.c.workspace_id == workspace,
                inputs.c.run_no == runs.c.run_no,
                compare(_DATASET_COLUMNS[clause.key], clause),
            )
        )
        query = query.where(has_data)
    else:
        query = query.where(compare(_RUN_COLUMNS[clause.key], clause))
    return list(tx.execute(query).scalars())
