"""Statements that the driver runs: the same results, transactions and errors as Core's."""

from __future__ import annotations

import pytest
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError as RowTaken

from holdfast.storage import Storage, Tx
from holdfast.storage.direct import Direct, Inserts

THINGS = Table(
    "direct_thing", MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("text", String(50), nullable=False),
    Column("data", LargeBinary),
)  # fmt: skip
INSERT = Direct(insert(THINGS))
RENAME = Direct(update(THINGS).where(THINGS.c.id == bindparam("at")).values(text=bindparam("new_text")))
ADD, ADD_NEW = Inserts(THINGS), Inserts(THINGS, "id", "text", skip_taken=True)
AFTER = Direct(
    select(THINGS.c.id, THINGS.c.text, THINGS.c.data)
    .where(THINGS.c.id > bindparam("after"))
    .order_by(THINGS.c.id)
    .limit(2)
)


@pytest.fixture
def things(storage: Storage) -> Storage:
    storage.write(THINGS.create)
    storage.write(
        lambda tx: INSERT.run(tx, *({"id": at, "text": f"é{at}", "data": bytes([at])} for at in range(4)))
    )
    return storage


def test_rows_are_those_that_core_reads(things: Storage) -> None:
    assert things.read(lambda tx: AFTER.rows(tx, {"after": 0})) == [(1, "é1", b"\x01"), (2, "é2", b"\x02")]
    core = things.read(lambda tx: tx.execute(select(THINGS).order_by(THINGS.c.id)).all())
    assert [tuple(row) for row in core] == [(at, f"é{at}", bytes([at])) for at in range(4)]


def test_a_unit_of_work_that_fails_leaves_nothing_behind(things: Storage) -> None:
    def fn(tx: Tx) -> None:
        RENAME.run(tx, {"at": 1, "new_text": "changed"})
        raise ValueError("the change fails")

    with pytest.raises(ValueError, match="fails"):
        things.write(fn)
    assert things.read(lambda tx: AFTER.rows(tx, {"after": 0}))[0][1] == "é1"
    things.write(lambda tx: RENAME.run(tx, {"at": 1, "new_text": "changed"}, {"at": 2, "new_text": "too"}))
    assert [row[1] for row in things.read(lambda tx: AFTER.rows(tx, {"after": 0}))] == ["changed", "too"]


def test_a_read_that_starts_with_one_stays_on_its_snapshot(things: Storage) -> None:
    def fn(tx: Tx) -> list[str]:
        before = AFTER.rows(tx, {"after": 0})[0][1]
        things.write(lambda other: RENAME.run(other, {"at": 1, "new_text": "changed"}))
        return [before, AFTER.rows(tx, {"after": 0})[0][1]]

    assert things.read(fn) == ["é1", "é1"]
    assert things.read(lambda tx: AFTER.rows(tx, {"after": 0}))[0][1] == "changed"


def test_errors_are_those_of_core(things: Storage) -> None:
    with pytest.raises(RowTaken):
        things.write(lambda tx: INSERT.run(tx, {"id": 1, "text": "twice", "data": None}))
    assert things.read(lambda tx: AFTER.rows(tx, {"after": 0}))[0][1] == "é1"


@pytest.mark.database("sqlite")
def test_a_read_may_not_write(things: Storage) -> None:
    from holdfast.kernel.errors import Unavailable

    with pytest.raises(Unavailable, match="can't be written"):
        things.read(lambda tx: RENAME.run(tx, {"at": 1, "new_text": "x"}))


@pytest.mark.parametrize("count", [0, 1, 332, 333, 1000])
def test_many_rows_are_inserted_in_order(things: Storage, count: int) -> None:
    rows = [(at, f"é{at}", None if at % 2 else bytes(3)) for at in range(100, 100 + count)]
    assert things.write(lambda tx: ADD.run(tx, rows)) == count
    core = things.read(lambda tx: tx.execute(select(THINGS).where(THINGS.c.id >= 100)).all())
    assert sorted(tuple(row) for row in core) == rows


def test_rows_whose_keys_are_taken_are_left_out_and_not_counted(things: Storage) -> None:
    rows = [(at, f"new {at}") for at in range(1, 1200, 2)]
    assert things.write(lambda tx: ADD_NEW.run(tx, rows)) == len(rows) - 2  # 1 and 3 were there
    assert things.write(lambda tx: ADD_NEW.run(tx, rows)) == 0
    assert things.read(lambda tx: AFTER.rows(tx, {"after": 2})) == [(3, "é3", b"\x03"), (5, "new 5", None)]


def test_one_bad_row_among_many_leaves_none(things: Storage) -> None:
    with pytest.raises(RowTaken):
        things.write(lambda tx: ADD.run(tx, [(at, "x", None) for at in [*range(10, 800), 3]]))
    assert things.read(lambda tx: AFTER.rows(tx, {"after": 3})) == []
