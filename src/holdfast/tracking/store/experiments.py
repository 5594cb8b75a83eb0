"""The tables of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    PrimaryKeyConstraint,
    Row,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from holdfast.storage import ALL_WORKSPACES, BigId, Tx, metadata
from holdfast.storage.direct import Direct, DirectIn
from holdfast.tracking.records import Experiment
from holdfast.tracking.store.tables import runs

__all__ = [
    "all_experiments",
    "experiment_number",
    "experiment_rows",
    "experiment_tags",
    "experiments",
    "find_experiment",
    "insert_experiment",
    "list_experiments",
    "locations",
    "mark_runs",
    "put_tags",
    "records_of",
    "remove_tag",
    "state_of",
    "update_experiment",
]

experiments = Table(
    "experiment",
    metadata,
    Column("experiment_id", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(500), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Column("location", Text, nullable=False),
    UniqueConstraint("workspace_id", "name"),
    sqlite_autoincrement=True,
)
experiment_tags = Table(
    "experiment_tag",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("experiment_id", BigInteger, nullable=False),
    Column("key", String(250), nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "experiment_id", "key"),
)
_NUMBER = Direct(
    select(experiments.c.experiment_id, experiments.c.deleted_at).where(
        experiments.c.workspace_id == bindparam("workspace"), experiments.c.name == bindparam("name")
    )
)
_STATE = Direct(
    select(experiments.c.name, experiments.c.deleted_at).where(
        experiments.c.workspace_id == bindparam("workspace"),
        experiments.c.experiment_id == bindparam("number"),
    )
)
_LOCATIONS = DirectIn(
    select(experiments.c.experiment_id, experiments.c.location).where(
        experiments.c.workspace_id == bindparam("workspace")
    ),
    experiments.c.experiment_id,
)


def insert_experiment(tx: Tx, workspace: str, new: Experiment) -> int:
    """A new experiment with its tags; its id is the given one, or for -1 the next. The name must be free."""
    values: dict[str, Any] = {
        "workspace_id": workspace,
        "name": new.name,
        "created_at": new.created_at,
        "updated_at": new.updated_at,
        "location": new.location,
    }
    if new.experiment_id >= 0:
        values["experiment_id"] = new.experiment_id
    done = tx.execute(insert(experiments).values(**values))
    assert done.inserted_primary_key is not None
    number = int(done.inserted_primary_key[0])
    put_tags(tx, workspace, number, new.tags)
    return number


def state_of(tx: Tx, workspace: str, number: int) -> tuple[str, bool] | None:
    """The name of an experiment and whether it is deleted; None when there is none of the id."""
    rows = _STATE.rows(tx, {"workspace": workspace, "number": number})
    return (rows[0][0], rows[0][1] is not None) if rows else None


def find_experiment(
    tx: Tx, workspace: str, *, name: str | None = None, experiment_id: int | None = None
) -> Experiment | None:
    """One experiment by name or id, deleted or not."""
    query = experiment_rows(workspace)
    if name is not None:
        query = query.where(experiments.c.name == name)
    if experiment_id is not None:
        query = query.where(experiments.c.experiment_id == experiment_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else records_of(tx, workspace, [row])[0]


def experiment_number(tx: Tx, workspace: str, name: str) -> tuple[int, bool] | None:
    """The id of an experiment and whether it is deleted; None when there is none of the name."""
    rows = _NUMBER.rows(tx, {"workspace": workspace, "name": name})
    return (int(rows[0][0]), rows[0][1] is not None) if rows else None


def locations(tx: Tx, workspace: str, numbers: Sequence[int]) -> dict[int, str]:
    """The location of each of the experiments."""
    rows = _LOCATIONS.rows(tx, {"workspace": workspace}, numbers)
    return {int(number): location for number, location in rows}


def list_experiments(tx: Tx, workspace: str) -> list[Experiment]:
    """All experiments that are not deleted, the newest first, with their true counts of runs."""
    query = experiment_rows(workspace).where(experiments.c.deleted_at.is_(None))
    return records_of(tx, workspace, tx.execute(query.order_by(experiments.c.experiment_id.desc())).all())


def experiment_rows(workspace: str) -> Select[Any]:
    """The query of a workspace's experiments with their counts of runs: what `records_of` takes."""
    own = (
        runs.c.workspace_id == workspace,
        runs.c.experiment_id == experiments.c.experiment_id,
        runs.c.deleted_at.is_(None),
    )
    return select(
        experiments,
        select(func.count()).select_from(runs).where(*own).scalar_subquery().label("runs"),
        select(func.max(runs.c.start_time)).where(*own).scalar_subquery().label("last_run_at"),
    ).where(experiments.c.workspace_id == workspace)


def records_of(tx: Tx, workspace: str, rows: Sequence[Row[Any]]) -> list[Experiment]:
    """Rows of `experiment_rows` with their tags, in the same order."""
    found: dict[int, dict[str, str]] = {}
    numbers = [row.experiment_id for row in rows]
    for at in range(0, len(numbers), 500):
        query = select(experiment_tags).where(
            experiment_tags.c.workspace_id == workspace,
            experiment_tags.c.experiment_id.in_(numbers[at : at + 500]),
        )
        for tag in tx.execute(query.order_by(experiment_tags.c.key)):
            found.setdefault(tag.experiment_id, {})[tag.key] = tag.value
    return [
        Experiment(
            experiment_id=row.experiment_id,
            name=row.name,
            created_at=row.created_at,
            runs=row.runs,
            last_run_at=row.last_run_at,
            updated_at=row.updated_at,
            deleted_at=row.deleted_at,
            location=row.location,
            tags=found.get(row.experiment_id, {}),
        )
        for row in rows
    ]


def all_experiments(tx: Tx) -> list[tuple[str, int, str]]:
    """(workspace, number, name) of every experiment of all workspaces."""
    query = select(experiments.c.workspace_id, experiments.c.experiment_id, experiments.c.name)
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


def update_experiment(tx: Tx, workspace: str, number: int, values: Mapping[str, Any]) -> None:
    """Set columns of an experiment."""
    own = (experiments.c.workspace_id == workspace, experiments.c.experiment_id == number)
    tx.execute(update(experiments).where(*own).values(**values))


def put_tags(tx: Tx, workspace: str, number: int, tags: Mapping[str, str]) -> None:
    """Write tags of an experiment; an existing key gets the new value."""
    for key in tags:
        remove_tag(tx, workspace, number, key)
    if tags:
        own = {"workspace_id": workspace, "experiment_id": number}
        tx.execute(insert(experiment_tags), [{**own, "key": key, "value": tags[key]} for key in tags])


def remove_tag(tx: Tx, workspace: str, number: int, key: str) -> bool:
    """Take a tag off an experiment; whether it had it."""
    own = (
        experiment_tags.c.workspace_id == workspace,
        experiment_tags.c.experiment_id == number,
        experiment_tags.c.key == key,
    )
    return tx.execute(delete(experiment_tags).where(*own)).rowcount > 0


def mark_runs(tx: Tx, workspace: str, number: int, *, before: int | None, after: int | None) -> None:
    """Give the runs of an experiment that were deleted at `before` (None: not deleted) the time `after`."""
    is_such = runs.c.deleted_at.is_(None) if before is None else runs.c.deleted_at == before
    own = (runs.c.workspace_id == workspace, runs.c.experiment_id == number)
    tx.execute(update(runs).where(*own, is_such).values(deleted_at=after))
