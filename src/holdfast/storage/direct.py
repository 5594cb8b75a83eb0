"""Statements of the hottest paths, run on SQLite by the driver itself: 4 us instead of 55.

SQLAlchemy's bookkeeping costs more than SQLite's work where a statement reads or writes a row by its key. The statement is
still written in Core, and compiled once; on PostgreSQL, where the way to the server costs more, Core runs it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import ClauseElement, Column, Executable, Select, Table, bindparam, insert
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from holdfast.storage.database import Tx

__all__ = ["Direct", "DirectIn", "Inserts"]

# In one statement: the driver gives up the interpreter's lock at each, and threads that do so in turn wake each other
# for longer than a row takes.
_MOST_VALUES = 999
_MOST_KEYS = 500


class Direct:
    """One statement whose parameters are `bindparam`s, or the columns of an insert. Make it once, at import.

    Values and results pass as the driver takes and gives them: no type of SQLAlchemy's converts them, so this is for
    numbers, texts and bytes. Errors are SQLAlchemy's. The rule on workspaces is the caller's to keep.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._text = ""
        self._names: tuple[str, ...] = ()
        self._constants: dict[str, Any] = {}

    def rows(self, tx: Tx, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """The rows, as tuples."""
        if tx.dialect.name != "sqlite":
            cursor: Any = tx.execute(self._statement, parameters or {}).cursor
            return list(cursor.fetchall())
        connection = self._prepare(tx)
        values = self._values(parameters or {})
        try:
            return connection.execute(self._text, values).fetchall()
        except sqlite3.Error as error:
            raise _wrapped(tx, self._text, values, error) from error

    def chunks(self, tx: Tx, parameters: Mapping[str, Any], size: int) -> Iterator[list[Any]]:
        """The rows, so many at a time: a long result never stands in memory as a whole."""
        if tx.dialect.name != "sqlite":
            result = tx.execute(self._statement, parameters, execution_options={"yield_per": size})
            yield from (list(part) for part in result.partitions())
            return
        connection = self._prepare(tx)
        values = self._values(parameters)
        try:
            cursor = connection.execute(self._text, values)
            while rows := cursor.fetchmany(size):
                yield rows
        except sqlite3.Error as error:
            raise _wrapped(tx, self._text, values, error) from error

    def run(self, tx: Tx, *parameters: Mapping[str, Any]) -> None:
        """Run it for each set of parameters, in order."""
        if tx.dialect.name != "sqlite":
            tx.execute(self._statement, list(parameters))
            return
        connection = self._prepare(tx)
        values = [self._values(one) for one in parameters]
        try:
            connection.executemany(self._text, values)
        except sqlite3.Error as error:
            raise _wrapped(tx, self._text, values, error) from error

    def _prepare(self, tx: Tx) -> sqlite3.Connection:
        if not self._text:
            assert isinstance(self._statement, ClauseElement)
            compiled: Any = self._statement.compile(dialect=tx.dialect)
            self._names = tuple(compiled.positiontup)
            self._constants = {name: value for name, value in compiled.params.items() if value is not None}
            self._text = str(compiled)  # last: from here on other threads take it as made
        return _driver(tx)

    def _values(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(
            parameters[name] if name in parameters else self._constants[name] for name in self._names
        )


class DirectIn:
    """The rows of a query whose column has one of some values. Of one value, which is asked for most, as `Direct`."""

    def __init__(self, query: Select[Any], column: Column[Any]) -> None:
        self._one = Direct(query.where(column == bindparam("one_value")))
        self._many = query.where(column.in_(bindparam("values", expanding=True)))

    def rows(self, tx: Tx, parameters: Mapping[str, Any], values: Sequence[Any]) -> list[Any]:
        """The rows; of more than 500 values in the query's order for each 500 of them."""
        if len(values) == 1:
            return self._one.rows(tx, {**parameters, "one_value": values[0]})
        found: list[Any] = []
        for at in range(0, len(values), _MOST_KEYS):
            found += tx.execute(self._many, {**parameters, "values": values[at : at + _MOST_KEYS]}).all()
        return found


class Inserts:
    """New rows of one table, many at once: tuples of the named columns, all of them if none is named. As `Direct`.

    With `skip_taken`, rows whose key is taken are left out, also when another transaction takes it meanwhile.
    """

    def __init__(self, table: Table, *columns: str, skip_taken: bool = False) -> None:
        self._table, self._names, self._skip_taken = table, columns or tuple(table.c.keys()), skip_taken
        self._at_once = _MOST_VALUES // len(self._names)
        self._text, self._many = "", ""

    def run(self, tx: Tx, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert the rows, in order; how many were."""
        if not rows:
            return 0
        if tx.dialect.name != "sqlite":
            return self._by_core(tx, rows)
        if not self._text:
            self._prepare(tx)
        connection, done = _driver(tx), 0
        whole = len(rows) - len(rows) % self._at_once
        try:
            for first in range(0, whole, self._at_once):
                values = list(chain.from_iterable(rows[first : first + self._at_once]))
                done += connection.execute(self._many, values).rowcount
            if whole < len(rows):
                done += connection.executemany(self._text, rows[whole:]).rowcount
        except sqlite3.Error as error:
            raise _wrapped(tx, self._text, rows, error) from error
        return done

    def _prepare(self, tx: Tx) -> None:
        text = str(insert(self._table).compile(dialect=tx.dialect, column_keys=list(self._names)))
        head, places = text.rsplit("VALUES ", 1)
        end = " ON CONFLICT DO NOTHING" if self._skip_taken else ""
        self._many = f"{head}VALUES {', '.join([places] * self._at_once)}{end}"
        self._text = text + end  # last: from here on other threads take it as made

    def _by_core(self, tx: Tx, rows: Sequence[tuple[Any, ...]]) -> int:
        statement = postgresql.insert(self._table)
        if self._skip_taken:
            statement = statement.on_conflict_do_nothing()
        values = [dict(zip(self._names, row, strict=True)) for row in rows]
        return tx.execute(statement, values, execution_options={"preserve_rowcount": True}).rowcount


def _driver(tx: Tx) -> sqlite3.Connection:
    """The driver's connection, in a transaction: SQLAlchemy begins one at its own statements alone."""
    if not tx.in_transaction():
        tx.begin()
    connection = tx.connection.driver_connection
    assert isinstance(connection, sqlite3.Connection)
    return connection


def _wrapped(tx: Tx, text: str, values: Sequence[Any], error: sqlite3.Error) -> BaseException:
    return DBAPIError.instance(text, values, error, sqlite3.Error, dialect=tx.dialect)
