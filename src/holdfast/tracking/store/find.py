"""Finding experiments and logged models by clauses, in an order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    String,
    Table,
    and_,
    cast,
    or_,
    select,
    true,
)

from holdfast.storage import Tx
from holdfast.tracking.conditions import compare, compare_stored, sort_by
from holdfast.tracking.query import Clause, Filter, Order
from holdfast.tracking.records import Experiment, LoggedModel
from holdfast.tracking.store import experiments as experiment_store
from holdfast.tracking.store import models as model_store
from holdfast.tracking.store.experiments import experiment_tags, experiments
from holdfast.tracking.store.models import model_metrics, model_params, model_tags, models

__all__ = ["find_experiments", "find_models"]

_EXPERIMENT_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": experiments.c.name,
    "experiment_id": cast(experiments.c.experiment_id, String),
    "creation_time": experiments.c.created_at,
    "last_update_time": experiments.c.updated_at,
}
_MODEL_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": models.c.name,
    "model_id": models.c.model_id,
    "model_type": models.c.type,
    "status": models.c.status,
    "source_run_id": models.c.run_id,
    "creation_timestamp": models.c.created_at,
    "last_updated_timestamp": models.c.updated_at,
}
Lifecycle = bool | None
"""Whether only what is deleted, only what is not, or (None) both."""


def find_experiments(
    tx: Tx,
    workspace: str,
    where: Filter,
    order: Sequence[Order],
    deleted: Lifecycle,
    offset: int,
    limit: int,
) -> list[Experiment]:
    """Experiments; by default the newest first."""

    def condition(clause: Clause) -> ColumnElement[bool]:
        if clause.entity == "attribute":
            return compare(_EXPERIMENT_COLUMNS[clause.key], clause)
        has_key = (
            experiment_tags.c.workspace_id == workspace,
            experiment_tags.c.experiment_id == experiments.c.experiment_id,
            experiment_tags.c.key == clause.key,
        )
        return compare_stored(experiment_tags.c.key, has_key, experiment_tags.c.value, clause)

    sorting = [part for one in order for part in sort_by(_EXPERIMENT_COLUMNS[one.key], one)]
    if not order:
        sorting = [experiments.c.created_at.desc()]
    query = experiment_store.experiment_rows(workspace)
    query = query.where(_lifecycle(experiments, deleted), *map(condition, where))
    query = query.order_by(
        *sorting, experiments.c.experiment_id.desc() if order else experiments.c.experiment_id
    )
    return experiment_store.records_of(tx, workspace, tx.execute(query.offset(offset).limit(limit)).all())


def find_models(
    tx: Tx,
    workspace: str,
    numbers: Sequence[int],
    where: Filter,
    order: Sequence[tuple[Order, str, str]],
    data: Sequence[tuple[str, str]],
    offset: int,
    limit: int,
) -> list[LoggedModel]:
    """Logged models of the experiments `numbers`; by default the newest first.

    order: with the name and the digest of the data set on which a metric was measured, empty for any.
    data: data sets (name, digest or empty) to which clauses on metrics are restricted.
    """

    def condition(clause: Clause) -> ColumnElement[bool]:
        if clause.entity == "attribute":
            return compare(_MODEL_COLUMNS[clause.key], clause)
        table = {"metric": model_metrics, "param": model_params, "tag": model_tags}[clause.entity]
        has_key: list[ColumnElement[bool]] = [
            table.c.workspace_id == workspace,
            table.c.model_no == models.c.model_no,
            table.c.key == clause.key,
        ]
        if clause.entity == "metric" and data:
            has_key.append(or_(*(_on(model_metrics, name, digest) for name, digest in data)))
        return compare_stored(table.c.key, has_key, table.c.value, clause)

    sorting: list[ColumnElement[Any]] = []
    for one, name, digest in order:
        if one.entity == "attribute":
            sorting += sort_by(_MODEL_COLUMNS[one.key], one)
            continue
        newest = (
            select(model_metrics.c.value)
            .where(
                model_metrics.c.workspace_id == workspace,
                model_metrics.c.model_no == models.c.model_no,
                model_metrics.c.key == one.key,
                _on(model_metrics, name, digest) if name else true(),
            )
            .order_by(model_metrics.c.time.desc(), model_metrics.c.step.desc())
            .limit(1)
            .scalar_subquery()
        )
        sorting += sort_by(newest, one)
    query = select(models).where(
        models.c.workspace_id == workspace,
        models.c.experiment_id.in_(numbers),
        models.c.deleted_at.is_(None),
        *map(condition, where),
    )
    query = query.order_by(*sorting, *([] if order else [models.c.created_at.desc()]), models.c.model_id)
    return model_store.records_of(tx, workspace, tx.execute(query.offset(offset).limit(limit)).all())


def _on(table: Table, name: str, digest: str) -> ColumnElement[bool]:
    named = table.c.dataset_name == name
    return and_(named, table.c.dataset_digest == digest) if digest else named


def _lifecycle(table: Table, deleted: Lifecycle) -> ColumnElement[bool]:
    if deleted is None:
        return true()
    return table.c.deleted_at.is_not(None) if deleted else table.c.deleted_at.is_(None)
