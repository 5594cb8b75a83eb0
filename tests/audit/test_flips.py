"""Flipped bits anywhere in the audit tables: each one that matters is named, whatever it turns the bytes into."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.audit.checkpoints import Checkpoints
from holdfast.audit.keys import Keys
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage

from .conftest import Grow

pytestmark = pytest.mark.database("sqlite")
NOW = 1_760_000_000_000
COLUMNS = {
    "audit_leaf": ["idx", "workspace_id", "leaf", "leaf_hash", "object", "reason", "salt", "before", "after"],
    "audit_node": ["level", "idx", "hash"],
    "audit_head": ["size", "peaks"],
    "audit_checkpoint": ["size", "origin", "root", "note"],
    "key_rotation": ["name", "number", "old", "new", "time_ms", "signature"],
}
"""Every column that is bound: all but the actor's name, which may be erased, and when a checkpoint was stored."""


def flip(value: object, chooser: random.Random) -> object:
    """The value with one bit changed; texts and blobs keep their type, and texts may stop being UTF-8."""
    if isinstance(value, int):
        return value ^ 1 << chooser.randrange(20)
    data = bytearray(value if isinstance(value, bytes) else str(value).encode())
    data[chooser.randrange(len(data))] ^= 1 << chooser.randrange(8)
    return bytes(data)


def flip_one(connection: sqlite3.Connection, chooser: random.Random) -> tuple[str, Callable[[], None]] | None:
    """Flip one bit of one bound column of a random row; gives what it was, and how to put it back."""
    table = chooser.choice(list(COLUMNS))
    column = chooser.choice(COLUMNS[table])
    rows = [row[0] for row in connection.execute(f"SELECT rowid FROM {table}")]
    row = chooser.choice(rows)
    value, kind = connection.execute(
        f"SELECT {column}, typeof({column}) FROM {table} WHERE rowid = ?", (row,)
    ).fetchone()
    if value is None:
        return None
    new = "CAST(? AS TEXT)" if kind == "text" else "?"
    try:
        changed = flip(value, chooser)
        connection.execute(f"UPDATE {table} SET {column} = {new} WHERE rowid = ?", (changed, row))
    except sqlite3.IntegrityError:
        return None  # the key is another row's
    connection.commit()

    def back() -> None:
        connection.execute(f"UPDATE {table} SET {column} = {new} WHERE rowid = ?", (_raw(value), row))
        connection.commit()

    return f"{table}.{column} of row {row}", back


def _raw(value: object) -> object:
    return value.encode() if isinstance(value, str) else value


def check_flips(storage: Storage, checkpoints: Checkpoints, path: Path, count: int) -> None:
    chooser, done = random.Random(count), 0
    assert checkpoints.verify().ok
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        while done < count:
            flipped = flip_one(connection, chooser)
            if flipped is None:
                continue
            name, back = flipped
            report = checkpoints.verify()
            assert not report.ok, name
            assert report.damaged, name
            back()
            assert checkpoints.verify().ok, name
            done += 1


@pytest.fixture
def log(storage: Storage, grow: Grow, keys: Keys, checkpoints: Checkpoints, caller: Caller) -> Checkpoints:
    """43 entries under two checkpoints and a rotated key."""
    grow(20)
    checkpoints.record(NOW)
    keys.rotate(caller, "checkpoint")
    grow(22)
    checkpoints.record(NOW + 60_000)
    return checkpoints


def test_a_hundred_flips_are_named(storage: Storage, log: Checkpoints, database: Path) -> None:
    check_flips(storage, log, database, 100)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_flips_are_named(storage: Storage, log: Checkpoints, database: Path) -> None:
    check_flips(storage, log, database, 10_000)
