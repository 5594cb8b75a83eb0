"""Rows of versions as records, with their aliases and tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row

from holdfast.registry.records import ModelVersion
from holdfast.registry.store.tables import OF_NAMES, aliases, version_tags
from holdfast.runtimes.records import ModelDescription, Parity
from holdfast.storage import Tx

__all__ = ["records_of"]


def records_of(tx: Tx, workspace: str, rows: Sequence[Row[Any]]) -> list[ModelVersion]:
    names = sorted({row.name for row in rows})
    aliases_of: dict[tuple[str, int], list[str]] = {}
    tags_of: dict[tuple[str, int], dict[str, str]] = {}
    for at in range(0, len(names), 500):
        own = {"workspace": workspace, "names": names[at : at + 500]}
        for row in tx.execute(OF_NAMES[aliases], own):
            aliases_of.setdefault((row.name, row.version), []).append(row.alias)
        for row in tx.execute(OF_NAMES[version_tags], own):
            tags_of.setdefault((row.name, row.version), {})[row.key] = row.value
    return [
        ModelVersion(
            name=row.name,
            version=row.version,
            version_id=row.version_id,
            model_id=row.model_id,
            run_id=row.run_id,
            digest=row.digest,
            created_at=row.created_at,
            created_by=row.created_by,
            description=msgspec.json.decode(row.description, type=ModelDescription)
            if row.description
            else None,
            status=row.status,
            deployable_digest=row.deployable_digest,
            runtime=row.runtime,
            parity=None if row.parity is None else msgspec.json.decode(row.parity, type=Parity),
            message=row.message,
            prepared_at=row.prepared_at,
            aliases=aliases_of.get((row.name, row.version), []),
            updated_at=row.updated_at,
            note=row.note,
            source=row.source,
            link=row.link,
            archived_at=row.archived_at,
            tags=tags_of.get((row.name, row.version), {}),
        )
        for row in rows
    ]
