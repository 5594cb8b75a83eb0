"""Leases: one owner at a time for a named piece of background work, with a fencing token."""

from __future__ import annotations

import msgspec
from sqlalchemy import BigInteger, Column, ColumnElement, String, Table, delete, insert, select, update

from holdfast.kernel.errors import Conflict
from holdfast.storage.engine import Storage, Tx
from holdfast.storage.locks import lock
from holdfast.storage.tables import metadata

__all__ = ["LONGEST_MS", "Lease", "acquire", "check", "end_all", "forget", "held", "release", "renew"]

_leases = Table(
    "lease",
    metadata,
    Column("workspace_id", String(64), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
_SYSTEM = "*"
LONGEST_MS = 3_600_000
"""The most that a lease may be taken or prolonged for."""


class Lease(msgspec.Struct, frozen=True):
    """A held lease; `token` grows with every new holder, so a holder that was declared dead can be fenced off."""

    name: str
    owner: str
    token: int
    expires_at: int


def acquire(storage: Storage, name: str, owner: str, ttl_ms: int, now_ms: int) -> Lease | None:
    """Take the lease when it is free, expired or already the owner's; None when another holds it.

    `ttl_ms` is at most LONGEST_MS. A lease that would last longer was taken while a clock was wrong, and is free.
    """
    assert ttl_ms <= LONGEST_MS

    def fn(tx: Tx) -> Lease | None:
        lock(tx, "lease", name)
        row = tx.execute(
            select(_leases).where(_leases.c.workspace_id == _SYSTEM, _leases.c.name == name)
        ).one_or_none()
        is_held = row is not None and now_ms < row.expires_at <= now_ms + LONGEST_MS
        is_own = row is not None and row.owner == owner
        if is_held and not is_own:
            return None
        token = 1 if row is None else row.token if is_held else row.token + 1
        values = {"owner": owner, "token": token, "expires_at": now_ms + ttl_ms}
        if row is None:
            tx.execute(insert(_leases).values(workspace_id=_SYSTEM, name=name, **values))
        else:
            tx.execute(
                update(_leases)
                .where(_leases.c.workspace_id == _SYSTEM, _leases.c.name == name)
                .values(**values)
            )
        return Lease(name, owner, token, now_ms + ttl_ms)

    return storage.write(fn)


def renew(storage: Storage, lease: Lease, ttl_ms: int, now_ms: int) -> Lease:
    """Prolong a held lease. Raises Conflict when another took it."""

    def fn(tx: Tx) -> Lease:
        check(tx, lease)
        tx.execute(
            update(_leases).where(_leases.c.workspace_id == _SYSTEM, _leases.c.name == lease.name)
            .values(expires_at=now_ms + ttl_ms)
        )  # fmt: skip
        return Lease(lease.name, lease.owner, lease.token, now_ms + ttl_ms)

    return storage.write(fn)


def release(storage: Storage, lease: Lease) -> None:
    """Give a lease back; no error when another holds it by now."""
    storage.write(
        lambda tx: (
            tx.execute(
                update(_leases)
                .where(
                    _leases.c.workspace_id == _SYSTEM,
                    _leases.c.name == lease.name,
                    _leases.c.token == lease.token,
                )
                .values(expires_at=0)
            ).rowcount
        )
    )


def check(tx: Tx, lease: Lease) -> None:
    """Fence: raises Conflict inside a transaction when the lease has gone to another holder."""
    row = tx.execute(
        select(_leases.c.token)
        .where(_leases.c.workspace_id == _SYSTEM, _leases.c.name == lease.name)
        .with_for_update()
    ).one_or_none()
    if row is None or row.token != lease.token:
        raise Conflict(
            f"The lease {lease.name!r} of {lease.owner} was taken over.", hint="Stop this piece of work."
        )


def held(storage: Storage, prefix: str, now_ms: int) -> list[Lease]:
    """The leases in force whose names begin with `prefix`, by name."""
    in_force = _leases.c.expires_at > now_ms, _leases.c.expires_at <= now_ms + LONGEST_MS
    query = select(_leases).where(*_named(prefix), *in_force).order_by(_leases.c.name)
    return storage.read(
        lambda tx: [Lease(row.name, row.owner, row.token, row.expires_at) for row in tx.execute(query)]
    )


def forget(storage: Storage, prefix: str, before_ms: int) -> int:
    """Remove the leases of this prefix that expired before a time: how many.

    For names that are never used again: a new holder of a forgotten name begins with the token 1.
    """
    done = delete(_leases).where(*_named(prefix), _leases.c.expires_at < before_ms)
    return storage.write(lambda tx: tx.execute(done).rowcount)


def end_all(tx: Tx) -> None:
    """Free every lease: for a restored database, whose holders are those of another one."""
    tx.execute(update(_leases).where(_leases.c.workspace_id == _SYSTEM).values(expires_at=0))


def _named(prefix: str) -> tuple[ColumnElement[bool], ...]:
    beyond = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return (_leases.c.workspace_id == _SYSTEM, _leases.c.name >= prefix, _leases.c.name < beyond)
