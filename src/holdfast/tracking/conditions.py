"""Clauses and orders as conditions on columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, exists, false, not_, or_, select

from holdfast.storage.patterns import matches
from holdfast.tracking.query import Clause, Order

__all__ = ["compare", "compare_stored", "sort_by"]


def sort_by(
    column: ColumnElement[Any], order: Order, is_absent: ColumnElement[bool] | None = None
) -> list[ColumnElement[Any]]:
    """What is absent last, NaN (NULL) before it, numbers before that, in both directions."""
    last = [] if is_absent is None else [is_absent]
    return [*last, column.is_(None), column.desc() if order.descending else column.asc()]


def compare_stored(
    key: ColumnElement[Any], has_key: Sequence[ColumnElement[bool]], value: ColumnElement[Any], clause: Clause
) -> ColumnElement[bool]:
    """Whether there is a row of the key whose value compares so; for IS NULL, whether there is none."""
    if clause.operator == "IS NULL":
        return not_(exists(select(key).where(*has_key)))
    if clause.operator == "IS NOT NULL":
        return exists(select(key).where(*has_key))
    return exists(select(key).where(*has_key, compare(value, clause)))


_COMPARISONS: dict[str, Callable[[ColumnElement[Any], Any], ColumnElement[bool]]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: or_(column != value, column.is_(None)),
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    "LIKE": lambda column, value: matches(column, value, fold=False),
    "ILIKE": lambda column, value: matches(column, value, fold=True),
    "IN": lambda column, value: column.in_(value) if value else false(),
    "NOT IN": lambda column, value: column.not_in(value),
}


def compare(column: ColumnElement[Any], clause: Clause) -> ColumnElement[bool]:
    """Whether a column compares as the clause says; NaN (NULL) differs from every value."""
    return _COMPARISONS[clause.operator](column, clause.value)
