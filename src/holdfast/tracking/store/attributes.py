"""Params, tags and metric summaries of runs, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    Table,
    bindparam,
    delete,
    select,
    update,
)

from holdfast.storage import Tx
from holdfast.storage.direct import Direct, DirectIn, Inserts
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
_INSERT_KEYS = Inserts(keys, "workspace_id", "name")
_FIND_KEYS = DirectIn(
    select(keys.c.name, keys.c.key_id).where(keys.c.workspace_id == _WORKSPACE), keys.c.name
)


def _load_statement(table: Table, *columns: Any) -> DirectIn:
    """The named rows of attributes of some runs, by name."""
    query = select(table.c.run_no, keys.c.name, *columns).join(keys, keys.c.key_id == table.c.key_id)
    return DirectIn(query.where(table.c.workspace_id == _WORKSPACE).order_by(keys.c.name), table.c.run_no)


_LOAD_PARAMS, _LOAD_TAGS = _load_statement(params, params.c.value), _load_statement(tags, tags.c.value)
_LOAD_SUMMARIES = _load_statement(
    summaries, *(summaries.c[name] for name in ("last", "last_step", "last_time", "min", "max", "count"))
)
_ATTRIBUTES = {
    kind: (
        Direct(
            select(table.c.key_id).where(
                table.c.workspace_id == _WORKSPACE, table.c.run_no == bindparam("run")
            )
        ),
        Inserts(table, "workspace_id", "run_no", "key_id", "value"),
        Direct(
            update(table)
            .where(
                table.c.workspace_id == _WORKSPACE,
                table.c.run_no == bindparam("run"),
                table.c.key_id == bindparam("key"),
            )
            .values(value=bindparam("new_value"))
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
        _INSERT_KEYS.run(tx, [(workspace, name) for name in missing])
        found.update(key_numbers(tx, workspace, missing))
    return found


def key_numbers(tx: Tx, workspace: str, names: Sequence[str]) -> dict[str, int]:
    """The integer ids of those attribute keys that are known."""
    return {name: int(key_id) for name, key_id in _FIND_KEYS.rows(tx, {"workspace": workspace}, names)}


def load_values(tx: Tx, workspace: str, run_no: int, kind: str) -> dict[str, str]:
    """The params or tags (`kind`) of one run."""
    return load_many(tx, workspace, [run_no], kind).get(run_no, {})


def upsert_values(tx: Tx, workspace: str, run_no: int, kind: str, values: Mapping[str, str]) -> None:
    """Write params or tags (`kind`) of a run; an existing key gets the new value."""
    find, add, change = _ATTRIBUTES[kind]
    own = {"workspace": workspace, "run": run_no}
    ids = key_ids(tx, workspace, values)
    existing = {key for (key,) in find.rows(tx, own)}
    changed = [
        {**own, "key": ids[name], "new_value": value}
        for name, value in values.items()
        if ids[name] in existing
    ]
    fresh = [
        (workspace, run_no, ids[name], value) for name, value in values.items() if ids[name] not in existing
    ]
    if changed:
        change.run(tx, *changed)
    if fresh:
        add.run(tx, fresh)
        note_keys(tx, workspace, run_no, kind, [key for _, _, key, _ in fresh])
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
    statement = _LOAD_PARAMS if kind == "params" else _LOAD_TAGS
    found: dict[int, dict[str, str]] = {}
    for run_no, name, value in statement.rows(tx, {"workspace": workspace}, numbers):
        found.setdefault(run_no, {})[name] = value
    return found


def load_summaries(tx: Tx, workspace: str, numbers: Sequence[int]) -> dict[int, dict[str, MetricSummary]]:
    """The summaries of many runs, by number, as they were written."""
    found: dict[int, dict[str, MetricSummary]] = {}
    for run_no, name, last, *rest in _LOAD_SUMMARIES.rows(tx, {"workspace": workspace}, numbers):
        found.setdefault(run_no, {})[name] = MetricSummary(_NAN if last is None else last, *rest)
    return found
