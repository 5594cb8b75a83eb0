"""Models and the tags of models and versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Row,
    delete,
    insert,
    select,
    update,
)

from holdfast.registry.records import AliasState, ModelVersion, RegisteredModel
from holdfast.registry.store.rows import records_of
from holdfast.registry.store.tables import (
    ALL_OF_A_MODEL,
    OF_NAMES,
    aliases,
    model_tags,
    models,
    versions,
)
from holdfast.storage import ALL_WORKSPACES, Tx

__all__ = [
    "all_models",
    "delete_model",
    "has_model",
    "insert_model",
    "list_models",
    "load_models",
    "rename_model",
    "update_model",
]


def insert_model(tx: Tx, workspace: str, name: str, now_ms: int, note: str = "") -> None:
    """A new model without versions."""
    tx.execute(
        insert(models).values(
            workspace_id=workspace, name=name, created_at=now_ms, last_version=0, updated_at=now_ms, note=note
        )
    )


def has_model(tx: Tx, workspace: str, name: str) -> bool:
    """Whether there is a model of the name."""
    query = select(models.c.name).where(models.c.workspace_id == workspace, models.c.name == name)
    return tx.execute(query).one_or_none() is not None


def load_models(tx: Tx, workspace: str, names: Sequence[str]) -> list[RegisteredModel]:
    """Models with versions, aliases and tags, in the order of `names`; those that are not there are missing."""
    rows: dict[str, Row[Any]] = {}
    versions_of: dict[str, list[ModelVersion]] = {}
    aliases_of: dict[str, list[AliasState]] = {}
    tags_of: dict[str, dict[str, str]] = {}
    for at in range(0, len(names), 500):
        own = {"workspace": workspace, "names": names[at : at + 500]}
        rows.update((row.name, row) for row in tx.execute(OF_NAMES[models], own))
        for row in tx.execute(OF_NAMES[aliases], own):
            aliases_of.setdefault(row.name, []).append(AliasState(row.alias, row.version, row.since, row.by))
        for row in tx.execute(OF_NAMES[model_tags], own):
            tags_of.setdefault(row.name, {})[row.key] = row.value
        for version in records_of(tx, workspace, tx.execute(OF_NAMES[versions], own).all()):
            versions_of.setdefault(version.name, []).append(version)
    return [
        RegisteredModel(
            name=name,
            created_at=rows[name].created_at,
            aliases=aliases_of.get(name, []),
            versions=versions_of.get(name, []),
            updated_at=rows[name].updated_at,
            note=rows[name].note,
            tags=tags_of.get(name, {}),
        )
        for name in names
        if name in rows
    ]


def update_model(tx: Tx, workspace: str, name: str, values: Mapping[str, Any]) -> None:
    """Set columns of a model."""
    own = (models.c.workspace_id == workspace, models.c.name == name)
    tx.execute(update(models).where(*own).values(**values))


def rename_model(tx: Tx, workspace: str, name: str, new_name: str) -> None:
    """Give a model another name everywhere; the caller has made sure that it is free."""
    for table in ALL_OF_A_MODEL:
        own = (table.c.workspace_id == workspace, table.c.name == name)
        tx.execute(update(table).where(*own).values(name=new_name))


def delete_model(tx: Tx, workspace: str, name: str) -> None:
    """Delete a model with its versions, aliases and their history, and tags."""
    for table in ALL_OF_A_MODEL:
        tx.execute(delete(table).where(table.c.workspace_id == workspace, table.c.name == name))


def list_models(tx: Tx, workspace: str) -> list[str]:
    """The names of all models, in order."""
    query = select(models.c.name).where(models.c.workspace_id == workspace)
    return list(tx.execute(query.order_by(models.c.name)).scalars())


def all_models(tx: Tx) -> list[tuple[str, str]]:
    """(workspace, name) of every model of all workspaces."""
    query = select(models.c.workspace_id, models.c.name)
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]
