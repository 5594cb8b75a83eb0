"""Finding experiments and runs by words. Of runs so many of the newest are looked at that an answer takes a bounded
time: an index holds what is compared of a run, and params and tags are read of fewer.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Table, select

from holdfast.kernel.matching import Wanted
from holdfast.storage import Tx
from holdfast.storage.matching import best_first, has_words
from holdfast.tracking.store.experiments import experiments
from holdfast.tracking.store.tables import keys, params, runs, tags

__all__ = [
    "NAMED_RUNS",
    "READ_RUNS",
    "find_attributes",
    "find_experiments",
    "find_run_of_id",
    "find_runs",
    "floor_of",
]

NAMED_RUNS, READ_RUNS = 50_000, 1_000
"""The newest runs of which the names, and of which the params and tags are searched."""
_SHOWN = (runs.c.run_no, runs.c.run_id, runs.c.name, runs.c.status, runs.c.start_time)


def find_experiments(tx: Tx, workspace: str, wanted: Wanted, limit: int) -> list[Row[Any]]:
    """(experiment_id, name, created_at) of experiments, the best and newest first."""
    query = select(experiments.c.experiment_id, experiments.c.name, experiments.c.created_at).where(
        experiments.c.workspace_id == workspace,
        experiments.c.deleted_at.is_(None),
        has_words(wanted.words, experiments.c.name),
    )
    order = best_first(wanted, experiments.c.name), experiments.c.experiment_id.desc()
    return list(tx.execute(query.order_by(*order).limit(limit)))


def floor_of(tx: Tx, workspace: str, newest: int) -> int:
    """The number of the newest run that is not among so many newest; 0 when all are."""
    query = select(runs.c.run_no).where(runs.c.workspace_id == workspace)
    return tx.execute(query.order_by(runs.c.run_no.desc()).offset(newest).limit(1)).scalar() or 0


def find_runs(tx: Tx, workspace: str, wanted: Wanted, floor: int, limit: int) -> list[Row[Any]]:
    """Runs above the number `floor` by name or id, the best and newest first."""
    known = (
        select(runs.c.run_no, best_first(wanted, runs.c.name).label("rank"))
        .where(
            runs.c.workspace_id == workspace,
            runs.c.run_no > floor,
            runs.c.deleted_at.is_(None),
            has_words(wanted.words, runs.c.name, runs.c.run_id),
        )
        .order_by("rank", runs.c.run_no.desc())
        .limit(limit)
        .subquery()
    )  # of the index alone; the rows are read for the few that are shown
    query = select(*_SHOWN).join(known, known.c.run_no == runs.c.run_no)
    return list(tx.execute(query.order_by(known.c.rank, runs.c.run_no.desc())))


def find_run_of_id(tx: Tx, workspace: str, run_id: str) -> list[Row[Any]]:
    """The run of a whole id, however old."""
    query = select(*_SHOWN).where(runs.c.workspace_id == workspace, runs.c.run_id == run_id)
    return list(tx.execute(query))


def find_attributes(tx: Tx, workspace: str, wanted: Wanted, floor: int, limit: int) -> list[Row[Any]]:
    """Runs above `floor` with a param or a tag whose key and value have the words: with `key` and `value`."""
    found = [
        row for table in (params, tags) for row in _attributes(tx, table, workspace, wanted, floor, limit)
    ]
    return sorted(found, key=lambda row: -row.run_no)[:limit]


def _attributes(
    tx: Tx, table: Table, workspace: str, wanted: Wanted, floor: int, limit: int
) -> list[Row[Any]]:
    query = (
        select(*_SHOWN, keys.c.name.label("key"), table.c.value)
        .join(keys, keys.c.key_id == table.c.key_id)
        .join(runs, runs.c.run_no == table.c.run_no)
        .where(
            table.c.workspace_id == workspace,
            table.c.run_no > floor,
            runs.c.deleted_at.is_(None),
            has_words(wanted.words, keys.c.name, table.c.value),
        )
    )
    return list(tx.execute(query.order_by(table.c.run_no.desc(), keys.c.name).limit(limit)))
