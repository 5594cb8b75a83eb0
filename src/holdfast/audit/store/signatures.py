"""The checkpoints that were signed, with what witnesses added, and the statements of changed keys."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from holdfast.audit.records import StoredCheckpoint
from holdfast.audit.rotation import Rotation
from holdfast.audit.store.damaged import readable, words
from holdfast.storage import Tx, metadata
from holdfast.storage.direct import Direct

__all__ = [
    "TABLES",
    "add_cosignature",
    "forget_signatures",
    "insert_checkpoint",
    "insert_rotation",
    "last_checkpoint",
    "list_checkpoints",
    "list_rotations",
    "load_checkpoint",
    "thin_checkpoints",
]

TABLES = ("audit_checkpoint", "key_rotation")
_checkpoints = Table(
    "audit_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("origin", String(200), nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("cosignatures", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("is_kept", Boolean, nullable=False),
)
_rotations = Table(
    "key_rotation",
    metadata,
    Column("name", String(32), nullable=False),
    Column("number", Integer, nullable=False),
    Column("old", String(64), nullable=False),
    Column("new", String(64), nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("signature", String(128), nullable=False),
    PrimaryKeyConstraint("name", "number"),
)
_CHECKPOINT = (
    _checkpoints.c.size,
    _checkpoints.c.origin,
    _checkpoints.c.root,
    _checkpoints.c.note,
    _checkpoints.c.cosignatures,
    _checkpoints.c.made_at,
)
_ROTATION = (
    _rotations.c.name,
    _rotations.c.number,
    _rotations.c.old,
    _rotations.c.new,
    _rotations.c.time_ms,
    _rotations.c.signature,
)

_LAST_CHECKPOINT = Direct(select(*_CHECKPOINT).order_by(_checkpoints.c.size.desc()).limit(1))


def insert_checkpoint(tx: Tx, checkpoint: StoredCheckpoint, *, is_kept: bool) -> None:
    tx.execute(
        insert(_checkpoints).values(
            size=checkpoint.size,
            origin=checkpoint.origin,
            root=checkpoint.root,
            note=checkpoint.note,
            cosignatures=checkpoint.cosignatures,
            made_at=checkpoint.made_at,
            is_kept=is_kept,
        )
    )


def add_cosignature(tx: Tx, size: int, line: str) -> None:
    """Add a witness's line to those of a checkpoint."""
    value = _checkpoints.c.cosignatures + line
    tx.execute(update(_checkpoints).where(_checkpoints.c.size == size).values(cosignatures=value))


def last_checkpoint(tx: Tx) -> StoredCheckpoint | None:
    """The checkpoint of the largest tree."""
    rows = _LAST_CHECKPOINT.rows(tx)
    return StoredCheckpoint(*rows[0]) if rows else None


def load_checkpoint(tx: Tx, size: int) -> StoredCheckpoint | None:
    row = tx.execute(select(*_CHECKPOINT).where(_checkpoints.c.size == size)).one_or_none()
    return None if row is None else StoredCheckpoint(*row)


def list_checkpoints(tx: Tx) -> list[StoredCheckpoint]:
    """All of them, the smallest tree first, whatever their bytes are."""
    query = select(*readable(tx, _CHECKPOINT)).order_by(_checkpoints.c.size)
    return [
        StoredCheckpoint(size, words(origin) or "", root, words(note) or "", words(lines) or "", made_at)
        for size, origin, root, note, lines, made_at in tx.execute(query)
    ]


def thin_checkpoints(tx: Tx, before_ms: int) -> None:
    """Delete the checkpoints made before a time that are not to be kept."""
    tx.execute(
        delete(_checkpoints).where(_checkpoints.c.made_at < before_ms, _checkpoints.c.is_kept.is_(False))
    )


def forget_signatures(tx: Tx) -> None:
    """Delete every checkpoint and every statement of a rotation."""
    tx.execute(delete(_checkpoints))
    tx.execute(delete(_rotations))


def insert_rotation(tx: Tx, rotation: Rotation) -> None:
    tx.execute(
        insert(_rotations).values(
            name=rotation.name,
            number=rotation.number,
            old=rotation.old,
            new=rotation.new,
            time_ms=rotation.time_ms,
            signature=rotation.signature,
        )
    )


def list_rotations(tx: Tx, name: str | None = None) -> list[Rotation]:
    """The rotations of a key, or of all, in order, whatever their bytes are."""
    query = select(*readable(tx, _ROTATION)).order_by(_rotations.c.name, _rotations.c.number)
    if name is not None:
        query = query.where(_rotations.c.name == name)
    return [
        Rotation(
            words(kind) or "", number, words(old) or "", words(new) or "", time_ms, words(signature) or ""
        )
        for kind, number, old, new, time_ms, signature in tx.execute(query)
    ]
