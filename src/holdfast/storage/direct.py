"""Statements of the hottest paths, run on SQLite by the driver itself: 4 us instead of 55.

SQLAlchemy's bookkeeping costs more than SQLite's work where a statement reads or writes a row by its key. The statement is
still written in Core, and compiled once; on PostgreSQL, where the way to the server costs more, Core runs it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Executable
from sqlalchemy.exc import DBAPIError

from holdfast.storage.database import Tx

__all__ = ["Direct"]


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
            raise self._wrapped(tx, values, error) from error

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
            raise self._wrapped(tx, values, error) from error

    def _prepare(self, tx: Tx) -> sqlite3.Connection:
        """The driver's connection, in a transaction: SQLAlchemy begins one at its own statements alone."""
        if not self._text:
            assert isinstance(self._statement, ClauseElement)
            compiled: Any = self._statement.compile(dialect=tx.dialect)
            self._names = tuple(compiled.positiontup)
            self._constants = {name: value for name, value in compiled.params.items() if value is not None}
            self._text = str(compiled)  # last: from here on other threads take it as made
        if not tx.in_transaction():
            tx.begin()
        connection = tx.connection.driver_connection
        assert isinstance(connection, sqlite3.Connection)
        return connection

    def _values(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(
            parameters[name] if name in parameters else self._constants[name] for name in self._names
        )

    def _wrapped(self, tx: Tx, values: Sequence[Any], error: sqlite3.Error) -> BaseException:
        return DBAPIError.instance(self._text, values, error, sqlite3.Error, dialect=tx.dialect)
