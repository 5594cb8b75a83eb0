"""Values that are not of their column's type: SQLite keeps in a column whatever a damaged row says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from sqlalchemy import Column, Float, LargeBinary, Select, String, Table, func, literal_column, or_, select
from sqlalchemy.types import TypeEngine

from holdfast.storage.engine import Tx
from holdfast.storage.scope import ALL_WORKSPACES
from holdfast.storage.tables import metadata

__all__ = ["misplaced_values"]

_NAMED = 100


def misplaced_values(
    tx: Tx, tables: Iterable[str] | None = None, *, only_numbers: bool = False
) -> Iterator[str]:
    """The values of another type than their column's, each by its table, column and row; at most 100 of a table.

    `tables` are the names of the tables to look at; all without them. With `only_numbers`, their columns of whole
    numbers alone. PostgreSQL cannot hold such a value.
    """
    if tx.dialect.name != "sqlite":
        return
    for name in sorted(metadata.tables) if tables is None else tables:
        columns, query = _question(metadata.tables[name], only_numbers)
        for row, *found in tx.execute(query):
            for column, kind in zip(columns, found, strict=True):
                if kind not in _allowed(column):
                    what = f"{kind} in place of {_allowed(column)[0]}"
                    yield f"{name}.{column.name} in row {row} is {what}"


@cache
def _question(table: Table, only_numbers: bool) -> tuple[list[Column[Any]], Select[Any]]:
    """The columns that are looked at, and what asks for the rows with another type in one of them."""
    columns = [one for one in table.c if not only_numbers or _is_number(one)]
    kinds = [func.typeof(column).label(column.name) for column in columns]
    strange = or_(*(func.typeof(column).not_in(_allowed(column)) for column in columns))
    query = select(literal_column("rowid"), *kinds).select_from(table).where(strange).limit(_NAMED)
    return columns, query.execution_options(**ALL_WORKSPACES)


def _allowed(column: Column[Any]) -> list[str]:
    """The types that SQLite may tell of a column's values, the column's own first."""
    own = _own(column.type)
    return [*own, "null"] if column.nullable else own


def _is_number(column: Column[Any]) -> bool:
    return _own(column.type) == ["integer"]


def _own(kind: TypeEngine[Any]) -> list[str]:
    if isinstance(kind, String):
        return ["text"]
    if isinstance(kind, LargeBinary):
        return ["blob"]
    if isinstance(kind, Float):
        return ["real", "integer"]
    return ["integer"]
