"""Every row of a database as bytes that either kind of database takes back: for backups and moves between them.

Works on the tables that are there, not on those that this version declares, so that a database of an older schema
is dumped as it is, loaded as it was, and upgraded afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, MetaData, Table, delete, func, insert, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from holdfast.kernel.errors import IntegrityError, InvalidInput
from holdfast.storage.database import Tx
from holdfast.storage.scope import ALL_WORKSPACES

__all__ = [
    "REVISION_TABLE",
    "Block",
    "dump_counters",
    "dump_rows",
    "empty_tables",
    "load_block",
    "load_counters",
    "reflect",
]

REVISION_TABLE = "alembic_version"
_ROWS, _BYTES = 2_000, 4 << 20


class Block(msgspec.Struct, frozen=True, array_like=True):
    """Some rows of one table; a value is None, a number, a boolean, text or bytes."""

    table: str
    columns: list[str]
    rows: list[list[Any]]


def reflect(tx: Tx) -> MetaData:
    """The tables that the database has, but for the one that names its schema."""
    names = [name for name in inspect(tx).get_table_names() if name != REVISION_TABLE]
    found = MetaData()
    found.reflect(tx, only=names)
    return found


def dump_rows(tx: Tx, tables: MetaData) -> Iterator[Block]:
    """Every row, table by table, in blocks of bounded size. Reads what `tx` sees: a snapshot, in `Storage.read`."""
    for table in tables.sorted_tables:
        names = [str(column.name) for column in table.columns]
        rows, size = list[list[Any]](), 0
        query = select(table).order_by(*table.primary_key.columns).execution_options(**ALL_WORKSPACES)
        for row in tx.execute(query, execution_options={"yield_per": _ROWS}):
            rows.append([bytes(v) if isinstance(v, memoryview) else v for v in row])
            size += sum(len(v) if isinstance(v, (str, bytes)) else 8 for v in row)
            if len(rows) >= _ROWS or size >= _BYTES:
                yield Block(str(table.name), names, rows)
                rows, size = [], 0
        if rows:
            yield Block(str(table.name), names, rows)


def dump_counters(tx: Tx, tables: MetaData) -> dict[str, int]:
    """The last number that each counting key has given, by table; it may be of a row that is gone."""
    if tx.dialect.name == "sqlite":
        if not inspect(tx).has_table("sqlite_sequence"):
            return {}
        return {name: int(last) for name, last in tx.execute(text("SELECT name, seq FROM sqlite_sequence"))}
    found = dict[str, int]()
    for table, sequence in _sequences(tx, tables):
        last, called = tx.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()
        if called:
            found[str(table.name)] = int(last)
    return found


def empty_tables(tx: Tx, tables: MetaData) -> None:
    """Delete every row: migrations write some of their own."""
    for table in reversed(tables.sorted_tables):
        tx.execute(delete(table).execution_options(**ALL_WORKSPACES))


def load_block(tx: Tx, tables: MetaData, block: Block) -> int:
    """Write the rows; how many. Raises IntegrityError for a table or column that the database lacks, InvalidInput for
    a row that this kind of database does not take."""
    table = tables.tables.get(block.table)
    lacking = set(block.columns) - (set() if table is None else {column.name for column in table.columns})
    if table is None or lacking:
        raise IntegrityError(
            f"The backup holds the table {block.table!r} with the columns {sorted(lacking)}, which its schema lacks."
        )
    try:
        tx.execute(insert(table), [dict(zip(block.columns, row, strict=True)) for row in block.rows])
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise InvalidInput(f"The rows of {block.table!r} do not fit into this database: {said}.") from error
    return len(block.rows)


def load_counters(tx: Tx, tables: MetaData, counters: dict[str, int]) -> None:
    """Let the counting keys go on after the highest number that was given or is there."""
    if tx.dialect.name == "sqlite":
        for name, last in counters.items():
            if inspect(tx).has_table("sqlite_sequence"):
                tx.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": name})
                tx.execute(
                    text("INSERT INTO sqlite_sequence VALUES (:name, :last)"), {"name": name, "last": last}
                )
        return
    for table, sequence in _sequences(tx, tables):
        column = next(iter(table.primary_key.columns))
        there = tx.execute(select(func.max(column)).execution_options(**ALL_WORKSPACES)).scalar()
        last = max(counters.get(table.name, 0), int(there or 0))
        if last:
            tx.execute(select(func.setval(sequence, last)))


def _sequences(tx: Connection, tables: MetaData) -> Iterator[tuple[Table, str]]:
    """PostgreSQL: the tables whose single key counts up, each with its sequence."""
    for table in tables.sorted_tables:
        keys = list(table.primary_key.columns)
        if len(keys) == 1:
            named = select(func.pg_get_serial_sequence(f'"{table.name}"', keys[0].name))
            sequence = tx.execute(named).scalar()
            if sequence is not None:
                yield table, str(sequence)
