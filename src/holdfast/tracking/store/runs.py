"""The tables of runs. Attributes are narrow typed rows over integer run and key ids."""

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
    delete,
    insert,
    select,
    update,
)

from holdfast.storage import ALL_WORKSPACES, BigId, Tx, metadata
from holdfast.tracking.records import MetricSummary, Recipe, Run, RunLinks
from holdfast.tracking.store.inputs import load_links

__all__ = [
    "all_sealed",
    "find_run",
    "insert_run",
    "key_ids",
    "key_numbers",
    "keys",
    "list_runs",
    "load_values",
    "params",
    "records_of",
    "remove_tag",
    "run_number",
    "runs",
    "state_of",
    "summaries",
    "tags",
    "update_run",
    "upsert_values",
]


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
    Column("deleted_at", BigInteger),
    UniqueConstraint("workspace_id", "run_id"),
    Index("ix_run_workspace_id_experiment_id_run_no", "workspace_id", "experiment_id", "run_no"),
    Index("ix_run_workspace_id_experiment_id_start_time", "workspace_id", "experiment_id", "start_time"),
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
_FIND_RUN = select(runs).where(runs.c.workspace_id == _WORKSPACE, runs.c.run_id == _RUN_ID)
_RUN_NUMBER = select(runs.c.run_no).where(runs.c.workspace_id == _WORKSPACE, runs.c.run_id == _RUN_ID)
_STATE = select(runs.c.digest, runs.c.deleted_at).where(
    runs.c.workspace_id == _WORKSPACE, runs.c.run_no == bindparam("run")
)
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
_NAN = float("nan")


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
    return int(done.inserted_primary_key[0])


def update_run(tx: Tx, workspace: str, run_no: int, values: Mapping[str, Any]) -> None:
    """Set columns of a run."""
    tx.execute(update(runs).where(runs.c.workspace_id == workspace, runs.c.run_no == run_no).values(**values))


def run_number(tx: Tx, workspace: str, run_id: str) -> int | None:
    """The integer id under which a run's rows stand."""
    row = tx.execute(_RUN_NUMBER, {"workspace": workspace, "run_id": run_id}).one_or_none()
    return None if row is None else int(row[0])


def state_of(tx: Tx, workspace: str, run_no: int) -> tuple[bool, bool]:
    """Whether a run carries the digest of its end, and whether it is deleted."""
    digest, deleted_at = tx.execute(_STATE, {"workspace": workspace, "run": run_no}).one()
    return digest is not None, deleted_at is not None


def find_run(tx: Tx, workspace: str, run_id: str) -> Run | None:
    """One run with all its attributes."""
    row = tx.execute(_FIND_RUN, {"workspace": workspace, "run_id": run_id}).one_or_none()
    return None if row is None else records_of(tx, workspace, [row])[0]


def list_runs(
    tx: Tx, workspace: str, experiment_id: int | None, below: int | None, limit: int
) -> list[tuple[int, Run]]:
    """Runs with their integer ids, newest first, of one experiment when it is named."""
    query = select(runs).where(runs.c.workspace_id == workspace, runs.c.deleted_at.is_(None))
    if experiment_id is not None:
        query = query.where(runs.c.experiment_id == experiment_id)
    if below is not None:
        query = query.where(runs.c.run_no < below)
    rows = list(tx.execute(query.order_by(runs.c.run_no.desc()).limit(limit)))
    return [(row.run_no, run) for row, run in zip(rows, records_of(tx, workspace, rows), strict=True)]


def records_of(tx: Tx, workspace: str, rows: Sequence[Row[Any]]) -> list[Run]:
    """Rows of the table of runs with all their attributes, in the same order."""
    numbers = [row.run_no for row in rows]
    params = _load_values(tx, _LOAD_PARAMS, workspace, numbers)
    tags = _load_values(tx, _LOAD_TAGS, workspace, numbers)
    metrics = _load_summaries(tx, workspace, numbers)
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
            metrics=metrics.get(row.run_no, {}),
            recipe=None if row.recipe is None else msgspec.json.decode(row.recipe, type=Recipe),
            exit_code=row.exit_code,
            digest=row.digest,
            deleted_at=row.deleted_at,
            links=links.get(row.run_no, RunLinks()),
        )
        for row in rows
    ]


def all_sealed(tx: Tx) -> list[tuple[str, int, str, str]]:
    """(workspace, number, id, digest) of every sealed run of all workspaces."""
    query = select(runs.c.workspace_id, runs.c.run_no, runs.c.run_id, runs.c.digest)
    query = query.where(runs.c.digest.is_not(None)).order_by(runs.c.run_no)
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


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


def remove_tag(tx: Tx, workspace: str, run_no: int, key: str) -> bool:
    """Take a tag off a run; whether it had it."""
    ids = key_numbers(tx, workspace, [key])
    own = (tags.c.workspace_id == workspace, tags.c.run_no == run_no, tags.c.key_id == ids.get(key, -1))
    return tx.execute(delete(tags).where(*own)).rowcount > 0


def _load_values(
    tx: Tx, statement: Select[Any], workspace: str, numbers: Sequence[int]
) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for at in range(0, len(numbers), 500):
        part = {"workspace": workspace, "runs": numbers[at : at + 500]}
        for run_no, name, value in tx.execute(statement, part).all():
            found.setdefault(run_no, {})[name] = value
    return found


def _load_summaries(tx: Tx, workspace: str, numbers: Sequence[int]) -> dict[int, dict[str, MetricSummary]]:
    found: dict[int, dict[str, MetricSummary]] = {}
    for at in range(0, len(numbers), 500):
        part = {"workspace": workspace, "runs": numbers[at : at + 500]}
        for run_no, name, last, *rest in tx.execute(_LOAD_SUMMARIES, part).all():
            found.setdefault(run_no, {})[name] = MetricSummary(_NAN if last is None else last, *rest)
    return found
