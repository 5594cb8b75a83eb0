"""The tables of the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)

from holdfast.kernel.matching import Wanted
from holdfast.registry.records import AliasChange, AliasState, ModelVersion, RegisteredModel
from holdfast.runtimes.records import ModelDescription, Parity
from holdfast.storage import ALL_WORKSPACES, BigId, Tx, metadata
from holdfast.storage.matching import best_first, has_words
from holdfast.tracking.conditions import compare, compare_stored, sort_by
from holdfast.tracking.query import Clause, Filter, Order

__all__ = [
    "alias_changes",
    "aliases_of",
    "all_aliases",
    "all_models",
    "all_versions",
    "delete_alias",
    "delete_model",
    "delete_version",
    "find_model_names",
    "find_version",
    "find_versions",
    "has_model",
    "insert_model",
    "insert_version",
    "list_models",
    "list_versions",
    "load_models",
    "next_version",
    "pending_versions",
    "put_tags",
    "registrations",
    "remove_tag",
    "rename_model",
    "search_aliases",
    "search_models",
    "search_versions",
    "set_alias",
    "update_model",
    "update_version",
]


_models = Table(
    "registered_model",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_version", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "name"),
)
_versions = Table(
    "model_version",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    Column("version", Integer, nullable=False),
    Column("version_id", String(64), nullable=False),
    Column("model_id", String(64), nullable=False),
    Column("run_id", String(256)),
    Column("digest", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("description", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("deployable_digest", String(64)),
    Column("runtime", String(16)),
    Column("parity", Text),
    Column("message", Text, nullable=False),
    Column("prepared_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("link", Text, nullable=False),
    Column("archived_at", BigInteger),
    PrimaryKeyConstraint("workspace_id", "name", "version"),
    UniqueConstraint("workspace_id", "version_id"),
    Index("ix_model_version_status", "status"),
    Index("ix_model_version_workspace_id_run_id", "workspace_id", "run_id"),
    Index("ix_model_version_workspace_id_model_id", "workspace_id", "model_id"),
)
_aliases = Table(
    "model_alias",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    Column("alias", String(255), nullable=False),
    Column("version", Integer, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("by", String(200), nullable=False),
    PrimaryKeyConstraint("workspace_id", "name", "alias"),
)
_changes = Table(
    "model_alias_change",
    metadata,
    Column("change_no", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    Column("alias", String(255), nullable=False),
    Column("version", Integer),
    Column("time", BigInteger, nullable=False),
    Column("by", String(200), nullable=False),
    Index("ix_model_alias_change_workspace_id_name_alias", "workspace_id", "name", "alias", "change_no"),
    sqlite_autoincrement=True,
)


_model_tags = Table(
    "registered_model_tag",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    Column("key", String(250), nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "name", "key"),
)
_version_tags = Table(
    "model_version_tag",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    Column("version", Integer, nullable=False),
    Column("key", String(250), nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "name", "version", "key"),
)
_ALL_OF_A_MODEL = (_models, _versions, _aliases, _changes, _model_tags, _version_tags)
# Built once: building a statement takes SQLAlchemy longer than running it.
_OF_NAMES = {
    table: select(table)
    .where(
        table.c.workspace_id == bindparam("workspace"),
        table.c.name.in_(bindparam("names", expanding=True)),
    )
    .order_by(order)
    for table, order in (
        (_models, _models.c.name),
        (_versions, _versions.c.version.desc()),
        (_aliases, _aliases.c.alias),
        (_model_tags, _model_tags.c.key),
        (_version_tags, _version_tags.c.key),
    )
}


def insert_model(tx: Tx, workspace: str, name: str, now_ms: int, note: str = "") -> None:
    """A new model without versions."""
    tx.execute(
        insert(_models).values(
            workspace_id=workspace, name=name, created_at=now_ms, last_version=0, updated_at=now_ms, note=note
        )
    )


def has_model(tx: Tx, workspace: str, name: str) -> bool:
    """Whether there is a model of the name."""
    query = select(_models.c.name).where(_models.c.workspace_id == workspace, _models.c.name == name)
    return tx.execute(query).one_or_none() is not None


def load_models(tx: Tx, workspace: str, names: Sequence[str]) -> list[RegisteredModel]:
    """Models with versions, aliases and tags, in the order of `names`; those that are not there are missing."""
    rows: dict[str, Row[Any]] = {}
    versions: dict[str, list[ModelVersion]] = {}
    aliases: dict[str, list[AliasState]] = {}
    tags: dict[str, dict[str, str]] = {}
    for at in range(0, len(names), 500):
        own = {"workspace": workspace, "names": names[at : at + 500]}
        rows.update((row.name, row) for row in tx.execute(_OF_NAMES[_models], own))
        for row in tx.execute(_OF_NAMES[_aliases], own):
            aliases.setdefault(row.name, []).append(AliasState(row.alias, row.version, row.since, row.by))
        for row in tx.execute(_OF_NAMES[_model_tags], own):
            tags.setdefault(row.name, {})[row.key] = row.value
        for version in _records(tx, workspace, tx.execute(_OF_NAMES[_versions], own).all()):
            versions.setdefault(version.name, []).append(version)
    return [
        RegisteredModel(
            name=name,
            created_at=rows[name].created_at,
            aliases=aliases.get(name, []),
            versions=versions.get(name, []),
            updated_at=rows[name].updated_at,
            note=rows[name].note,
            tags=tags.get(name, {}),
        )
        for name in names
        if name in rows
    ]


def update_model(tx: Tx, workspace: str, name: str, values: Mapping[str, Any]) -> None:
    """Set columns of a model."""
    own = (_models.c.workspace_id == workspace, _models.c.name == name)
    tx.execute(update(_models).where(*own).values(**values))


def rename_model(tx: Tx, workspace: str, name: str, new_name: str) -> None:
    """Give a model another name everywhere; the caller has made sure that it is free."""
    for table in _ALL_OF_A_MODEL:
        own = (table.c.workspace_id == workspace, table.c.name == name)
        tx.execute(update(table).where(*own).values(name=new_name))


def delete_model(tx: Tx, workspace: str, name: str) -> None:
    """Delete a model with its versions, aliases and their history, and tags."""
    for table in _ALL_OF_A_MODEL:
        tx.execute(delete(table).where(table.c.workspace_id == workspace, table.c.name == name))


def delete_version(tx: Tx, workspace: str, name: str, version: int) -> None:
    """Delete a version with its tags; its number is never given again."""
    for table in (_versions, _version_tags):
        own = (table.c.workspace_id == workspace, table.c.name == name, table.c.version == version)
        tx.execute(delete(table).where(*own))


def put_tags(tx: Tx, workspace: str, name: str, version: int | None, tags: Mapping[str, str]) -> None:
    """Write tags of a model, or of a version of it; an existing key gets the new value."""
    for key in tags:
        remove_tag(tx, workspace, name, version, key)
    own: dict[str, Any] = {"workspace_id": workspace, "name": name}
    if version is not None:
        own["version"] = version
    if tags:
        table = _model_tags if version is None else _version_tags
        tx.execute(insert(table), [{**own, "key": key, "value": tags[key]} for key in tags])


def remove_tag(tx: Tx, workspace: str, name: str, version: int | None, key: str) -> bool:
    """Take a tag off a model, or off a version of it; whether it was there."""
    table = _model_tags if version is None else _version_tags
    own = [table.c.workspace_id == workspace, table.c.name == name, table.c.key == key]
    if version is not None:
        own.append(table.c.version == version)
    return tx.execute(delete(table).where(*own)).rowcount > 0


_MODEL_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": _models.c.name,
    "creation_timestamp": _models.c.created_at,
    "last_updated_timestamp": _models.c.updated_at,
}
_VERSION_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": _versions.c.name,
    "run_id": _versions.c.run_id,
    "source_path": _versions.c.source,
    "version_number": _versions.c.version,
    "creation_timestamp": _versions.c.created_at,
    "last_updated_timestamp": _versions.c.updated_at,
}


def find_model_names(
    tx: Tx, workspace: str, where: Filter, order: Sequence[Order], offset: int, limit: int
) -> list[str]:
    """The names of models that match every clause, in the order asked for, then by name."""

    def condition(clause: Clause) -> ColumnElement[bool]:
        if clause.entity == "attribute":
            return compare(_MODEL_COLUMNS[clause.key], clause)
        has_key = (
            _model_tags.c.workspace_id == workspace,
            _model_tags.c.name == _models.c.name,
            _model_tags.c.key == clause.key,
        )
        return compare_stored(_model_tags.c.key, has_key, _model_tags.c.value, clause)

    sorting = [part for one in order for part in sort_by(_MODEL_COLUMNS[one.key], one)]
    query = select(_models.c.name).where(_models.c.workspace_id == workspace, *map(condition, where))
    return list(tx.execute(query.order_by(*sorting, _models.c.name).offset(offset).limit(limit)).scalars())


def find_versions(
    tx: Tx, workspace: str, where: Filter, order: Sequence[Order], offset: int, limit: int
) -> list[ModelVersion]:
    """Versions that match every clause, in the order asked for, by default the one that changed last first."""

    def condition(clause: Clause) -> ColumnElement[bool]:
        if clause.entity == "attribute":
            return compare(_VERSION_COLUMNS[clause.key], clause)
        has_key = (
            _version_tags.c.workspace_id == workspace,
            _version_tags.c.name == _versions.c.name,
            _version_tags.c.version == _versions.c.version,
            _version_tags.c.key == clause.key,
        )
        return compare_stored(_version_tags.c.key, has_key, _version_tags.c.value, clause)

    sorting = [part for one in order for part in sort_by(_VERSION_COLUMNS[one.key], one)]
    newest = [] if order else [_versions.c.updated_at.desc()]
    query = select(_versions).where(_versions.c.workspace_id == workspace, *map(condition, where))
    query = query.order_by(*sorting, *newest, _versions.c.name, _versions.c.version.desc())
    return _records(tx, workspace, tx.execute(query.offset(offset).limit(limit)).all())


def list_models(tx: Tx, workspace: str) -> list[str]:
    """The names of all models, in order."""
    query = select(_models.c.name).where(_models.c.workspace_id == workspace)
    return list(tx.execute(query.order_by(_models.c.name)).scalars())


def search_models(tx: Tx, workspace: str, wanted: Wanted, limit: int) -> list[Row[Any]]:
    """(name, created_at, last_version) of models with the words, the best and newest first."""
    query = select(_models.c.name, _models.c.created_at, _models.c.last_version).where(
        _models.c.workspace_id == workspace, has_words(wanted.words, _models.c.name)
    )
    order = best_first(wanted, _models.c.name), _models.c.created_at.desc(), _models.c.name
    return list(tx.execute(query.order_by(*order).limit(limit)))


def search_versions(
    tx: Tx, workspace: str, words: tuple[str, ...], number: int, limit: int
) -> list[Row[Any]]:
    """(name, version, status, created_at) of versions of one number, of models with the words, newest first."""
    query = select(_versions.c.name, _versions.c.version, _versions.c.status, _versions.c.created_at).where(
        _versions.c.workspace_id == workspace,
        _versions.c.version == number,
        has_words(words, _versions.c.name),
    )
    return list(tx.execute(query.order_by(_versions.c.created_at.desc(), _versions.c.name).limit(limit)))


def search_aliases(tx: Tx, workspace: str, words: tuple[str, ...], limit: int) -> list[Row[Any]]:
    """(name, alias, version, since) of aliases with the words, at least one of them in the alias, newest first."""
    of_alias = or_(*(has_words((word,), _aliases.c.alias) for word in words))
    query = select(_aliases.c.name, _aliases.c.alias, _aliases.c.version, _aliases.c.since).where(
        _aliases.c.workspace_id == workspace, has_words(words, _aliases.c.name, _aliases.c.alias), of_alias
    )
    order = _aliases.c.since.desc(), _aliases.c.name, _aliases.c.alias
    return list(tx.execute(query.order_by(*order).limit(limit)))


def next_version(tx: Tx, workspace: str, name: str) -> int:
    """Count a model's versions up by one; the number is never given again."""
    own = (_models.c.workspace_id == workspace, _models.c.name == name)
    tx.execute(update(_models).where(*own).values(last_version=_models.c.last_version + 1))
    return int(tx.execute(select(_models.c.last_version).where(*own)).scalar_one())


