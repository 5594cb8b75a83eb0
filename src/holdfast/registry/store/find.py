"""Models, versions and aliases by clauses and by words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    or_,
    select,
)

from holdfast.kernel.matching import Wanted
from holdfast.registry.records import ModelVersion
from holdfast.registry.store.rows import records_of
from holdfast.registry.store.tables import (
    aliases,
    model_tags,
    models,
    version_tags,
    versions,
)
from holdfast.storage import Tx
from holdfast.storage.matching import best_first, has_words
from holdfast.tracking.conditions import compare, compare_stored, sort_by
from holdfast.tracking.query import Clause, Filter, Order

__all__ = ["find_model_names", "find_versions", "search_aliases", "search_models", "search_versions"]

_MODEL_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": models.c.name,
    "creation_timestamp": models.c.created_at,
    "last_updated_timestamp": models.c.updated_at,
}

_VERSION_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": versions.c.name,
    "run_id": versions.c.run_id,
    "source_path": versions.c.source,
    "version_number": versions.c.version,
    "creation_timestamp": versions.c.created_at,
    "last_updated_timestamp": versions.c.updated_at,
}


def find_model_names(
    tx: Tx, workspace: str, where: Filter, order: Sequence[Order], offset: int, limit: int
) -> list[str]:
    """The names of models that match every clause, in the order asked for, then by name."""

    def condition(clause: Clause) -> ColumnElement[bool]:
        if clause.entity == "attribute":
            return compare(_MODEL_COLUMNS[clause.key], clause)
        has_key = (
            model_tags.c.workspace_id == workspace,
            model_tags.c.name == models.c.name,
            model_tags.c.key == clause.key,
        )
        return compare_stored(model_tags.c.key, has_key, model_tags.c.value, clause)

    sorting = [part for one in order for part in sort_by(_MODEL_COLUMNS[one.key], one)]
    query = select(models.c.name).where(models.c.workspace_id == workspace, *map(condition, where))
    return list(tx.execute(query.order_by(*sorting, models.c.name).offset(offset).limit(limit)).scalars())


def find_versions(
    tx: Tx, workspace: str, where: Filter, order: Sequence[Order], offset: int, limit: int
) -> list[ModelVersion]:
    """Versions that match every clause, in the order asked for, by default the one that changed last first."""

    def condition(clause: Clause) -> ColumnElement[bool]:
        if clause.entity == "attribute":
            return compare(_VERSION_COLUMNS[clause.key], clause)
        has_key = (
            version_tags.c.workspace_id == workspace,
            version_tags.c.name == versions.c.name,
            version_tags.c.version == versions.c.version,
            version_tags.c.key == clause.key,
        )
        return compare_stored(version_tags.c.key, has_key, version_tags.c.value, clause)

    sorting = [part for one in order for part in sort_by(_VERSION_COLUMNS[one.key], one)]
    newest = [] if order else [versions.c.updated_at.desc()]
    query = select(versions).where(versions.c.workspace_id == workspace, *map(condition, where))
    query = query.order_by(*sorting, *newest, versions.c.name, versions.c.version.desc())
    return records_of(tx, workspace, tx.execute(query.offset(offset).limit(limit)).all())


def search_models(tx: Tx, workspace: str, wanted: Wanted, limit: int) -> list[Row[Any]]:
    """(name, created_at, last_version) of models with the words, the best and newest first."""
    query = select(models.c.name, models.c.created_at, models.c.last_version).where(
        models.c.workspace_id == workspace, has_words(wanted.words, models.c.name)
    )
    order = best_first(wanted, models.c.name), models.c.created_at.desc(), models.c.name
    return list(tx.execute(query.order_by(*order).limit(limit)))


def search_versions(
    tx: Tx, workspace: str, words: tuple[str, ...], number: int, limit: int
) -> list[Row[Any]]:
    """(name, version, status, created_at) of versions of one number, of models with the words, newest first."""
    query = select(versions.c.name, versions.c.version, versions.c.status, versions.c.created_at).where(
        versions.c.workspace_id == workspace,
        versions.c.version == number,
        has_words(words, versions.c.name),
    )
    return list(tx.execute(query.order_by(versions.c.created_at.desc(), versions.c.name).limit(limit)))


def search_aliases(tx: Tx, workspace: str, words: tuple[str, ...], limit: int) -> list[Row[Any]]:
    """(name, alias, version, since) of aliases with the words, at least one of them in the alias, newest first."""
    of_alias = or_(*(has_words((word,), aliases.c.alias) for word in words))
    query = select(aliases.c.name, aliases.c.alias, aliases.c.version, aliases.c.since).where(
        aliases.c.workspace_id == workspace, has_words(words, aliases.c.name, aliases.c.alias), of_alias
    )
    order = aliases.c.since.desc(), aliases.c.name, aliases.c.alias
    return list(tx.execute(query.order_by(*order).limit(limit)))
