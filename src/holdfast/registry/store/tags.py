"""Tags of models and of their versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert

from holdfast.registry.store.tables import model_tags, version_tags
from holdfast.storage import Tx

__all__ = ["put_tags", "remove_tag"]


def put_tags(tx: Tx, workspace: str, name: str, version: int | None, tags: Mapping[str, str]) -> None:
    """Write tags of a model, or of a version of it; an existing key gets the new value."""
    for key in tags:
        remove_tag(tx, workspace, name, version, key)
    own: dict[str, Any] = {"workspace_id": workspace, "name": name}
    if version is not None:
        own["version"] = version
    if tags:
        table = model_tags if version is None else version_tags
        tx.execute(insert(table), [{**own, "key": key, "value": tags[key]} for key in tags])


def remove_tag(tx: Tx, workspace: str, name: str, version: int | None, key: str) -> bool:
    """Take a tag off a model, or off a version of it; whether it was there."""
    table = model_tags if version is None else version_tags
    own = [table.c.workspace_id == workspace, table.c.name == name, table.c.key == key]
    if version is not None:
        own.append(table.c.version == version)
    return tx.execute(delete(table).where(*own)).rowcount > 0
