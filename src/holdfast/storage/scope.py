"""The rule that no query reaches beyond a workspace by accident: the engine refuses one that names none."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Engine, TextClause, event

from holdfast.storage.tables import metadata

__all__ = ["ALL_WORKSPACES", "refuse_unscoped"]

ALL_WORKSPACES = {"all_workspaces": True}
"""Execution options of a statement that is meant for every workspace: background work and the deployment's own."""
_TABLE = re.compile(r'\b(?:FROM|JOIN|INTO|UPDATE)\s+"?(\w+)"?')
_REMEMBERED = 10_000
_OF_THE_DEPLOYMENT = frozenset({"workspace", "role_grant", "group_role", "audit_leaf"})
"""Tables that carry workspaces and are read across them: who may go where, and the one log of all changes."""


def refuse_unscoped(engine: Engine) -> None:
    """Have the engine raise AssertionError for a statement on things of workspaces that does not name `workspace_id`.

    Such a statement is a fault of the program, found by its first test. Each text is looked at once.
    """
    known: set[str] = set()

    @event.listens_for(engine, "before_cursor_execute")
    def check(
        _connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        if statement in known or context is None or context.compiled is None:
            return  # looked at already, or text of the engine's own
        if isinstance(context.compiled.statement, TextClause):
            return  # written by hand for the storage itself; no room's store does so
        if context.execution_options.get("all_workspaces"):
            return
        found = unscoped_table(statement)
        if found:
            raise AssertionError(
                f"A query of the table {found!r} names no workspace; one for all of them takes "
                f".execution_options(**ALL_WORKSPACES): {statement[:300]}"
            )
        if len(known) < _REMEMBERED:
            known.add(statement)


def unscoped_table(statement: str) -> str:
    """The first table of workspaces that the statement reads or changes without naming a workspace; empty if none."""
    verb, _, rest = statement.lstrip().partition(" ")
    if verb.upper() not in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
        return ""
    tables = [name for name in _TABLE.findall(statement) if _is_of_workspaces(name)]
    if not tables:
        return ""
    where = rest if verb.upper() == "INSERT" else rest.partition("WHERE")[2]
    return "" if "workspace_id" in where else tables[0]


def _is_of_workspaces(name: str) -> bool:
    table = metadata.tables.get(name)
    return table is not None and "workspace_id" in table.c and name not in _OF_THE_DEPLOYMENT
