"""The tables of principals and their roles."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    UniqueConstraint,
    delete,
    insert,
    select,
    update,
)

from holdfast.identity.records import Grant, GroupRole, PersonRecord
from holdfast.kernel.matching import Wanted
from holdfast.storage import Tx, metadata
from holdfast.storage.matching import best_first, has_words

__all__ = [
    "all_grants",
    "all_people",
    "find_person",
    "find_subject",
    "grants_in",
    "grants_of",
    "group_roles",
    "has_users",
    "insert_person",
    "list_people",
    "password_of",
    "put_grant",
    "put_group_role",
    "remove_grants",
    "remove_group_role",
    "search_people",
    "update_person",
]

_people = Table(
    "principal",
    metadata,
    Column("principal_id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(63)),  # NULL once erased, so that the name is free again
    Column("display_name", String(200), nullable=False),
    Column("email", String(254), nullable=False),
    Column("password", String(300)),
    Column("disabled", Boolean, nullable=False),
    Column("issuer", String(500)),
    Column("subject", String(255)),
    Column("created_at", BigInteger, nullable=False),
    Column("erased_at", BigInteger),
    UniqueConstraint("name"),
    UniqueConstraint("issuer", "subject"),
)
_grants = Table(
    "role_grant",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("principal_id", String(64), nullable=False),
    Column("source", String(16), nullable=False),
    Column("role", String(16), nullable=False),
    Column("granted_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "principal_id", "source"),
    Index("ix_role_grant_principal_id", "principal_id"),
)
_groups = Table(
    "group_role",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("group_name", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    PrimaryKeyConstraint("workspace_id", "group_name"),
)


def insert_person(tx: Tx, person: PersonRecord, password: str | None, subject: str | None) -> None:
    """Add a principal; the name must be free."""
    tx.execute(
        insert(_people).values(
            principal_id=person.id,
            kind=person.kind,
            name=person.name,
            display_name=person.display_name,
            email=person.email,
            password=password,
            disabled=person.is_disabled,
            issuer=person.issuer or None,
            subject=subject,
            created_at=person.created_at,
        )
    )


def update_person(tx: Tx, principal_id: str, values: dict[str, Any]) -> None:
    """Write columns of a principal."""
    tx.execute(update(_people).where(_people.c.principal_id == principal_id).values(**values))


def find_person(tx: Tx, *, name: str | None = None, principal_id: str | None = None) -> PersonRecord | None:
    """One principal by name or by id."""
    condition = _people.c.name == name if name is not None else _people.c.principal_id == principal_id
    row = tx.execute(select(_people).where(condition)).first()
    return None if row is None else _person(row)


def find_subject(tx: Tx, issuer: str, subject: str) -> PersonRecord | None:
    """The user that a single sign-on provider calls `subject`."""
    query = select(_people).where(_people.c.issuer == issuer, _people.c.subject == subject)
    row = tx.execute(query).first()
    return None if row is None else _person(row)


def password_of(tx: Tx, principal_id: str) -> str | None:
    """The password's hash."""
    query = select(_people.c.password).where(_people.c.principal_id == principal_id)
    found = tx.execute(query).scalar()
    return None if found is None else str(found)


def list_people(tx: Tx, kind: str | None = None) -> list[PersonRecord]:
    """Every principal that is not erased, the oldest first."""
    query = select(_people).where(_people.c.erased_at.is_(None))
    if kind is not None:
        query = query.where(_people.c.kind == kind)
    return [_person(row) for row in tx.execute(query.order_by(_people.c.created_at, _people.c.principal_id))]


def all_people(tx: Tx) -> list[tuple[str, str, bool]]:
    """(id, kind, whether disabled) of every principal, erased ones too."""
    query = select(_people.c.principal_id, _people.c.kind, _people.c.disabled)
    return [tuple(row) for row in tx.execute(query)]


def search_people(tx: Tx, wanted: Wanted, limit: int) -> list[PersonRecord]:
    """Principals with the words in their name, display name or e-mail address, the best and newest first."""
    columns = (_people.c.name, _people.c.display_name, _people.c.email)
    query = select(_people).where(_people.c.name.is_not(None), has_words(wanted.words, *columns))
    order = best_first(wanted, _people.c.name), _people.c.created_at.desc(), _people.c.principal_id
    return [_person(row) for row in tx.execute(query.order_by(*order).limit(limit))]


