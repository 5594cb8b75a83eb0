"""Rows as callers send them, checked against a signature and brought to its types."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.times import parse_time
from holdfast.runtimes.records import Column, InputType, Signature

__all__ = ["RowCheck", "check_columns", "check_rows"]

_NAN = math.nan
_LONG = 2**63
_SHOWN = 5
_MOST_PLANS = 256
_Plan = list[tuple[int, Callable[[Any], Any]]]


def check_columns(signature: Signature, columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """The columns in the order of the signature with Python values of its types.

    double: float, NaN for null, never infinite. long: int. string: str or None. boolean: bool. datetime: ms
    since the epoch, UTC, or None. An int is a double; an integral float is a long; 0 and 1 are no booleans,
    numbers in text are no numbers. Raises InvalidInput naming the column, the row (from 0) and the value.
    """
    _check_names(signature, columns)
    rows = len(columns[signature.inputs[0].name])
    checked: dict[str, list[Any]] = {}
    for column in signature.inputs:
        values = columns[column.name]
        if len(values) != rows:
            raise InvalidInput(
                f"The column {column.name!r} has {len(values)} rows, {signature.inputs[0].name!r} has {rows}."
            )
        checked[column.name] = _check_values(column, values)
    return checked


def check_rows(signature: Signature, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The same from a list of rows, each a mapping of column to value; every row must have every column."""
    names = [column.name for column in signature.inputs]
    for row in rows:
        if row.keys() != set(names):
            _check_names(signature, row)
    return check_columns(signature, {name: [row[name] for row in rows] for name in names})


class RowCheck:
    """Checks single rows that came as JSON, in which no number is infinite.

    A row's types decide at once whether it fits and which of its values to convert, so that is worked out once per
    combination of types.
    """

    def __init__(self, signature: Signature, never_missing: Sequence[str] = ()) -> None:
        """never_missing: columns in which a missing value is refused."""
        self._columns = [(column.type, column.name in never_missing) for column in signature.inputs]
        self._plans: dict[tuple[type, ...], _Plan | None] = {}

    def check(self, values: list[Any]) -> list[Any] | None:
        """The row, given in the order of the signature, as `check_columns` would give it.

        None for a row that `check_columns` has to convert or to refuse.
        """
        types = tuple(map(type, values))
        try:
            plan = self._plans[types]
        except KeyError:
            plan = self._plan(types)
            if len(self._plans) < _MOST_PLANS:
                self._plans[types] = plan
        if not plan:
            return values if plan is not None else None
        values = values.copy()
        try:
            for at, convert in plan:
                values[at] = convert(values[at])
        except (ValueError, OverflowError):
            return None
        return values

    def _plan(self, types: tuple[type, ...]) -> _Plan | None:
        if len(types) != len(self._columns):
            return None
        plan: _Plan = []
        for at, (given, (wanted, is_never_missing)) in enumerate(zip(types, self._columns, strict=True)):
            convert = _CONVERSIONS.get((wanted, given))
            if convert is None or (given is type(None) and is_never_missing):
                return None
            if convert is not _keep:
                plan.append((at, convert))
        return plan


def _check_names(signature: Signature, given: Mapping[str, Any]) -> None:
    names = [column.name for column in signature.inputs]
    missing = [name for name in names if name not in given]
    extra = [str(name) for name in given if name not in set(names)]
    if not missing and not extra:
        return
    parts = [f"is missing {_listed(missing)}"] if missing else []
    parts += [f"has {_listed(extra)}, which the model does not know"] if extra else []
    near = [get_close_matches(name, missing, 1) for name in extra] if missing else []
    guesses = [f"{found[0]!r} for {name!r}" for name, found in zip(extra, near, strict=False) if found]
    hint = f"Did you mean {_listed_text(guesses)}?" if guesses else f"The model takes {_listed(names, 40)}."
    raise InvalidInput(
        f"The input {' and '.join(parts)}.", hint=hint, details={"missing": missing, "extra": extra}
    )


def _listed(names: Sequence[str], most: int = _SHOWN) -> str:
    return _listed_text([repr(name) for name in names], most)


def _listed_text(texts: Sequence[str], most: int = _SHOWN) -> str:
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def _check_values(column: Column, values: Sequence[Any]) -> list[Any]:
    ready, convert = _TYPES[column.type]
    if ready(set(map(type, values)), values):
        return list(values)
    checked = []
    for row, value in enumerate(values):
        try:
            checked.append(convert(value))
        except (TypeError, ValueError, InvalidInput):
            raise _wrong_type(column, row, value) from None
    return checked


def _wrong_type(column: Column, row: int, value: Any) -> InvalidInput:
    shown = repr(value)[:80]
    given = "null" if value is None else f"{shown} ({type(value).__name__})"
    return InvalidInput(
        f"The column {column.name!r} takes {_WORDS[column.type]}; row {row} has {given}.",
        hint=_HINTS.get((column.type, type(value)), ""),
        details={"column": column.name, "row": row, "type": column.type, "value": shown},
    )


def _double(value: Any) -> float:
    if value is None:
        return _NAN
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    try:
        number = float(value)
    except OverflowError:
        raise ValueError from None
    if math.isinf(number):
        raise ValueError
    return number


def _long(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    if not -_LONG <= value < _LONG:
        raise ValueError
    return value


def _string(value: Any) -> str | None:
    if isinstance(value, float) and math.isnan(value):
        return None
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _datetime(value: Any) -> int | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return parse_time(value)


# Per type: whether values of these Python types are ready as they are (the usual case, found at C speed), and the
# conversion of one value.
_TYPES: dict[InputType, tuple[Callable[[set[type], Sequence[Any]], bool], Callable[[Any], Any]]] = {
    "double": (lambda types, values: types == {float} and not any(map(math.isinf, values)), _double),
    "long": (lambda types, values: types == {int} and -_LONG <= min(values) <= max(values) < _LONG, _long),
    "string": (lambda types, values: types <= {str, type(None)}, _string),
    "boolean": (lambda types, values: types == {bool}, _boolean),
    "datetime": (lambda types, values: False, _datetime),
}


def _keep(value: Any) -> Any:
    return value


# What a value of a Python type needs to be one of a signature's type; other pairs are refused or rare.
_CONVERSIONS: dict[tuple[InputType, type], Callable[[Any], Any]] = {
    ("double", float): _keep,
    ("double", int): float,
    ("double", type(None)): lambda value: _NAN,
    ("long", int): _long,
    ("string", str): _keep,
    ("string", type(None)): _keep,
    ("boolean", bool): _keep,
}
_WORDS: dict[InputType, str] = {
    "double": "finite numbers",
    "long": "whole numbers",
    "string": "text",
    "boolean": "true or false",
    "datetime": "times (ISO 8601 text or UTC milliseconds)",
}
_HINTS: dict[tuple[InputType, type], str] = {
    ("double", str): "Send the number without quotes.",
    ("long", str): "Send the number without quotes.",
    ("long", float): "Only a float without a fraction is a whole number.",
    ("long", type(None)): "Its reference data had no missing values, so the model cannot take one.",
    ("boolean", type(None)): "Its reference data had no missing values, so the model cannot take one.",
    ("boolean", int): "Send true or false.",
    ("string", int): "Send the value in quotes.",
}
