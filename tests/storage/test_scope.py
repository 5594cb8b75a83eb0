"""No query of things of workspaces goes without naming one, unless it says that it means all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

import holdfast
from holdfast.storage import ALL_WORKSPACES, Storage, metadata
from holdfast.storage.scope import unscoped_table

LEASES = metadata.tables["lease"]


@pytest.mark.parametrize("statement", [
    select(LEASES), select(LEASES).where(LEASES.c.name == "a"), update(LEASES).values(owner="x"),
    delete(LEASES).where(LEASES.c.owner == "x"),
])  # fmt: skip
def test_a_query_that_names_no_workspace_is_refused(storage: Storage, statement: object) -> None:
    with pytest.raises(AssertionError, match="'lease' names no workspace"):
        storage.write(lambda tx: tx.execute(statement))  # type: ignore[call-overload]


def test_a_query_of_a_workspace_or_of_all_is_run(storage: Storage) -> None:
    row = {"workspace_id": "w", "name": "a", "owner": "b", "token": 1, "expires_at": 2}
    storage.write(lambda tx: tx.execute(insert(LEASES).values(**row)))
    assert (
        len(storage.read(lambda tx: tx.execute(select(LEASES).where(LEASES.c.workspace_id == "w")).all()))
        == 1
    )
    everything = select(LEASES).execution_options(**ALL_WORKSPACES)
    assert len(storage.read(lambda tx: tx.execute(everything).all())) == 1


@pytest.mark.parametrize(("statement", "table"), [
    ("SELECT lease.workspace_id FROM lease", "lease"),
    ("SELECT 1 FROM lease WHERE lease.workspace_id = ?", ""),
    ('DELETE FROM "lease" WHERE owner = ?', "lease"),
    ("SELECT version_num FROM alembic_version", ""),
    ("SELECT * FROM audit_node", ""),
])  # fmt: skip
def test_what_a_statement_reaches(statement: str, table: str) -> None:
    assert unscoped_table(statement) == table


def test_no_room_writes_its_queries_by_hand() -> None:
    """What is text is not looked at: a store says its queries in SQLAlchemy's words."""
    root = Path(holdfast.__file__).parent
    stores = [
        path for path in root.rglob("*.py") if "store" in path.relative_to(root).parts or path.stem == "store"
    ]
    assert len(stores) > 10
    for path in stores:
        found = re.search(
            r"exec_driver_sql|^from sqlalchemy import[^(]*\btext\b|^    text,$", path.read_text(), re.M
        )
        assert found is None, path
