"""Tables as columns: pandas and polars frames, dicts of columns, lists of rows; imports neither library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone
from typing import Any

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.times import iso

__all__ = ["columns_of", "infer_type", "plain", "typed_columns"]

Columns = dict[str, list[Any]]


def columns_of(data: Any) -> Columns:
    """The columns of a table as plain lists, None for missing. Raises InvalidInput when it is no table."""
    return {name: values for name, (_, values) in typed_columns(data).items()}


def typed_columns(data: Any) -> dict[str, tuple[str, list[Any]]]:
    """Each column's type (double, long, string, boolean, datetime) and its plain values, None for missing.

    Types come from the dtypes of a frame (categorical is string) and from the values otherwise.
    """
    library = type(data).__module__.partition(".")[0]
    if library == "polars" and hasattr(data, "collect_schema") and hasattr(data, "collect"):
        data = data.collect()
    if library == "polars":
        return _unique((name, *_polars(name, data[name])) for name in data.columns)
    if library == "pandas" and hasattr(data, "columns"):
        return _unique((name, *_pandas(name, data[name])) for name in _names(data.columns))
    if isinstance(data, Mapping):
        return _same_length({str(name): _plain_column(str(name), column) for name, column in data.items()})
    if (
        isinstance(data, Sequence)
        and not isinstance(data, (str, bytes))
        and all(isinstance(r, Mapping) for r in data)
    ):
        names = list(dict.fromkeys(str(name) for row in data for name in row))
        return {name: _plain_column(name, [row.get(name) for row in data]) for name in names}
    raise InvalidInput(
        f"A {type(data).__name__} is not a table.",
        hint="Give a pandas or polars frame, a dict of columns, or a list of dicts.",
    )


def infer_type(name: str, values: Sequence[Any]) -> str:
    """The type of plain values; ints and floats mixed, and no value at all, are double."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds or kinds <= {int, float}:
        return "long" if kinds == {int} else "double"
    if kinds == {bool}:
        return "boolean"
    if kinds == {str}:
        return "string"
    if kinds <= {datetime, date}:
        return "datetime"
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise InvalidInput(f"The column {name!r} holds values of types {found}, which have no common type.")


def plain(value: Any) -> Any:
    """A value as JSON can hold it: NaN, NaT and NA become None, times ISO 8601 in UTC, numpy scalars
    plain.
    """
    if value is None or type(value) in (str, int, bool):
        return value
    if type(value) is float:
        return None if math.isnan(value) else value
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(type(value), "item") and getattr(value, "ndim", 0) == 0:
        return plain(value.item())
    if isinstance(value, (str, int, float)):
        return plain((str if isinstance(value, str) else int if isinstance(value, int) else float)(value))
    if hasattr(type(value), "__float__"):
        return plain(float(value))
    return value


def _iso(value: datetime) -> str:
    moment = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    delta = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return iso((delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000)


def _polars(name: str, column: Any) -> tuple[str, list[Any]]:
    dtype = column.dtype
    kind = type(dtype).__name__ if not isinstance(dtype, type) else dtype.__name__
    if dtype.is_integer():
        return "long", column.to_list()
    if dtype.is_float() or dtype.is_decimal():
        return "double", [None if value is None else plain(float(value)) for value in column.to_list()]
    if kind == "Boolean":
        return "boolean", column.to_list()
    if kind in ("String", "Utf8", "Categorical", "Enum"):
        return "string", [None if value is None else str(value) for value in column.to_list()]
    if kind in ("Date", "Datetime"):
        return "datetime", [plain(value) for value in column.to_list()]
    if kind == "Null":
        return "double", column.to_list()
    raise _unknown(name, dtype)


def _pandas(name: str, column: Any) -> tuple[str, list[Any]]:
    dtype = column.dtype
    kind = str(getattr(dtype, "kind", "O"))
    values = [plain(value) for value in column.tolist()]
    if str(dtype) == "category":
        return "string", [None if value is None else str(value) for value in values]
    if kind in "iu":
        return "long", values
    if kind == "f":
        return "double", values
    if kind == "b":
        return "boolean", values
    if kind == "M":
        return "datetime", values
    if kind == "O" or str(dtype) in ("string", "str"):
        return infer_type(name, values), values
    raise _unknown(name, dtype)


def _plain_column(name: str, column: Any) -> tuple[str, list[Any]]:
    library = type(column).__module__.partition(".")[0]
    if library == "polars":
        return _polars(name, column)
    if library == "pandas":
        return _pandas(name, column)
    if hasattr(column, "tolist"):
        column = column.tolist()
    if isinstance(column, (str, bytes)) or not isinstance(column, Sequence):
        raise InvalidInput(f"The column {name!r} is a {type(column).__name__}, not a list of values.")
    times = any(isinstance(value, (datetime, date)) for value in column)
    values = [plain(value) for value in column]
    return ("datetime" if times else infer_type(name, values)), values


def _names(names: Any) -> list[str]:
    listed = list(names)
    for name in listed:
        if not isinstance(name, str):
            raise InvalidInput(
                f"The column name {name!r} of the frame is not text.", hint="Rename the columns."
            )
        if listed.count(name) > 1:
            raise InvalidInput(f"The column {name!r} stands more than once in the frame.")
    return listed


def _unique(columns: Any) -> dict[str, tuple[str, list[Any]]]:
    return {name: (kind, values) for name, kind, values in columns}


def _same_length(columns: dict[str, tuple[str, list[Any]]]) -> dict[str, tuple[str, list[Any]]]:
    sizes = {len(values) for _, values in columns.values()}
    if len(sizes) > 1:
        shown = ", ".join(f"{name} {len(values)}" for name, (_, values) in list(columns.items())[:8])
        raise InvalidInput(f"The columns differ in length: {shown}.")
    return columns


def _unknown(name: str, dtype: Any) -> InvalidInput:
    return InvalidInput(
        f"The column {name!r} has the dtype {dtype}, which no model input can have.",
        hint="Use numbers, text, categories, booleans or times.",
    )
