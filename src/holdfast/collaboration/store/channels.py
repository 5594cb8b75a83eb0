"""The tables of channels, deliveries and attempts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    update,
)

from holdfast.collaboration.channel_records import Attempt, Channel, Delivery
from holdfast.collaboration.events import Match
from holdfast.storage import ALL_WORKSPACES, Tx, metadata

__all__ = [
    "all_channels",
    "bring_forward",
    "claim",
    "count_deliveries",
    "delete_channel",
    "delete_deliveries",
    "due_deliveries",
    "find_channel",
    "insert_attempt",
    "insert_channel",
    "insert_delivery",
    "list_attempts",
    "list_channels",
    "list_deliveries",
    "load_channel",
    "load_delivery",
    "load_sealed",
    "put_off",
    "update_channel",
    "update_delivery",
    "update_sealed",
]

_channels = Table(
    "channel",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("channel_id", String(40), nullable=False),
    Column("name", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("target", String(500), nullable=False),
    Column("sealed", Text, nullable=False),
    Column("match", Text, nullable=False),
    Column("state", String(8), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("message", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
    PrimaryKeyConstraint("workspace_id", "channel_id"),
    UniqueConstraint("workspace_id", "name"),
)
_deliveries = Table(
    "delivery",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("delivery_id", String(80), nullable=False),
    Column("channel_id", String(40), nullable=False),
    Column("event", BigInteger, nullable=False),
    Column("type", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("error", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "delivery_id"),
    Index("ix_delivery_due_at", "state", "due_at"),
    Index("ix_delivery_channel_id", "workspace_id", "channel_id", "created_at"),
)
_attempts = Table(
    "delivery_attempt",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("delivery_id", String(80), nullable=False),
    Column("number", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("status", Integer),
    Column("error", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "delivery_id", "number"),
)


def insert_channel(tx: Tx, workspace: str, channel: Channel, sealed: str) -> None:
    """Write a new channel with its sealed address."""
    tx.execute(insert(_channels).values(workspace_id=workspace, sealed=sealed, **_values(channel)))


def update_channel(tx: Tx, workspace: str, channel: Channel) -> None:
    """Write a channel over itself; its sealed address stays."""
    where = _channels.c.workspace_id == workspace, _channels.c.channel_id == channel.channel_id
    tx.execute(update(_channels).where(*where).values(**_values(channel)))


def delete_channel(tx: Tx, workspace: str, channel_id: str) -> None:
    """Delete a channel with its deliveries and attempts."""
    mine = select(_deliveries.c.delivery_id).where(
        _deliveries.c.workspace_id == workspace, _deliveries.c.channel_id == channel_id
    )
    tx.execute(
        delete(_attempts).where(_attempts.c.workspace_id == workspace, _attempts.c.delivery_id.in_(mine))
    )
    for table in (_deliveries, _channels):
        tx.execute(delete(table).where(table.c.workspace_id == workspace, table.c.channel_id == channel_id))


def load_channel(tx: Tx, workspace: str, channel_id: str) -> Channel | None:
    """A channel by its id."""
    return _one_channel(tx, workspace, _channels.c.channel_id == channel_id)


def find_channel(tx: Tx, workspace: str, name: str) -> Channel | None:
    """A channel by its name."""
    return _one_channel(tx, workspace, _channels.c.name == name)


def list_channels(tx: Tx, workspace: str) -> list[Channel]:
    """The channels of a workspace, the oldest first."""
    query = select(_channels).where(_channels.c.workspace_id == workspace)
    return [
        _channel(row) for row in tx.execute(query.order_by(_channels.c.created_at, _channels.c.channel_id))
    ]


def all_channels(tx: Tx) -> list[tuple[str, Channel]]:
    """(workspace, channel) of all workspaces."""
    rows = tx.execute(select(_channels).execution_options(**ALL_WORKSPACES))
    return [(row.workspace_id, _channel(row)) for row in rows]


def load_sealed(tx: Tx, workspace: str, channel_id: str) -> str:
    """A channel's sealed address."""
    where = _channels.c.workspace_id == workspace, _channels.c.channel_id == channel_id
    return str(tx.execute(select(_channels.c.sealed).where(*where)).scalar_one())


def update_sealed(tx: Tx, workspace: str, channel_id: str, sealed: str) -> None:
    """Write a channel's sealed address over itself."""
    where = _channels.c.workspace_id == workspace, _channels.c.channel_id == channel_id
    tx.execute(update(_channels).where(*where).values(sealed=sealed))


def insert_delivery(tx: Tx, workspace: str, delivery: Delivery) -> None:
    """Write a new delivery."""
    tx.execute(insert(_deliveries).values(workspace_id=workspace, **msgspec.structs.asdict(delivery)))


def update_delivery(tx: Tx, workspace: str, delivery: Delivery) -> None:
    """Write a delivery over itself."""
    tx.execute(
        update(_deliveries)
        .where(_deliveries.c.workspace_id == workspace, _deliveries.c.delivery_id == delivery.delivery_id)
        .values(**msgspec.structs.asdict(delivery))
    )


def delete_deliveries(tx: Tx, before: int, limit: int) -> int:
    """Delete at most so many deliveries that ended before a time, with their attempts; gives how many."""
    query = select(_deliveries.c.workspace_id, _deliveries.c.delivery_id).where(
        _deliveries.c.state != "pending", _deliveries.c.ended_at < before
    )
    query = query.order_by(_deliveries.c.ended_at).limit(limit)
    old = tx.execute(query.execution_options(**ALL_WORKSPACES)).all()
    for table in (_attempts, _deliveries):
        for workspace, delivery_id in old:
            where = table.c.workspace_id == workspace, table.c.delivery_id == delivery_id
            tx.execute(delete(table).where(*where))
    return len(old)


