"""The tables of buckets, reference profiles, fold states and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.matching import Wanted
from holdfast.kernel.times import DAY_MS
from holdfast.monitoring.buckets import merge_days
from holdfast.monitoring.profile import Profile
from holdfast.monitoring.records import Alert, Bucket, FoldState
from holdfast.storage import Tx, lock, metadata
from holdfast.storage.matching import has_words

__all__ = [
    "delete_buckets",
    "end_alert",
    "insert_alert",
    "insert_buckets",
    "list_alerts",
    "list_buckets",
    "load_alert",
    "load_bodies",
    "load_profiles",
    "load_state",
    "open_alerts",
    "profile_id",
    "reference_ids",
    "save_profile",
    "save_state",
    "search_alerts",
]

_buckets = Table(
    "monitor_bucket",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("endpoint_id", String(64), nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("reference_id", String(64), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("labelled", BigInteger, nullable=False),
    Column("judged", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("last_event", BigInteger, nullable=False),
    Column("last_label", BigInteger),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("workspace_id", "endpoint_id", "start", "version"),
)
_profiles = Table(
    "monitor_reference",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("endpoint_id", String(64), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("workspace_id", "endpoint_id", "version"),
)
_states = Table(
    "monitor_state",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("endpoint_id", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("workspace_id", "endpoint_id"),
)
_alerts = Table(
    "monitor_alert",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("alert_id", BigInteger, nullable=False),
    Column("endpoint_id", String(64), nullable=False),
    Column("endpoint", String(63), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("raised_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("recovered_at", BigInteger),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "alert_id"),
    Index("ix_monitor_alert_endpoint_id", "workspace_id", "endpoint_id", "alert_id"),
)
_NARROW = [_buckets.c[name] for name in Bucket.__struct_fields__ if name != "body"]


def load_state(tx: Tx, workspace: str, endpoint_id: str) -> FoldState:
    """The fold state; an empty one before the first fold."""
    body = tx.execute(select(_states.c.body).where(*_of(_states, workspace, endpoint_id))).scalar()
    return FoldState() if body is None else msgspec.msgpack.decode(body, type=FoldState)


def save_state(tx: Tx, workspace: str, endpoint_id: str, state: FoldState) -> None:
    """Write the fold state over the one before."""
    tx.execute(delete(_states).where(*_of(_states, workspace, endpoint_id)))
    values = {"workspace_id": workspace, "endpoint_id": endpoint_id, "body": msgspec.msgpack.encode(state)}
    tx.execute(insert(_states).values(values))


def profile_id(profile: Profile) -> str:
    """The name of a profile: the SHA-256 of its content."""
    return sha256_hex(msgspec.msgpack.encode(profile))


def load_profiles(tx: Tx, workspace: str, endpoint_id: str) -> dict[int, Profile]:
    """The reference profile of each version that has been folded."""
    query = select(_profiles.c.version, _profiles.c.body).where(*_of(_profiles, workspace, endpoint_id))
    return {row.version: msgspec.msgpack.decode(row.body, type=Profile) for row in tx.execute(query)}


def save_profile(tx: Tx, workspace: str, endpoint_id: str, version: int, profile: Profile) -> None:
    """Write a version's reference profile over the one before."""
    tx.execute(
        delete(_profiles).where(*_of(_profiles, workspace, endpoint_id), _profiles.c.version == version)
    )
    values = {"workspace_id": workspace, "endpoint_id": endpoint_id, "version": version}
    tx.execute(insert(_profiles).values(**values, body=msgspec.msgpack.encode(profile)))


def delete_buckets(tx: Tx, workspace: str, endpoint_id: str, days: Sequence[int] | None) -> None:
    """Delete the buckets of all versions in these days (starts, ascending); None = all."""
    query = delete(_buckets).where(*_of(_buckets, workspace, endpoint_id))
    if days is None:
        tx.execute(query)
        return
    for first, last in merge_days([(day, day) for day in days]):
        tx.execute(query.where(_buckets.c.start >= first, _buckets.c.start < last + DAY_MS))


def insert_buckets(tx: Tx, workspace: str, endpoint_id: str, buckets: Sequence[Bucket]) -> None:
    """Write new buckets."""
    if buckets:
        owner = {"workspace_id": workspace, "endpoint_id": endpoint_id}
        tx.execute(insert(_buckets), [{**owner, **msgspec.structs.asdict(bucket)} for bucket in buckets])


def list_buckets(tx: Tx, workspace: str, endpoint_id: str) -> list[Bucket]:
    """Every bucket without its body, by start and version."""
    query = select(*_NARROW).where(*_of(_buckets, workspace, endpoint_id))
    rows = tx.execute(query.order_by(_buckets.c.start, _buckets.c.version))
    return [Bucket(*row) for row in rows]


