"""Rows as bytes: out of one kind of database and into the other, with the numbers that keys count up from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import MetaData, delete, func, insert, select

from holdfast.kernel.errors import IntegrityError, InvalidInput
from holdfast.storage import Storage, Tx
from holdfast.storage.direct import Direct
from holdfast.storage.dump import (
    Block,
    dump_counters,
    dump_rows,
    empty_tables,
    load_block,
    load_counters,
    reflect,
)
from holdfast.testing.postgres import PostgresServer


@pytest.fixture
def other(storage: Storage, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """An empty database of the other kind."""
    if storage.kind == "postgresql":
        path = tmp_path / "other.db"
        path.write_bytes(request.getfixturevalue("migrated").read_bytes())
        opened = Storage(path)
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        opened = Storage(server.create_database("other", request.getfixturevalue("postgres_template")))
        request.addfinalizer(lambda: server.drop_database("other"))
    request.addfinalizer(opened.close)
    return opened


def all_rows(storage: Storage) -> dict[str, list[Any]]:
    return storage.read(lambda tx: {block.table: block.rows for block in dump_rows(tx, reflect(tx))})


def move(source: Storage, target: Storage) -> None:
    blocks, counters = source.read(
        lambda tx: (
            [msgspec.msgpack.encode(block) for block in dump_rows(tx, reflect(tx))],
            dump_counters(tx, reflect(tx)),
        )
    )

    def load(tx: Tx) -> None:
        tables = reflect(tx)
        empty_tables(tx, tables)
        for block in blocks:
            load_block(tx, tables, msgspec.msgpack.decode(block, type=Block))
        load_counters(tx, tables, counters)

    target.write(load)


def add(storage: Storage, name: str) -> int:
    def fn(tx: Tx) -> int:
        table = reflect(tx).tables["experiment"]
        values = {"workspace_id": "default", "name": name, "created_at": 2**40}
        tx.execute(insert(table).values(**values))
        highest = select(func.max(table.c.experiment_id)).where(table.c.workspace_id == "default")
        return int(tx.execute(highest).scalar_one())

    return storage.write(fn)


def test_every_row_comes_over_and_numbers_are_not_given_again(storage: Storage, other: Storage) -> None:
    first, last = add(storage, "zürich ✓ \\x00"), add(storage, "gone")

    def fn(tx: Tx) -> None:
        tables: MetaData = reflect(tx)
        experiments = tables.tables["experiment"]
        gone = (experiments.c.workspace_id == "default", experiments.c.name == "gone")
        tx.execute(delete(experiments).where(*gone))
        tx.execute(
            insert(tables.tables["object"]).values(
                sha256="0" * 64, size=2**40, object_key=None, chunks=bytes(range(256)), lasting=True,
                touched_at=1, marked_at=None,
            )
        )  # fmt: skip

    storage.write(fn)
    move(storage, other)
    ours, theirs = all_rows(storage), all_rows(other)
    ours.pop("write_token", None), theirs.pop("write_token", None)  # PostgreSQL's own
    assert ours == theirs
    assert ours["object"][0][3] == bytes(range(256))
    assert add(other, "next") == last + 1 > first


@pytest.mark.database("postgresql")
def test_what_the_other_kind_does_not_take_is_named(storage: Storage) -> None:
    block = Block("experiment", ["workspace_id", "name", "created_at"], [["default", "a\x00b", 1]])
    with pytest.raises(InvalidInput, match="experiment"):
        storage.write(lambda tx: load_block(tx, reflect(tx), block))


@pytest.mark.database("sqlite")
def test_a_table_or_column_that_is_not_there_is_named(storage: Storage) -> None:
    for block in (Block("none", ["a"], [[1]]), Block("experiment", ["colour"], [["red"]])):
        with pytest.raises(IntegrityError, match=block.table):
            storage.write(lambda tx, block=block: load_block(tx, reflect(tx), block))  # type: ignore[misc]


def test_reading_all_leaves_the_transaction_as_it_was(storage: Storage) -> None:
    add(storage, "one")

    def fn(tx: Tx) -> list[Any]:
        experiments = reflect(tx).tables["experiment"]
        list(dump_rows(tx, reflect(tx)))
        return Direct(select(experiments.c.name).where(experiments.c.workspace_id == "default")).rows(tx)

    assert storage.read(fn) == [("one",)]
