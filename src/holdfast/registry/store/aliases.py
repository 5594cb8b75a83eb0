"""Aliases and their moves."""

from __future__ import annotations

from sqlalchemy import (
    delete,
    insert,
    select,
)

from holdfast.registry.records import AliasChange, AliasState
from holdfast.registry.store.tables import (
    alias_moves,
    aliases,
)
from holdfast.storage import ALL_WORKSPACES, Tx

__all__ = ["alias_changes", "aliases_of", "all_aliases", "delete_alias", "set_alias"]


def aliases_of(tx: Tx, workspace: str, name: str) -> list[AliasState]:
    """A model's aliases by name."""
    query = select(aliases).where(aliases.c.workspace_id == workspace, aliases.c.name == name)
    rows = tx.execute(query.order_by(aliases.c.alias))
    return [AliasState(row.alias, row.version, row.since, row.by) for row in rows]


def all_aliases(tx: Tx) -> list[tuple[str, str, str, int]]:
    """(workspace, model, alias, version) of every alias of all workspaces."""
    query = select(aliases.c.workspace_id, aliases.c.name, aliases.c.alias, aliases.c.version)
    return [tuple(row) for row in tx.execute(query.execution_options(**ALL_WORKSPACES))]


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
    tx.execute(insert(aliases).values(**values, since=state.since))
    tx.execute(insert(alias_moves).values(**values, time=state.since))


def delete_alias(tx: Tx, workspace: str, name: str, alias: str, now_ms: int, by: str) -> bool:
    """Delete an alias and keep the change; whether it was there."""
    if not _drop(tx, workspace, name, alias):
        return False
    tx.execute(
        insert(alias_moves).values(
            workspace_id=workspace, name=name, alias=alias, version=None, time=now_ms, by=by
        )
    )
    return True


def alias_changes(
    tx: Tx, workspace: str, name: str, alias: str | None, until_ms: int | None
) -> list[AliasChange]:
    """The moves of a model's aliases in order, of one alias and up to a time when they are given."""
    query = select(alias_moves).where(alias_moves.c.workspace_id == workspace, alias_moves.c.name == name)
    if alias is not None:
        query = query.where(alias_moves.c.alias == alias)
    if until_ms is not None:
        query = query.where(alias_moves.c.time <= until_ms)
    rows = tx.execute(query.order_by(alias_moves.c.change_no))
    return [AliasChange(row.alias, row.version, row.time, row.by) for row in rows]


def _drop(tx: Tx, workspace: str, name: str, alias: str) -> bool:
    own = (aliases.c.workspace_id == workspace, aliases.c.name == name, aliases.c.alias == alias)
    return tx.execute(delete(aliases).where(*own)).rowcount > 0
