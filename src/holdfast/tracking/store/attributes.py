"""Params, tags and metric summaries of runs, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    Select,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from holdfast.storage import Tx
from holdfast.storage.direct import Direct, Inserts
from holdfast.tracking.records import MetricSummary, RunColumns
from holdfast.tracking.store.changes import touch
from holdfast.tracking.store.tables import experiment_keys, keys, params, runs, summaries, tags

__all__ = [
    "key_ids",
    "key_numbers",
    "list_columns",
    "load_many",
    "load_summaries",
    "load_values",
    "note_keys",
    "remove_tag",
    "upsert_values",
]

# Built once: building a statement takes SQLAlchemy longer than running it.
_WORKSPACE: BindParameter[str] = bindparam("workspace")
_RUNS: BindParameter[int] = bindparam("runs", expanding=True)
_INSERT_KEYS = insert(keys)
_FIND_KEYS = select(keys.c.name, keys.c.key_id).where(
    keys.c.workspace_id == _WORKSPACE, keys.c.name.in_(bindparam("names", expanding=True))
)


def _load_statement(table: Table, *columns: Any) -> Select[Any]:
    """The named rows of attributes of `runs`, by name."""
    return (
        select(table.c.run_no, keys.c.name, *columns)
        .join(keys, keys.c.key_id == table.c.key_id)
        .where(table.c.workspace_id == _WORKSPACE, table.c.run_no.in_(_RUNS))
        .order_by(keys.c.name)
    )


_LOAD_PARAMS, _LOAD_TAGS = _load_statement(params, params.c.value), _load_statement(tags, tags.c.value)
_LOAD_SUMMARIES = _load_statement(
    summaries, *(summaries.c[name] for name in ("last", "last_step", "last_time", "min", "max", "count"))
)
_ATTRIBUTES = {
    kind: (
        select(table.c.key_id).where(table.c.workspace_id == _WORKSPACE, table.c.run_no == bindparam("run")),
        insert(table),
        update(table).where(
            table.c.workspace_id == _WORKSPACE,
            table.c.run_no == bindparam("run"),
            table.c.key_id == bindparam("key"),
        ),
    )
    for kind, table in (("params", params), ("tags", tags))
}
_EXPERIMENT_OF = Direct(
    select(runs.c.experiment_id).where(
        runs.c.workspace_id == bindparam("workspace"), runs.c.run_no == bindparam("run")
    )
)
_NOTE_KEYS = Inserts(experiment_keys, skip_taken=True)
_NAN = float("nan")


def key_ids(tx: Tx, workspace: str, names: Iterable[str]) -> dict[str, int]:
    """The integer ids of attribute keys; new ones are made."""
    wanted = list(dict.fromkeys(names))
    found = key_numbers(tx, workspace, wanted)
    missing = [name for name in wanted if name not in found]
    if missing:
        tx.execute(_INSERT_KEYS, [{"workspace_id": workspace, "name": name} for name in missing])
        found.update(key_numbers(tx, workspace, missing))
    return found


def key_numbers(tx: Tx, workspace: str, names: Sequence[str]) -> dict[str, int]:
    """The integer ids of those attribute keys that are known."""
    found: dict[str, int] = {}
    for at in range(0, len(names), 500):
        part = {"workspace": workspace, "names": names[at : at + 500]}
        found.update((row.name, row.key_id) for row in tx.execute(_FIND_KEYS, part))
    return found


def load_values(tx: Tx, workspace: str, run_no: int, kind: str) -> dict[str, str]:
    """The params or tags (`kind`) of one run."""
    return load_many(tx, workspace, [run_no], kind).get(run_no, {})


def upsert_values(tx: Tx, workspace: str, run_no: int, kind: str, values: Mapping[str, str]) -> None:
    """Write params or tags (`kind`) of a run; an existing key gets the new value."""
    find, add, change = _ATTRIBUTES[kind]
    own = {"workspace": workspace, "run": run_no}
    ids = key_ids(tx, workspace, values)
    existing = set(tx.execute(find, own).scalars())
    fresh, changed = [], []
    for name, value in values.items():
        key = ids[name]
        if key in existing:
            changed.append({**own, "key": key, "value": value})
        else:
            fresh.append({"workspace_id": workspace, "run_no": run_no, "key_id": key, "value": value})
    if changed:
        tx.execute(change, changed)
    if fresh:
        tx.execute(add, fresh)
        note_keys(tx, workspace, run_no, kind, [row["key_id"] for row in fresh])  # type: ignore[misc]
    touch(tx, workspace, run_no)


def list_columns(tx: Tx, workspace: str, experiments: Sequence[int]) -> RunColumns:
    """The names of metrics, params and tags that runs of some experiments have or had, by name."""
    found: dict[str, dict[str, None]] = {"metrics": {}, "params": {}, "tags": {}}
    query = (
        select(experiment_keys.c.kind, keys.c.name)
        .join(keys, keys.c.key_id == experiment_keys.c.key_id)
        .where(
            experiment_keys.c.workspace_id == workspace,
            keys.c.workspace_id == workspace,
            experiment_keys.c.experiment_id.in_(experiments),
        )
    )
    for kind, name in tx.execute(query):
        found[kind][name] = None
    return RunColumns(**{kind: sorted(names) for kind, names in found.items()})


def note_keys(tx: Tx, workspace: str, run_no: int, kind: str, key_numbers: Iterable[int]) -> None:
    """Note that runs of the run's experiment have params, tags or metrics (`kind`) of these names."""
    ((experiment,),) = _EXPERIMENT_OF.rows(tx, {"workspace": workspace, "run": run_no})
    # In order: transactions that wait for each other's rows do so in one direction.
    _NOTE_KEYS.run(tx, [(workspace, experiment, kind, number) for number in sorted(key_numbers)])


def remove_tag(tx: Tx, workspace: str, run_no: int, key: str) -> bool:
    """Take a tag off a run; whether it had it."""
    ids = key_numbers(tx, workspace, [key])
    own = (tags.c.workspace_id == workspace, tags.c.run_no == run_no, tags.c.key_id == ids.get(key, -1))
    touch(tx, workspace, run_no)
    return tx.execute(delete(tags).where(*own)).rowcount > 0


def load_many(tx: Tx, workspace: str, numbers: Sequence[int], kind: str) -> dict[int, dict[str, str]]:
    """The params or tags (`kind`) of many runs, by number."""
    return _load_values(tx, _LOAD_PARAMS if kind == "params" else _LOAD_TAGS, workspace, numbers)


def _load_values(
    tx: Tx, statement: Select[Any], workspace: str, numbers: Sequence[int]
) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for at in range(0, len(numbers), 500):
        part = {"workspace": workspace, "runs": numbers[at : at + 500]}
        for run_no, name, value in tx.execute(statement, part).all():
            found.setdefault(run_no, {})[name] = value
    return found


def load_summaries(tx: Tx, workspace: str, numbers: Sequence[int]) -> dict[int, dict[str, MetricSummary]]:
    found: dict[int, dict[str, MetricSummary]] = {}
    for at in range(0, len(numbers), 500):
        part = {"workspace": workspace, "runs": numbers[at : at + 500]}
        for run_no, name, last, *rest in tx.execute(_LOAD_SUMMARIES, part).all():
            found.setdefault(run_no, {})[name] = MetricSummary(_NAN if last is None else last, *rest)
    return found
