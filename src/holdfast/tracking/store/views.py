"""The table of saved views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    insert,
    or_,
    select,
    update,
)

from holdfast.storage import Tx, metadata
from holdfast.tracking.records import View

__all__ = ["delete_view", "find_own", "find_view", "insert_view", "list_views", "update_view", "views"]

views = Table(
    "run_view",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("view_id", String(32), nullable=False),
    Column("experiment_id", BigInteger, nullable=False),
    Column("name", String(100), nullable=False),
    Column("query", Text, nullable=False),
    Column("is_shared", Boolean, nullable=False),
    Column("owner_id", String(64), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "view_id"),
    UniqueConstraint("workspace_id", "experiment_id", "owner_id", "name"),
)


def list_views(tx: Tx, workspace: str, experiment_id: int, owner_id: str) -> list[View]:
    """The views of an experiment that this owner may see: shared ones and own ones, by name."""
    query = select(views).where(
        views.c.workspace_id == workspace,
        views.c.experiment_id == experiment_id,
        or_(views.c.is_shared.is_(True), views.c.owner_id == owner_id),
    )
    return _records(tx.execute(query.order_by(views.c.name, views.c.view_id)).all())


def find_view(tx: Tx, workspace: str, view_id: str) -> View | None:
    """One view by its id."""
    query = select(views).where(views.c.workspace_id == workspace, views.c.view_id == view_id)
    found = _records(tx.execute(query).all())
    return found[0] if found else None


def find_own(tx: Tx, workspace: str, experiment_id: int, owner_id: str, name: str) -> View | None:
    """An owner's view by its name."""
    query = select(views).where(
        views.c.workspace_id == workspace,
        views.c.experiment_id == experiment_id,
        views.c.owner_id == owner_id,
        views.c.name == name,
    )
    found = _records(tx.execute(query).all())
    return found[0] if found else None


def insert_view(tx: Tx, workspace: str, view: View) -> None:
    """A new view."""
    tx.execute(insert(views).values(workspace_id=workspace, **_values(view)))


def update_view(tx: Tx, workspace: str, view: View) -> None:
    """What a view asks, and who sees it."""
    query = update(views).where(views.c.workspace_id == workspace, views.c.view_id == view.view_id)
    tx.execute(query.values(query=view.query, is_shared=view.is_shared, updated_at=view.updated_at))


def delete_view(tx: Tx, workspace: str, view_id: str) -> None:
    """Take a view away."""
    tx.execute(delete(views).where(views.c.workspace_id == workspace, views.c.view_id == view_id))


def _values(view: View) -> dict[str, Any]:
    return {name: getattr(view, name) for name in View.__struct_fields__}


def _records(rows: Sequence[Row[Any]]) -> list[View]:
    return [
        View(
            row.view_id,
            row.experiment_id,
            row.name,
            row.query,
            bool(row.is_shared),
            row.owner_id,
            row.owner,
            row.updated_at,
        )
        for row in rows
    ]
