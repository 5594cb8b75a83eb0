"""Experiments and runs by words: names, ids, params and tags."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from holdfast.kernel.matching import Found, Hit, Wanted, best, fit
from holdfast.storage import Tx
from holdfast.tracking.store import search as store

__all__ = ["search_tracking"]

_CANDIDATES = 4
_VALUE = 80


def search_tracking(tx: Tx, workspace: str, wanted: Wanted, limit: int) -> Found:
    """The best experiments and runs, so many of each."""
    most = limit * _CANDIDATES
    named_floor = store.floor_of(tx, workspace, store.NAMED_RUNS)
    read_floor = store.floor_of(tx, workspace, store.READ_RUNS)
    experiments = [
        Hit(
            "experiment",
            row.name,
            f"/experiments/{row.experiment_id}",
            f"experiment {row.experiment_id}",
            fit(wanted, row.name),
            row.created_at,
        )
        for row in store.find_experiments(tx, workspace, wanted, most)
    ]
    runs = {
        row.run_id: _hit(row, wanted, f"{row.status} · {row.run_id[:12]}")
        for row in store.find_runs(tx, workspace, wanted, named_floor, most)
    }
    for row in store.find_run_of_id(tx, workspace, wanted.text) if named_floor else []:
        runs[row.run_id] = _hit(row, wanted, f"{row.status} · {row.run_id[:12]}")
    for row in store.find_attributes(tx, workspace, wanted, read_floor, most):
        runs.setdefault(row.run_id, _hit(row, wanted, f"{row.key} = {_short(row.value)}"))
    return Found([*best(experiments, limit), *best(runs.values(), limit)], _note(named_floor, read_floor))


def _hit(row: Row[Any], wanted: Wanted, context: str) -> Hit:
    score = max(fit(wanted, row.name), fit(wanted, row.run_id))
    return Hit("run", row.name, f"/runs/{row.run_id}", context, score, row.start_time)


def _short(value: str) -> str:
    text = " ".join(value[: 2 * _VALUE].split())
    return text if len(text) <= _VALUE else text[: _VALUE - 1] + "…"


def _note(named_floor: int, read_floor: int) -> str:
    if named_floor:
        return (
            f"Of runs, the names of the newest {store.NAMED_RUNS:,} and the params and tags of the newest "
            f"{store.READ_RUNS:,} were searched."
        )
    return f"Params and tags were searched in the newest {store.READ_RUNS:,} runs." if read_floor else ""
