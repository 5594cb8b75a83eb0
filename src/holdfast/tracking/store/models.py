"""The table of logged models."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Row, String, Table, UniqueConstraint, insert, select, update

from holdfast.storage import ALL_WORKSPACES, BigId, Tx, metadata
from holdfast.tracking.records import LoggedModel

__all__ = ["all_logged", "find_logged_model", "insert_logged_model", "list_logged_models", "mark_ready"]

_models = Table(
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
    UniqueConstraint("workspace_id", "model_id"),
    Index("ix_logged_model_workspace_id_run_id", "workspace_id", "run_id"),
)


def insert_logged_model(tx: Tx, workspace: str, model: LoggedModel) -> None:
    """A new logged model, without files."""
    tx.execute(
        insert(_models).values(
            workspace_id=workspace,
            model_id=model.model_id,
            run_id=model.run_id,
            experiment_id=model.experiment_id,
            name=model.name,
            status=model.status,
            created_at=model.created_at,
        )
    )


def find_logged_model(tx: Tx, workspace: str, model_id: str) -> LoggedModel | None:
    """One logged model."""
    query = select(_models).where(_models.c.workspace_id == workspace, _models.c.model_id == model_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else _record(row)


def list_logged_models(tx: Tx, workspace: str, run_id: str) -> list[LoggedModel]:
    """The models that a run logged, in order."""
    query = select(_models).where(_models.c.workspace_id == workspace, _models.c.run_id == run_id)
    return [_record(row) for row in tx.execute(query.order_by(_models.c.model_no))]


def all_logged(tx: Tx) -> list[tuple[str, str, str, str]]:
    """(workspace, id, status, digest) of every finalized model of all workspaces."""
    query = select(_models.c.workspace_id, _models.c.model_id, _models.c.status, _models.c.digest)
    query = query.where(_models.c.digest.is_not(None))
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


def mark_ready(tx: Tx, workspace: str, model_id: str, digest: str) -> None:
    """Set a logged model ready under its tree's digest."""
    tx.execute(
        update(_models)
        .where(_models.c.workspace_id == workspace, _models.c.model_id == model_id)
        .values(status="ready", digest=digest)
    )


def _record(row: Row[Any]) -> LoggedModel:
    return LoggedModel(
        row.model_id, row.run_id, row.experiment_id, row.name, row.status, row.created_at, row.digest
    )
