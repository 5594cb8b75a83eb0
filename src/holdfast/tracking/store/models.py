"""The tables of logged models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    insert,
    select,
    update,
)

from holdfast.storage import ALL_WORKSPACES, BigId, Tx, metadata
from holdfast.tracking.records import LoggedModel, ModelMetric

__all__ = [
    "add_metrics",
    "add_params",
    "all_logged",
    "find_logged_model",
    "insert_logged_model",
    "list_logged_models",
    "model_metrics",
    "model_number",
    "model_params",
    "model_tags",
    "models",
    "put_tags",
    "records_of",
    "remove_tag",
    "update_logged_model",
    "was_deleted",
]

models = Table(
    "logged_model",
    metadata,
    Column("model_no", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("model_id", String(64), nullable=False),
    Column("run_id", String(256)),
    Column("experiment_id", BigInteger),
    Column("name", String(250), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("digest", String(64)),
    Column("type", String(500), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    UniqueConstraint("workspace_id", "model_id"),
    Index("ix_logged_model_workspace_id_run_id", "workspace_id", "run_id"),
    Index("ix_logged_model_workspace_id_experiment_id", "workspace_id", "experiment_id", "created_at"),
)


def _attributes(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("workspace_id", String(64), nullable=False),
        Column("model_no", BigInteger, nullable=False),
        Column("key", String(250), nullable=False),
        Column("value", Text, nullable=False),
        PrimaryKeyConstraint("workspace_id", "model_no", "key"),
    )


model_params = _attributes("logged_model_param")
model_tags = _attributes("logged_model_tag")
model_metrics = Table(
    "logged_model_metric",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("model_no", BigInteger, nullable=False),
    Column("key", String(250), nullable=False),
    Column("run_id", String(256), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("value", Float),  # NULL is NaN: SQLite keeps no NaN
    Column("dataset_name", String(500), nullable=False),
    Column("dataset_digest", String(36), nullable=False),
    PrimaryKeyConstraint("workspace_id", "model_no", "key", "time", "step", "run_id"),
)


def insert_logged_model(tx: Tx, workspace: str, model: LoggedModel) -> None:
    """A new logged model, without files."""
    done = tx.execute(
        insert(models).values(
            workspace_id=workspace,
            model_id=model.model_id,
            run_id=model.run_id,
            experiment_id=model.experiment_id,
            name=model.name,
            status=model.status,
            created_at=model.created_at,
            type=model.type,
            updated_at=model.updated_at,
        )
    )
    assert done.inserted_primary_key is not None
    number = int(done.inserted_primary_key[0])
    add_params(tx, workspace, number, model.params)
    put_tags(tx, workspace, number, model.tags)


def model_number(tx: Tx, workspace: str, model_id: str) -> int | None:
    """The integer id under which a model's rows stand; None for one that is not there or deleted."""
    query = select(models.c.model_no).where(
        models.c.workspace_id == workspace, models.c.model_id == model_id, models.c.deleted_at.is_(None)
    )
    found = tx.execute(query).scalar_one_or_none()
    return None if found is None else int(found)


def find_logged_model(tx: Tx, workspace: str, model_id: str) -> LoggedModel | None:
    """One logged model that is not deleted."""
    query = select(models).where(
        models.c.workspace_id == workspace, models.c.model_id == model_id, models.c.deleted_at.is_(None)
    )
    found = records_of(tx, workspace, tx.execute(query).all())
    return found[0] if found else None


def was_deleted(tx: Tx, workspace: str, model_id: str) -> bool:
    """Whether there was such a logged model, which is deleted."""
    query = select(models.c.deleted_at).where(
        models.c.workspace_id == workspace, models.c.model_id == model_id
    )
    return tx.execute(query).scalar_one_or_none() is not None


def list_logged_models(tx: Tx, workspace: str, run_id: str) -> list[LoggedModel]:
    """The models that a run logged, in order."""
    query = select(models).where(
        models.c.workspace_id == workspace, models.c.run_id == run_id, models.c.deleted_at.is_(None)
    )
    return records_of(tx, workspace, tx.execute(query.order_by(models.c.model_no)).all())


def all_logged(tx: Tx) -> list[tuple[str, str, str, str]]:
    """(workspace, id, status, digest) of every finalized model of all workspaces."""
    query = select(models.c.workspace_id, models.c.model_id, models.c.status, models.c.digest)
    query = query.where(models.c.digest.is_not(None))
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


