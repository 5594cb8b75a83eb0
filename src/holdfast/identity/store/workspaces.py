"""The table of workspaces."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, String, Table, event, insert, select, update

from holdfast.identity.records import Workspace
from holdfast.kernel.principal import DEFAULT_WORKSPACE
from holdfast.storage import Tx, metadata

__all__ = ["archive_workspace", "find_workspace", "insert_workspace", "list_workspaces"]

_workspaces = Table(
    "workspace",
    metadata,
    Column("workspace_id", String(64), primary_key=True),
    Column("description", String(500), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
)


@event.listens_for(_workspaces, "after_create")
def _seed(_table: Table, connection: Connection, **_: Any) -> None:
    """Every deployment has the workspace `default`; the migration writes the same row."""
    connection.execute(
        insert(_workspaces).values(workspace_id=DEFAULT_WORKSPACE, description="", created_at=0)
    )


def insert_workspace(tx: Tx, workspace: Workspace) -> None:
    """Add a workspace; its name must be free."""
    tx.execute(
        insert(_workspaces).values(
            workspace_id=workspace.name,
            description=workspace.description,
            created_at=workspace.created_at,
        )
    )


def find_workspace(tx: Tx, name: str) -> Workspace | None:
    """One workspace, archived or not."""
    row = tx.execute(select(_workspaces).where(_workspaces.c.workspace_id == name)).first()
    if row is None:
        return None
    return Workspace(row.workspace_id, row.description, row.created_at, row.archived_at)


def list_workspaces(tx: Tx) -> list[Workspace]:
    """Every workspace, archived ones too; the oldest first."""
    query = select(_workspaces).order_by(_workspaces.c.created_at, _workspaces.c.workspace_id)
    return [
        Workspace(row.workspace_id, row.description, row.created_at, row.archived_at)
        for row in tx.execute(query)
    ]


def archive_workspace(tx: Tx, name: str, archived_at: int | None) -> None:
    """Archive a workspace, or take it back with None."""
    tx.execute(update(_workspaces).where(_workspaces.c.workspace_id == name).values(archived_at=archived_at))
