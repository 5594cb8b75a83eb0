"""The tables of who watches what, of notifications, and of how far the audit log has been followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from holdfast.collaboration.records import Notification, Subscription
from holdfast.storage import ALL_WORKSPACES, Tx, metadata

__all__ = [
    "advance",
    "count_unread",
    "delete_subscription",
    "erase_principal",
    "insert_notifications",
    "insert_subscription",
    "is_subscribed",
    "list_notifications",
    "list_subscriptions",
    "load_position",
    "mark_read",
    "subscribers",
]

_subscriptions = Table(
    "subscription",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("object", String(600), nullable=False),
    Column("principal_id", String(64), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "object", "principal_id"),
    Index("ix_subscription_principal_id", "workspace_id", "principal_id", "object"),
)
_notifications = Table(
    "notification",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("principal_id", String(64), nullable=False),
    Column("event", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("object", String(600), nullable=False),
    Column("actor_id", String(64), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("text", Text, nullable=False),
    Column("address", String(2000), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("read_at", BigInteger),
    PrimaryKeyConstraint("workspace_id", "principal_id", "event"),
    Index("ix_notification_actor_id", "actor_id"),
    Index("ix_notification_read_at", "workspace_id", "principal_id", "read_at", "event"),
)
_positions = Table(
    "audit_follower",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "name"),
)
_EVERY, _NAME = "*", "notifications"


def insert_subscription(tx: Tx, workspace: str, subscription: Subscription) -> bool:
    """Write a subscription unless the principal has one already; whether it was written."""
    if is_subscribed(tx, workspace, subscription.object, subscription.principal_id):
        return False
    tx.execute(insert(_subscriptions).values(workspace_id=workspace, **msgspec.structs.asdict(subscription)))
    return True


def delete_subscription(tx: Tx, workspace: str, object: str, principal_id: str) -> None:
    """Remove a subscription; no error when there is none."""
    tx.execute(delete(_subscriptions).where(*_of(workspace, object, principal_id)))


def is_subscribed(tx: Tx, workspace: str, object: str, principal_id: str) -> bool:
    """Whether the principal watches the object."""
    query = select(_subscriptions.c.reason).where(*_of(workspace, object, principal_id))
    return tx.execute(query).one_or_none() is not None


def list_subscriptions(
    tx: Tx, workspace: str, principal_id: str, after: str, limit: int
) -> list[Subscription]:
    """What a principal watches, by object, above the name `after`."""
    query = select(*_SUBSCRIPTION).where(
        _subscriptions.c.workspace_id == workspace,
        _subscriptions.c.principal_id == principal_id,
        _subscriptions.c.object > after,
    )
    return [Subscription(*row) for row in tx.execute(query.order_by(_subscriptions.c.object).limit(limit))]


def subscribers(tx: Tx, workspace: str, objects: Sequence[str], at: int) -> list[str]:
    """The ids of the principals that watched any of these objects at a time, and still do, in order."""
    query = select(_subscriptions.c.principal_id).where(
        _subscriptions.c.workspace_id == workspace,
        _subscriptions.c.object.in_(objects),
        _subscriptions.c.created_at <= at,
    )
    return list(tx.execute(query.distinct().order_by(_subscriptions.c.principal_id)).scalars())


def insert_notifications(tx: Tx, workspace: str, news: Sequence[tuple[str, Notification]]) -> None:
    """Write notifications, each with the id of its principal."""
    if news:
        rows = [
            {"workspace_id": workspace, "principal_id": who, **msgspec.structs.asdict(one)}
            for who, one in news
        ]
        tx.execute(insert(_notifications), rows)


def list_notifications(
    tx: Tx, workspace: str, principal_id: str, unread: bool, below: int | None, limit: int
) -> list[Notification]:
    """A principal's notifications, newest first, below the event `below`; with `unread` only those."""
    query = select(*_NOTIFICATION).where(*_inbox(workspace, principal_id, unread))
    if below is not None:
        query = query.where(_notifications.c.event < below)
    rows = tx.execute(query.order_by(_notifications.c.event.desc()).limit(limit))
    return [Notification(*row) for row in rows]


def count_unread(tx: Tx, workspace: str, principal_id: str) -> int:
    """How many notifications a principal has not read."""
    query = select(func.count()).select_from(_notifications)
    return int(tx.execute(query.where(*_inbox(workspace, principal_id, True))).scalar_one())


def mark_read(tx: Tx, workspace: str, principal_id: str, events: Sequence[int] | None, now_ms: int) -> int:
    """Mark these events' notifications, or with None all, as read; how many were not."""
    query = update(_notifications).where(*_inbox(workspace, principal_id, True))
    if events is not None:
        query = query.where(_notifications.c.event.in_(events))
    return tx.execute(query.values(read_at=now_ms)).rowcount


def erase_principal(tx: Tx, principal_id: str) -> None:
    """Delete what a principal was told and watches, and take its name off what it told others, in every workspace."""
    for table in (_notifications, _subscriptions):
        own = delete(table).where(table.c.principal_id == principal_id)
        tx.execute(own.execution_options(**ALL_WORKSPACES))
    told = select(_notifications).where(_notifications.c.actor_id == principal_id)
    rows = tx.execute(told.execution_options(**ALL_WORKSPACES)).all()
    for row in rows:
        where = (
            _notifications.c.workspace_id == row.workspace_id,
            _notifications.c.principal_id == row.principal_id,
            _notifications.c.event == row.event,
        )
        text = row.text.replace(row.actor, "erased", 1)
        tx.execute(update(_notifications).where(*where).values(actor="erased", text=text))


def load_position(tx: Tx) -> int:
    """The last audit entry that was followed; -1 before the first."""
    query = select(_positions.c.position).where(*_FOLLOWER)
    found = tx.execute(query).scalar()
    return -1 if found is None else int(found)


def advance(tx: Tx, before: int, after: int) -> bool:
    """Move the position; False, and nothing done, when it is not at `before` any more."""
    if before == -1 and tx.execute(select(_positions.c.position).where(*_FOLLOWER)).scalar() is None:
        tx.execute(insert(_positions).values(workspace_id=_EVERY, name=_NAME, position=after))
        return True
    where = *_FOLLOWER, _positions.c.position == before
    return tx.execute(update(_positions).where(*where).values(position=after)).rowcount == 1


_FOLLOWER = (_positions.c.workspace_id == _EVERY, _positions.c.name == _NAME)
_SUBSCRIPTION = [_subscriptions.c[name] for name in Subscription.__struct_fields__]
_NOTIFICATION = [_notifications.c[name] for name in Notification.__struct_fields__]


def _of(workspace: str, object: str, principal_id: str) -> tuple[Any, ...]:
    return (
        _subscriptions.c.workspace_id == workspace,
        _subscriptions.c.object == object,
        _subscriptions.c.principal_id == principal_id,
    )


def _inbox(workspace: str, principal_id: str, unread: bool) -> tuple[Any, ...]:
    mine = _notifications.c.workspace_id == workspace, _notifications.c.principal_id == principal_id
    return (*mine, _notifications.c.read_at.is_(None)) if unread else mine
