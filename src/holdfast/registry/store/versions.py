"""Versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    Row,
    delete,
    insert,
    select,
    update,
)

from holdfast.registry.records import ModelVersion
from holdfast.registry.store.models import update_model
from holdfast.registry.store.rows import records_of
from holdfast.registry.store.tables import (
    models,
    version_tags,
    versions,
)
from holdfast.registry.store.tags import put_tags
from holdfast.storage import ALL_WORKSPACES, Tx

__all__ = [
    "all_versions",
    "delete_version",
    "find_version",
    "insert_version",
    "list_versions",
    "next_version",
    "pending_versions",
    "registrations",
    "update_version",
]


def next_version(tx: Tx, workspace: str, name: str) -> int:
    """Count a model's versions up by one; the number is never given again."""
    own = (models.c.workspace_id == workspace, models.c.name == name)
    tx.execute(update(models).where(*own).values(last_version=models.c.last_version + 1))
    return int(tx.execute(select(models.c.last_version).where(*own)).scalar_one())


def insert_version(tx: Tx, workspace: str, version: ModelVersion) -> None:
    """A new pending version."""
    tx.execute(
        insert(versions).values(
            workspace_id=workspace,
            name=version.name,
            version=version.version,
            version_id=version.version_id,
            model_id=version.model_id,
            run_id=version.run_id,
            digest=version.digest,
            created_at=version.created_at,
            created_by=version.created_by,
            description=""
            if version.description is None
            else msgspec.json.encode(version.description).decode(),
            status=version.status,
            message=version.message,
            updated_at=version.created_at,
            note=version.note,
            source=version.source,
            link=version.link,
        )
    )
    put_tags(tx, workspace, version.name, version.version, version.tags)
    update_model(tx, workspace, version.name, {"updated_at": version.created_at})


def update_version(tx: Tx, workspace: str, name: str, version: int, values: dict[str, Any]) -> None:
    """Set columns of a version."""
    own = (versions.c.workspace_id == workspace, versions.c.name == name, versions.c.version == version)
    tx.execute(update(versions).where(*own).values(**values))


def delete_version(tx: Tx, workspace: str, name: str, version: int) -> None:
    """Delete a version with its tags; its number is never given again."""
    for table in (versions, version_tags):
        own = (table.c.workspace_id == workspace, table.c.name == name, table.c.version == version)
        tx.execute(delete(table).where(*own))


def find_version(tx: Tx, workspace: str, name: str, version: int) -> ModelVersion | None:
    """One version."""
    own = (versions.c.workspace_id == workspace, versions.c.name == name, versions.c.version == version)
    found = records_of(tx, workspace, tx.execute(select(versions).where(*own)).all())
    return found[0] if found else None


def list_versions(
    tx: Tx, workspace: str, *, name: str | None = None, run_id: str | None = None
) -> list[ModelVersion]:
    """The versions of a model, or those that a run led to, the newest first."""
    query = select(versions).where(versions.c.workspace_id == workspace)
    if name is not None:
        query = query.where(versions.c.name == name)
    if run_id is not None:
        query = query.where(versions.c.run_id == run_id)
    return records_of(
        tx, workspace, tx.execute(query.order_by(versions.c.name, versions.c.version.desc())).all()
    )


def all_versions(tx: Tx) -> list[Row[Any]]:
    """What identifies every version of all workspaces, and what was made of it."""
    v = versions.c
    query = select(
        v.workspace_id,
        v.name,
        v.version,
        v.digest,
        v.model_id,
        v.run_id,
        v.status,
        v.runtime,
        v.deployable_digest,
    )
    return list(tx.execute(query.execution_options(**ALL_WORKSPACES)))


def registrations(tx: Tx, workspace: str, model_ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    """The (name, version) pairs that were registered from each of the logged models."""
    found: dict[str, list[tuple[str, int]]] = {}
    for at in range(0, len(model_ids), 500):
        query = select(versions.c.model_id, versions.c.name, versions.c.version).where(
            versions.c.workspace_id == workspace, versions.c.model_id.in_(model_ids[at : at + 500])
        )
        for row in tx.execute(query.order_by(versions.c.name, versions.c.version)):
            found.setdefault(row.model_id, []).append((row.name, row.version))
    return found


def pending_versions(tx: Tx) -> list[tuple[str, str, int]]:
    """(workspace, name, version) of every version that waits for its preparation, the oldest first."""
    query = select(versions.c.workspace_id, versions.c.name, versions.c.version)
    query = query.where(versions.c.status == "pending").order_by(versions.c.created_at)
    rows = tx.execute(query.execution_options(**ALL_WORKSPACES))
    return [(row.workspace_id, row.name, row.version) for row in rows]
