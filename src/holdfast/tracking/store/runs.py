"""The tables of experiments and runs. Attributes are narrow typed rows over integer run and key ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Row,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    func,
    insert,
    select,
    update,
)

from holdfast.storage import ALL_WORKSPACES, BigId, Tx, metadata
from holdfast.tracking.records import Experiment, MetricSummary, Recipe, Run

__all__ = [
    "all_experiments",
    "all_sealed",
    "experiment_number",
    "experiments",
    "find_experiment",
    "find_run",
    "insert_experiment",
    "insert_run",
    "is_sealed",
    "key_ids",
    "keys",
    "list_experiments",
    "list_runs",
    "load_values",
    "params",
    "run_number",
    "runs",
    "summaries",
    "tags",
    "update_run",
    "upsert_values",
]


experiments = Table(
    "experiment",
    metadata,
    Column("experiment_id", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(500), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("workspace_id", "name"),
    sqlite_autoincrement=True,
)
runs = Table(
    "run",
    metadata,
    Column("run_no", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("run_id", String(256), nullable=False),
    Column("experiment_id", BigInteger, nullable=False),
    Column("name", String(250), nullable=False),
    Column("status", String(16), nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("end_time", BigInteger),
    Column("user", String(200), nullable=False),
    Column("recipe", Text),
    Column("exit_code", Integer),
    Column("digest", String(64)),
    UniqueConstraint("workspace_id", "run_id"),
    Index("ix_run_workspace_id_experiment_id_run_no", "workspace_id", "experiment_id", "run_no"),
    Index("ix_run_workspace_id_run_no_name_run_id", "workspace_id", "run_no", "name", "run_id"),  # for search
    sqlite_autoincrement=True,
)
keys = Table(
    "attribute_key",
    metadata,
    Column("key_id", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    UniqueConstraint("workspace_id", "name"),
)


def _attributes(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("workspace_id", String(64), nullable=False),
        Column("run_no", BigInteger, nullable=False),
        Column("key_id", BigInteger, nullable=False),
        Column("value", Text, nullable=False),
        PrimaryKeyConstraint("workspace_id", "run_no", "key_id"),
        Index(f"ix_{name}_workspace_id_key_id_run_no", "workspace_id", "key_id", "run_no"),
    )


params = _attributes("run_param")
tags = _attributes("run_tag")
summaries = Table(
    "metric_summary",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("run_no", BigInteger, nullable=False),
    Column("key_id", BigInteger, nullable=False),
    Column("last", Float),  # NULL is NaN: SQLite keeps no NaN
    Column("last_step", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
    Column("min", Float),
    Column("max", Float),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "run_no", "key_id"),
    Index("ix_metric_summary_workspace_id_key_id_last_run_no", "workspace_id", "key_id", "last", "run_no"),
)


# Built once: building a statement takes SQLAlchemy longer than running it.
_WORKSPACE: BindParameter[str] = bindparam("workspace")
_RUN_ID: BindParameter[str] = bindparam("run_id")
_RUNS: BindParameter[int] = bindparam("runs", expanding=True)
_EXPERIMENT_NUMBER = select(experiments.c.experiment_id).where(
    experiments.c.workspace_id == _WORKSPACE, experiments.c.name == bindparam("name")
)
_FIND_RUN = select(runs).where(runs.c.workspace_id == _WORKSPACE, runs.c.run_id == _RUN_ID)
_RUN_NUMBER = select(runs.c.run_no).where(runs.c.workspace_id == _WORKSPACE, runs.c.run_id == _RUN_ID)
_DIGEST = select(runs.c.digest).where(runs.c.workspace_id == _WORKSPACE, runs.c.run_no == bindparam("run"))
_INSERT_RUN, _INSERT_KEYS = insert(runs), insert(keys)
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
_LOAD_SUMMARIES = _load_statement(summaries, *[c for c in summaries.c if c.name != "run_no"])
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


def insert_experiment(tx: Tx, workspace: str, name: str, now_ms: int) -> Experiment:
    """A new experiment; the caller has made sure that the name is free."""
    done = tx.execute(insert(experiments).values(workspace_id=workspace, name=name, created_at=now_ms))
    assert done.inserted_primary_key is not None
    return Experiment(int(done.inserted_primary_key[0]), name, now_ms)


def find_experiment(
    tx: Tx, workspace: str, *, name: str | None = None, experiment_id: int | None = None
) -> Experiment | None:
    """One experiment by name or id."""
    query = _experiment_query(workspace)
    if name is not None:
        query = query.where(experiments.c.name == name)
    if experiment_id is not None:
        query = query.where(experiments.c.experiment_id == experiment_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else Experiment(*row)


def experiment_number(tx: Tx, workspace: str, name: str) -> int | None:
    """The id of an experiment; None when there is none of the name."""
    row = tx.execute(_EXPERIMENT_NUMBER, {"workspace": workspace, "name": name}).one_or_none()
    return None if row is None else int(row[0])


def list_experiments(tx: Tx, workspace: str) -> list[Experiment]:
    """All experiments, the newest first, with their true counts of runs."""
    return [
        Experiment(*row)
        for row in tx.execute(_experiment_query(workspace).order_by(experiments.c.experiment_id.desc()))
    ]


def _experiment_query(workspace: str) -> Any:
    own = (runs.c.workspace_id == workspace, runs.c.experiment_id == experiments.c.experiment_id)
    return select(
        experiments.c.experiment_id,
        experiments.c.name,
        experiments.c.created_at,
        select(func.count()).select_from(runs).where(*own).scalar_subquery(),
        select(func.max(runs.c.start_time)).where(*own).scalar_subquery(),
    ).where(experiments.c.workspace_id == workspace)


def insert_run(tx: Tx, workspace: str, run: Run) -> None:
    """A new run without attributes."""
    values = {
        "workspace_id": workspace,
        "run_id": run.run_id,
        "experiment_id": run.experiment_id,
        "name": run.name,
        "status": run.status,
        "start_time": run.start_time,
        "user": run.user,
        "recipe": None if run.recipe is None else msgspec.json.encode(run.recipe).decode(),
    }
    tx.execute(_INSERT_RUN, values)


def update_run(tx: Tx, workspace: str, run_no: int, values: Mapping[str, Any]) -> None:
    """Set columns of a run."""
    tx.execute(update(runs).where(runs.c.workspace_id == workspace, runs.c.run_no == run_no).values(**values))


def run_number(tx: Tx, workspace: str, run_id: str) -> int | None:
    """The integer id under which a run's rows stand."""
    row = tx.execute(_RUN_NUMBER, {"workspace": workspace, "run_id": run_id}).one_or_none()
    return None if row is None else int(row[0])


