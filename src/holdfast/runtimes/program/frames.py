"""Rows in the form that a model was fitted on: a data frame, or a matrix of numbers."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["NUMBERS", "to_frame", "typed"]

NUMBERS = ("double", "long", "boolean")


def typed(values: Sequence[Any], kind: str) -> list[Any]:
    """Values read from JSON as Python values of the type: NaN for a missing double, None for missing text."""
    if kind == "double":
        return [math.nan if value is None else float(value) for value in values]
    if kind == "long":
        return [int(value) for value in values]
    if kind == "boolean":
        return [bool(value) for value in values]
    return list(values)


def to_frame(
    columns: Mapping[str, Sequence[Any]], types: Mapping[str, str], names: Sequence[str] | None
) -> Any:
    """The rows as the model takes them.

    names: the model's `feature_names_in_`; a model that has none and takes only numbers was fitted on a matrix and
    gets one of float64 (rows, columns). Any other gets a pandas frame, or a Polars one where pandas is missing.
    """
    if names is None and all(types[name] in NUMBERS for name in columns):
        import numpy  # here, so that a model in a lean environment starts fast

        return numpy.array([columns[name] for name in columns], dtype=numpy.float64).T
    order = list(names) if names is not None and set(names) == set(columns) else list(columns)
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        polars = importlib.import_module("polars")
        return polars.DataFrame([_polars(polars, name, columns[name], types[name]) for name in order])
    return pandas.DataFrame({name: _pandas(pandas, columns[name], types[name]) for name in order})


def _pandas(pandas: Any, values: Sequence[Any], kind: str) -> Any:
    if kind == "string":
        if int(pandas.__version__.split(".")[0]) >= 3:
            return pandas.Series(values, dtype="str")
        # Before pandas 3, text columns are objects, and what is missing in them is NaN, as read_csv gives it.
        return pandas.Series([math.nan if value is None else value for value in values], dtype="object")
    if kind == "datetime":
        return pandas.to_datetime(pandas.Series(values, dtype="Int64"), unit="ms")
    return pandas.Series(values, dtype={"double": "float64", "long": "int64", "boolean": "bool"}[kind])


def _polars(polars: Any, name: str, values: Sequence[Any], kind: str) -> Any:
    if kind == "datetime":
        return polars.Series(name, values, dtype=polars.Int64).cast(polars.Datetime("ms"))
    dtypes = {
        "double": polars.Float64,
        "long": polars.Int64,
        "boolean": polars.Boolean,
        "string": polars.String,
    }
    return polars.Series(name, values, dtype=dtypes[kind])