def update_logged_model(tx: Tx, workspace: str, model_id: str, values: Mapping[str, Any]) -> None:
    """Set columns of a logged model."""
    own = (models.c.workspace_id == workspace, models.c.model_id == model_id)
    tx.execute(update(models).where(*own).values(**values))


def add_params(tx: Tx, workspace: str, number: int, params: Mapping[str, str]) -> None:
    """Write params that the model has not yet."""
    if params:
        own = {"workspace_id": workspace, "model_no": number}
        tx.execute(insert(model_params), [{**own, "key": key, "value": params[key]} for key in params])


def put_tags(tx: Tx, workspace: str, number: int, tags: Mapping[str, str]) -> None:
    """Write tags; an existing key gets the new value."""
    for key in tags:
        remove_tag(tx, workspace, number, key)
    if tags:
        own = {"workspace_id": workspace, "model_no": number}
        tx.execute(insert(model_tags), [{**own, "key": key, "value": tags[key]} for key in tags])


def remove_tag(tx: Tx, workspace: str, number: int, key: str) -> bool:
    """Take a tag off; whether it was there."""
    own = (model_tags.c.workspace_id == workspace, model_tags.c.model_no == number, model_tags.c.key == key)
    return tx.execute(delete(model_tags).where(*own)).rowcount > 0


def add_metrics(tx: Tx, workspace: str, number: int, metrics: Sequence[ModelMetric]) -> None:
    """Write metrics; the same point again gets the new value."""
    points = {(one.key, one.time, one.step, one.run_id): one for one in metrics}
    for (key, time, step, run_id), one in points.items():
        tx.execute(
            delete(model_metrics).where(
                model_metrics.c.workspace_id == workspace,
                model_metrics.c.model_no == number,
                model_metrics.c.key == key,
                model_metrics.c.time == time,
                model_metrics.c.step == step,
                model_metrics.c.run_id == run_id,
            )
        )
        tx.execute(
            insert(model_metrics).values(
                workspace_id=workspace,
                model_no=number,
                key=key,
                run_id=run_id,
                time=time,
                step=step,
                value=None if one.value != one.value else one.value,
                dataset_name=one.dataset_name,
                dataset_digest=one.dataset_digest,
            )
        )


def records_of(tx: Tx, workspace: str, rows: Sequence[Row[Any]]) -> list[LoggedModel]:
    """Rows of the table of logged models with all their attributes, in the same order."""
    numbers = [row.model_no for row in rows]
    params = _load_values(tx, model_params, workspace, numbers)
    tags = _load_values(tx, model_tags, workspace, numbers)
    metrics = _load_metrics(tx, workspace, numbers)
    return [
        LoggedModel(
            model_id=row.model_id,
            run_id=row.run_id,
            experiment_id=row.experiment_id,
            name=row.name,
            status=row.status,
            created_at=row.created_at,
            digest=row.digest,
            type=row.type,
            updated_at=row.updated_at,
            params=params.get(row.model_no, {}),
            tags=tags.get(row.model_no, {}),
            metrics=metrics.get(row.model_no, []),
        )
        for row in rows
    ]


def _load_values(tx: Tx, table: Table, workspace: str, numbers: Sequence[int]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for at in range(0, len(numbers), 500):
        query = select(table).where(
            table.c.workspace_id == workspace, table.c.model_no.in_(numbers[at : at + 500])
        )
        for row in tx.execute(query.order_by(table.c.key)):
            found.setdefault(row.model_no, {})[row.key] = row.value
    return found


def _load_metrics(tx: Tx, workspace: str, numbers: Sequence[int]) -> dict[int, list[ModelMetric]]:
    found: dict[int, list[ModelMetric]] = {}
    for at in range(0, len(numbers), 500):
        query = select(model_metrics).where(
            model_metrics.c.workspace_id == workspace, model_metrics.c.model_no.in_(numbers[at : at + 500])
        )
        order = model_metrics.c.key, model_metrics.c.time, model_metrics.c.step
        for row in tx.execute(query.order_by(*order)):
            found.setdefault(row.model_no, []).append(
                ModelMetric(
                    key=row.key,
                    value=float("nan") if row.value is None else row.value,
                    time=row.time,
                    step=row.step,
                    run_id=row.run_id,
                    dataset_name=row.dataset_name,
                    dataset_digest=row.dataset_digest,
                )
            )
    return found