def is_sealed(tx: Tx, workspace: str, run_no: int) -> bool:
    """Whether a run carries the digest of its end."""
    return tx.execute(_DIGEST, {"workspace": workspace, "run": run_no}).scalar_one() is not None


def find_run(tx: Tx, workspace: str, run_id: str) -> Run | None:
    """One run with all its attributes."""
    row = tx.execute(_FIND_RUN, {"workspace": workspace, "run_id": run_id}).one_or_none()
    return None if row is None else _with_attributes(tx, workspace, [row])[0]


def list_runs(
    tx: Tx, workspace: str, experiment_id: int | None, below: int | None, limit: int
) -> list[tuple[int, Run]]:
    """Runs with their integer ids, newest first, of one experiment when it is named."""
    query = select(runs).where(runs.c.workspace_id == workspace)
    if experiment_id is not None:
        query = query.where(runs.c.experiment_id == experiment_id)
    if below is not None:
        query = query.where(runs.c.run_no < below)
    rows = list(tx.execute(query.order_by(runs.c.run_no.desc()).limit(limit)))
    return [(row.run_no, run) for row, run in zip(rows, _with_attributes(tx, workspace, rows), strict=True)]


def _with_attributes(tx: Tx, workspace: str, rows: Sequence[Row[Any]]) -> list[Run]:
    numbers = [row.run_no for row in rows]
    params = _load_values(tx, _LOAD_PARAMS, workspace, numbers)
    tags = _load_values(tx, _LOAD_TAGS, workspace, numbers)
    metrics = _load_summaries(tx, workspace, numbers)
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
            metrics=metrics.get(row.run_no, {}),
            recipe=None if row.recipe is None else msgspec.json.decode(row.recipe, type=Recipe),
            exit_code=row.exit_code,
            digest=row.digest,
        )
        for row in rows
    ]


def all_experiments(tx: Tx) -> list[tuple[str, int, str]]:
    """(workspace, number, name) of every experiment of all workspaces."""
    query = select(experiments.c.workspace_id, experiments.c.experiment_id, experiments.c.name)
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


def all_sealed(tx: Tx) -> list[tuple[str, int, str, str]]:
    """(workspace, number, id, digest) of every sealed run of all workspaces."""
    query = select(runs.c.workspace_id, runs.c.run_no, runs.c.run_id, runs.c.digest)
    query = query.where(runs.c.digest.is_not(None)).order_by(runs.c.run_no)
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


def key_ids(tx: Tx, workspace: str, names: Iterable[str]) -> dict[str, int]:
    """The integer ids of attribute keys; new ones are made."""
    wanted = list(dict.fromkeys(names))
    found = _find_keys(tx, workspace, wanted)
    missing = [name for name in wanted if name not in found]
    if missing:
        tx.execute(_INSERT_KEYS, [{"workspace_id": workspace, "name": name} for name in missing])
        found.update(_find_keys(tx, workspace, missing))
    return found


def _find_keys(tx: Tx, workspace: str, names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for at in range(0, len(names), 500):
        part = {"workspace": workspace, "names": names[at : at + 500]}
        found.update((row.name, row.key_id) for row in tx.execute(_FIND_KEYS, part))
    return found


def load_values(tx: Tx, workspace: str, run_no: int, kind: str) -> dict[str, str]:
    """The params or tags (`kind`) of one run."""
    statement = _LOAD_PARAMS if kind == "params" else _LOAD_TAGS
    return _load_values(tx, statement, workspace, [run_no]).get(run_no, {})


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


def _load_values(
    tx: Tx, statement: Select[Any], workspace: str, numbers: Sequence[int]
) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for at in range(0, len(numbers), 500):
        part = {"workspace": workspace, "runs": numbers[at : at + 500]}
        for run_no, name, value in tx.execute(statement, part):
            found.setdefault(run_no, {})[name] = value
    return found


def _load_summaries(tx: Tx, workspace: str, numbers: Sequence[int]) -> dict[int, dict[str, MetricSummary]]:
    found: dict[int, dict[str, MetricSummary]] = {}
    for at in range(0, len(numbers), 500):
        part = {"workspace": workspace, "runs": numbers[at : at + 500]}
        for row in tx.execute(_LOAD_SUMMARIES, part):
            found.setdefault(row.run_no, {})[row.name] = _summary(row)
    return found


def _summary(row: Row[Any]) -> MetricSummary:
    last = float("nan") if row.last is None else row.last
    return MetricSummary(last, row.last_step, row.last_time, row.min, row.max, row._mapping["count"])