def claim(tx: Tx, workspace: str, delivery: Delivery, until: int) -> bool:
    """Count an attempt and put the next one off until `until`; False when another worker was quicker."""
    where = (
        _deliveries.c.workspace_id == workspace,
        _deliveries.c.delivery_id == delivery.delivery_id,
        _deliveries.c.state == "pending",
        _deliveries.c.attempts == delivery.attempts,
        _deliveries.c.due_at == delivery.due_at,
    )
    values = {"attempts": delivery.attempts + 1, "due_at": until}
    return tx.execute(update(_deliveries).where(*where).values(**values)).rowcount == 1


def put_off(tx: Tx, workspace: str, channel_id: str, until: int) -> None:
    """Attempt nothing that waits for a channel before `until`."""
    where = (
        _deliveries.c.workspace_id == workspace,
        _deliveries.c.channel_id == channel_id,
        _deliveries.c.state == "pending",
        _deliveries.c.due_at < until,
    )
    tx.execute(update(_deliveries).where(*where).values(due_at=until))


def bring_forward(tx: Tx, workspace: str, channel_id: str, now_ms: int) -> None:
    """Let everything that waits for a channel be attempted now."""
    where = (
        _deliveries.c.workspace_id == workspace,
        _deliveries.c.channel_id == channel_id,
        _deliveries.c.state == "pending",
    )
    tx.execute(update(_deliveries).where(*where).values(due_at=now_ms))


def load_delivery(tx: Tx, workspace: str, delivery_id: str) -> Delivery | None:
    """One delivery."""
    query = select(*_DELIVERY).where(
        _deliveries.c.workspace_id == workspace, _deliveries.c.delivery_id == delivery_id
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else Delivery(*row)


def list_deliveries(
    tx: Tx, workspace: str, channel_id: str, state: str | None, offset: int, limit: int
) -> list[Delivery]:
    """A channel's deliveries, newest first, from the `offset`-th on."""
    query = select(*_DELIVERY).where(
        _deliveries.c.workspace_id == workspace, _deliveries.c.channel_id == channel_id
    )
    if state is not None:
        query = query.where(_deliveries.c.state == state)
    query = query.order_by(
        _deliveries.c.created_at.desc(), _deliveries.c.event.desc(), _deliveries.c.delivery_id
    )
    return [Delivery(*row) for row in tx.execute(query.offset(offset).limit(limit))]


def count_deliveries(tx: Tx) -> dict[str, int]:
    """How many deliveries of all workspaces there are in each state."""
    query = select(_deliveries.c.state, func.count()).group_by(_deliveries.c.state)
    query = query.execution_options(**ALL_WORKSPACES)
    return {state: int(count) for state, count in tx.execute(query)}


def due_deliveries(tx: Tx, now_ms: int, longest_ms: int, limit: int) -> list[tuple[str, Delivery]]:
    """(workspace, delivery) of what is to be attempted now through channels that are not paused, the oldest first.

    What is due later than `longest_ms` from now was put off while a clock ran ahead, and is due.
    """
    due = (_deliveries.c.due_at <= now_ms) | (_deliveries.c.due_at > now_ms + longest_ms)
    query = (
        select(_deliveries.c.workspace_id, *_DELIVERY)
        .join(
            _channels,
            (_channels.c.workspace_id == _deliveries.c.workspace_id)
            & (_channels.c.channel_id == _deliveries.c.channel_id),
        )
        .where(_deliveries.c.state == "pending", due, _channels.c.state == "active")
        .order_by(_deliveries.c.due_at, _deliveries.c.event, _deliveries.c.delivery_id)
        .execution_options(**ALL_WORKSPACES)
    )
    return [(row.workspace_id, Delivery(*row[1:])) for row in tx.execute(query.limit(limit))]


def insert_attempt(tx: Tx, workspace: str, delivery_id: str, attempt: Attempt) -> None:
    """Write what became of an attempt."""
    values = msgspec.structs.asdict(attempt)
    tx.execute(insert(_attempts).values(workspace_id=workspace, delivery_id=delivery_id, **values))


def list_attempts(tx: Tx, workspace: str, delivery_ids: Sequence[str]) -> dict[str, list[Attempt]]:
    """The attempts at each of these deliveries that has any, in order."""
    found: dict[str, list[Attempt]] = {}
    if delivery_ids:
        query = select(_attempts).where(
            _attempts.c.workspace_id == workspace, _attempts.c.delivery_id.in_(delivery_ids)
        )
        for row in tx.execute(query.order_by(_attempts.c.delivery_id, _attempts.c.number)):
            one = Attempt(row.number, row.started_at, row.ended_at, row.status, row.error)
            found.setdefault(row.delivery_id, []).append(one)
    return found


_DELIVERY = [_deliveries.c[name] for name in Delivery.__struct_fields__]


def _one_channel(tx: Tx, workspace: str, condition: Any) -> Channel | None:
    row = tx.execute(select(_channels).where(_channels.c.workspace_id == workspace, condition)).one_or_none()
    return None if row is None else _channel(row)


def _values(channel: Channel) -> dict[str, Any]:
    values = msgspec.structs.asdict(channel)
    return {**values, "match": msgspec.json.encode(channel.match).decode()}


def _channel(row: Row[Any]) -> Channel:
    values = {name: getattr(row, name) for name in Channel.__struct_fields__}
    return Channel(**{**values, "match": msgspec.json.decode(row.match, type=Match)})