def insert_version(tx: Tx, workspace: str, version: ModelVersion) -> None:
    """A new pending version."""
    tx.execute(
        insert(_versions).values(
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
    own = (_versions.c.workspace_id == workspace, _versions.c.name == name, _versions.c.version == version)
    tx.execute(update(_versions).where(*own).values(**values))


def find_version(tx: Tx, workspace: str, name: str, version: int) -> ModelVersion | None:
    """One version."""
    own = (_versions.c.workspace_id == workspace, _versions.c.name == name, _versions.c.version == version)
    found = _records(tx, workspace, tx.execute(select(_versions).where(*own)).all())
    return found[0] if found else None


def list_versions(
    tx: Tx, workspace: str, *, name: str | None = None, run_id: str | None = None
) -> list[ModelVersion]:
    """The versions of a model, or those that a run led to, the newest first."""
    query = select(_versions).where(_versions.c.workspace_id == workspace)
    if name is not None:
        query = query.where(_versions.c.name == name)
    if run_id is not None:
        query = query.where(_versions.c.run_id == run_id)
    return _records(
        tx, workspace, tx.execute(query.order_by(_versions.c.name, _versions.c.version.desc())).all()
    )


def all_models(tx: Tx) -> list[tuple[str, str]]:
    """(workspace, name) of every model of all workspaces."""
    query = select(_models.c.workspace_id, _models.c.name)
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


def all_versions(tx: Tx) -> list[Row[Any]]:
    """What identifies every version of all workspaces, and what was made of it."""
    v = _versions.c
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


def all_aliases(tx: Tx) -> list[tuple[str, str, str, int]]:
    """(workspace, model, alias, version) of every alias of all workspaces."""
    query = select(_aliases.c.workspace_id, _aliases.c.name, _aliases.c.alias, _aliases.c.version)
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


def registrations(tx: Tx, workspace: str, model_ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    """The (name, version) pairs that were registered from each of the logged models."""
    found: dict[str, list[tuple[str, int]]] = {}
    for at in range(0, len(model_ids), 500):
        query = select(_versions.c.model_id, _versions.c.name, _versions.c.version).where(
            _versions.c.workspace_id == workspace, _versions.c.model_id.in_(model_ids[at : at + 500])
        )
        for row in tx.execute(query.order_by(_versions.c.name, _versions.c.version)):
            found.setdefault(row.model_id, []).append((row.name, row.version))
    return found


def pending_versions(tx: Tx) -> list[tuple[str, str, int]]:
    """(workspace, name, version) of every version that waits for its preparation, the oldest first."""
    query = select(_versions.c.workspace_id, _versions.c.name, _versions.c.version)
    query = query.where(_versions.c.status == "pending").order_by(_versions.c.created_at)
    rows = tx.execute(query.execution_options(**ALL_WORKSPACES))
    return [(row.workspace_id, row.name, row.version) for row in rows]


def aliases_of(tx: Tx, workspace: str, name: str) -> list[AliasState]:
    """A model's aliases by name."""
    query = select(_aliases).where(_aliases.c.workspace_id == workspace, _aliases.c.name == name)
    rows = tx.execute(query.order_by(_aliases.c.alias))
    return [AliasState(row.alias, row.version, row.since, row.by) for row in rows]


def set_alias(tx: Tx, workspace: str, name: str, state: AliasState) -> None:
    """Point an alias at a version and keep the change."""
    _drop(tx, workspace, name, state.alias)
    values = {
        "workspace_id": workspace,
        "name": name,
        "alias": state.alias,
        "version": state.version,
        "by": state.by,
    }
    tx.execute(insert(_aliases).values(**values, since=state.since))
    tx.execute(insert(_changes).values(**values, time=state.since))


def delete_alias(tx: Tx, workspace: str, name: str, alias: str, now_ms: int, by: str) -> bool:
    """Delete an alias and keep the change; whether it was there."""
    if not _drop(tx, workspace, name, alias):
        return False
    tx.execute(
        insert(_changes).values(
            workspace_id=workspace, name=name, alias=alias, version=None, time=now_ms, by=by
        )
    )
    return True


def alias_changes(
    tx: Tx, workspace: str, name: str, alias: str | None, until_ms: int | None
) -> list[AliasChange]:
    """The moves of a model's aliases in order, of one alias and up to a time when they are given."""
    query = select(_changes).where(_changes.c.workspace_id == workspace, _changes.c.name == name)
    if alias is not None:
        query = query.where(_changes.c.alias == alias)
    if until_ms is not None:
        query = query.where(_changes.c.time <= until_ms)
    rows = tx.execute(query.order_by(_changes.c.change_no))
    return [AliasChange(row.alias, row.version, row.time, row.by) for row in rows]


def _drop(tx: Tx, workspace: str, name: str, alias: str) -> bool:
    own = (_aliases.c.workspace_id == workspace, _aliases.c.name == name, _aliases.c.alias == alias)
    return tx.execute(delete(_aliases).where(*own)).rowcount > 0


def _records(tx: Tx, workspace: str, rows: Sequence[Row[Any]]) -> list[ModelVersion]:
    names = sorted({row.name for row in rows})
    aliases: dict[tuple[str, int], list[str]] = {}
    tags: dict[tuple[str, int], dict[str, str]] = {}
    for at in range(0, len(names), 500):
        own = {"workspace": workspace, "names": names[at : at + 500]}
        for row in tx.execute(_OF_NAMES[_aliases], own):
            aliases.setdefault((row.name, row.version), []).append(row.alias)
        for row in tx.execute(_OF_NAMES[_version_tags], own):
            tags.setdefault((row.name, row.version), {})[row.key] = row.value
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
            aliases=aliases.get((row.name, row.version), []),
            updated_at=row.updated_at,
            note=row.note,
            source=row.source,
            link=row.link,
            archived_at=row.archived_at,
            tags=tags.get((row.name, row.version), {}),
        )
        for row in rows
    ]