def reference_ids(tx: Tx, workspace: str, endpoint_id: str) -> set[tuple[int, str]]:
    """(version, id of the profile) that buckets were counted against."""
    query = select(_buckets.c.version, _buckets.c.reference_id).where(*_of(_buckets, workspace, endpoint_id))
    return {(row.version, row.reference_id) for row in tx.execute(query.distinct())}


def load_bodies(
    tx: Tx, workspace: str, endpoint_id: str, first: int, last: int
) -> dict[tuple[int, int], bytes]:
    """(start, version) to body of the buckets that start within [first, last]."""
    query = select(_buckets.c.start, _buckets.c.version, _buckets.c.body).where(
        *_of(_buckets, workspace, endpoint_id), _buckets.c.start.between(first, last)
    )
    return {(row.start, row.version): row.body for row in tx.execute(query)}


def insert_alert(tx: Tx, workspace: str, endpoint_id: str, alert: Alert) -> Alert:
    """Write a new alert under the workspace's next number; gives it with that number."""
    lock(tx, "alerts", workspace)
    highest = tx.execute(
        select(func.max(_alerts.c.alert_id)).where(_alerts.c.workspace_id == workspace)
    ).scalar()
    alert = msgspec.structs.replace(alert, id=(highest or 0) + 1)
    tx.execute(
        insert(_alerts).values(
            workspace_id=workspace,
            alert_id=alert.id,
            endpoint_id=endpoint_id,
            endpoint=alert.endpoint,
            version=alert.version,
            state=alert.state,
            raised_at=alert.raised_at,
            body=msgspec.json.encode(alert).decode(),
        )
    )
    return alert


def end_alert(tx: Tx, workspace: str, alert_id: int, ended_at: int, recovered_at: int) -> None:
    """Set an alert to `ended`."""
    tx.execute(
        update(_alerts)
        .where(_alerts.c.workspace_id == workspace, _alerts.c.alert_id == alert_id)
        .values(state="ended", ended_at=ended_at, recovered_at=recovered_at)
    )


def load_alert(tx: Tx, workspace: str, alert_id: int) -> Alert | None:
    """One alert."""
    query = select(_alerts).where(_alerts.c.workspace_id == workspace, _alerts.c.alert_id == alert_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else _alert(row)


def open_alerts(tx: Tx, workspace: str, endpoint_id: str) -> dict[int, Alert]:
    """The open alert of each version of an endpoint that has one."""
    query = select(_alerts).where(*_of(_alerts, workspace, endpoint_id), _alerts.c.state == "open")
    return {row.version: _alert(row) for row in tx.execute(query)}


def list_alerts(
    tx: Tx,
    workspace: str,
    *,
    endpoint: str | None = None,
    endpoint_id: str | None = None,
    state: str | None = None,
    below: int | None = None,
    limit: int = 1000,
) -> list[Alert]:
    """Alerts of a workspace, newest first, below the number `below`."""
    query = select(_alerts).where(_alerts.c.workspace_id == workspace)
    for column, value in (
        (_alerts.c.endpoint, endpoint),
        (_alerts.c.endpoint_id, endpoint_id),
        (_alerts.c.state, state),
    ):
        if value is not None:
            query = query.where(column == value)
    if below is not None:
        query = query.where(_alerts.c.alert_id < below)
    return [_alert(row) for row in tx.execute(query.order_by(_alerts.c.alert_id.desc()).limit(limit))]


def search_alerts(tx: Tx, workspace: str, wanted: Wanted, limit: int) -> list[Alert]:
    """Alerts by number, or with the words in the endpoint's name or the state, newest first."""
    number = wanted.number()
    found = has_words(wanted.words, _alerts.c.endpoint, _alerts.c.state)
    if number is not None:
        found = or_(found, _alerts.c.alert_id == number)
    query = select(_alerts).where(_alerts.c.workspace_id == workspace, found)
    return [_alert(row) for row in tx.execute(query.order_by(_alerts.c.alert_id.desc()).limit(limit))]


def _alert(row: Row[Any]) -> Alert:
    alert = msgspec.json.decode(row.body, type=Alert)
    return msgspec.structs.replace(
        alert, state=row.state, ended_at=row.ended_at, recovered_at=row.recovered_at
    )


def _of(table: Table, workspace: str, endpoint_id: str) -> tuple[Any, Any]:
    return table.c.workspace_id == workspace, table.c.endpoint_id == endpoint_id