def has_users(tx: Tx) -> bool:
    """Whether there ever was a user."""
    query = select(_people.c.principal_id).where(_people.c.kind == "user").limit(1)
    return tx.execute(query).first() is not None


def _person(row: Row[Any]) -> PersonRecord:
    return PersonRecord(
        id=row.principal_id,
        kind=row.kind,
        name=row.name or "",
        display_name=row.display_name,
        email=row.email,
        is_disabled=row.disabled,
        has_password=row.password is not None,
        created_at=row.created_at,
        issuer=row.issuer or "",
        erased_at=row.erased_at,
    )


def put_grant(tx: Tx, grant: Grant) -> None:
    """Give a role, in place of the one that the principal has there from the same source."""
    tx.execute(delete(_grants).where(*_same(grant.workspace, grant.principal_id, grant.source)))
    tx.execute(
        insert(_grants).values(
            workspace_id=grant.workspace,
            principal_id=grant.principal_id,
            source=grant.source,
            role=grant.role,
            granted_at=grant.granted_at,
        )
    )


def remove_grants(
    tx: Tx, principal_id: str, *, workspace: str | None = None, source: str | None = None
) -> int:
    """Take roles away: of one workspace or all, of one source or all; how many there were."""
    conditions = [_grants.c.principal_id == principal_id]
    if workspace is not None:
        conditions.append(_grants.c.workspace_id == workspace)
    if source is not None:
        conditions.append(_grants.c.source == source)
    return int(tx.execute(delete(_grants).where(*conditions)).rowcount)


def _same(workspace: str, principal_id: str, source: str) -> tuple[Any, Any, Any]:
    return (
        _grants.c.workspace_id == workspace,
        _grants.c.principal_id == principal_id,
        _grants.c.source == source,
    )


def grants_of(tx: Tx, principal_id: str) -> list[Grant]:
    """Every role of a principal, by workspace."""
    return _listed(tx, _grants.c.principal_id == principal_id)


def all_grants(tx: Tx) -> list[Grant]:
    """Every role of every principal."""
    return [
        Grant(row.principal_id, row.workspace_id, row.role, row.source, row.granted_at)
        for row in tx.execute(select(_grants))
    ]


def grants_in(tx: Tx, workspace: str) -> list[Grant]:
    """Every role in a workspace, by principal."""
    return _listed(tx, _grants.c.workspace_id == workspace)


def _listed(tx: Tx, condition: Any) -> list[Grant]:
    query = (
        select(_grants, _people.c.name)
        .outerjoin(_people, _people.c.principal_id == _grants.c.principal_id)
        .where(condition)
        .order_by(_grants.c.workspace_id, _grants.c.principal_id, _grants.c.source)
    )
    return [
        Grant(row.principal_id, row.workspace_id, row.role, row.source, row.granted_at, row.name or "")
        for row in tx.execute(query)
    ]


def put_group_role(tx: Tx, found: GroupRole) -> None:
    """Give a group a role in a workspace, in place of the one that it has there."""
    remove_group_role(tx, found.workspace, found.group)
    values = msgspec.structs.asdict(found)
    tx.execute(
        insert(_groups).values(
            workspace_id=values["workspace"], group_name=values["group"], role=values["role"]
        )
    )


def remove_group_role(tx: Tx, workspace: str, group: str) -> bool:
    """Take a group's role in a workspace away; whether it had one."""
    gone = tx.execute(
        delete(_groups).where(_groups.c.workspace_id == workspace, _groups.c.group_name == group)
    )
    return bool(gone.rowcount)


def group_roles(tx: Tx) -> list[GroupRole]:
    """Every role of a group, of the whole deployment."""
    query = select(_groups).order_by(_groups.c.workspace_id, _groups.c.group_name)
    return [GroupRole(row.group_name, row.workspace_id, row.role) for row in tx.execute(query)]
