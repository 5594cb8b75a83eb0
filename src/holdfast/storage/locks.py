"""The lock of a thing inside a transaction, so that what was read is still true when it is written."""

from __future__ import annotations

from sqlalchemy import func, select

from holdfast.kernel.hashing import sha256_hex
from holdfast.storage.engine import Tx

__all__ = ["lock"]


def lock(tx: Tx, kind: str, *name: str) -> None:
    """Hold the thing `kind`, `name` until the transaction ends; others who lock it wait.

    First statement of a change that reads before it writes: afterwards the transaction sees everything that was
    committed before. The thing need not exist yet. On SQLite there is one writer at a time, and nothing to do; on
    PostgreSQL it is an advisory lock of the transaction (ADR 0006). Two transactions that lock things in opposite
    orders are repeated by `Storage.write`.
    """
    if tx.dialect.name == "postgresql":
        key = int(sha256_hex("\0".join((kind, *name)).encode())[:16], 16) - 2**63
        tx.execute(select(func.pg_advisory_xact_lock(key)))
