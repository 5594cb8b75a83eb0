"""Rows in the form that an ONNX session takes. The server's runtime and the parity check feed alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy

__all__ = ["TENSOR", "Feed"]

TENSOR = "holdfast_features"  # the input of a model that takes all columns as one matrix
_DTYPES: dict[str, Any] = {
    "tensor(double)": numpy.float64,
    "tensor(float)": numpy.float32,
    "tensor(int64)": numpy.int64,
    "tensor(bool)": numpy.bool_,
    "tensor(string)": numpy.object_,
}


class Feed:
    """Turns columns into the arrays of a session's inputs. Missing text is the empty string."""

    def __init__(self, session: Any, names: Sequence[str]) -> None:
        """session: an onnxruntime.InferenceSession. names: the columns in the order of the signature."""
        self._inputs = [(each.name, _DTYPES[each.type]) for each in session.get_inputs()]
        self._names = list(names)
        self._tensor = [name for name, _ in self._inputs] == [TENSOR]
        is_text = self._tensor and self._inputs[0][1] is numpy.object_
        self._matrix = self._inputs[0] if self._tensor and not is_text else None
        width = len(self._names) if self._tensor else 1
        self._one = {name: numpy.empty((1, width), dtype=dtype) for name, dtype in self._inputs}

    def __call__(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """The arrays of one run: (rows, 1) per column, or one (rows, columns) matrix."""
        if self._tensor:
            name, dtype = self._inputs[0]
            return {name: self._array([columns[each] for each in self._names], dtype).T}
        return {name: self._array([columns[name]], dtype).T for name, dtype in self._inputs}

    def rows(self, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """The same from rows in the order of the signature. A single row fills arrays that the next call fills again,
        so one thread alone calls this.
        """
        if self._matrix is not None:
            name, dtype = self._matrix
            if len(rows) > 1:
                return {name: numpy.array(rows, dtype=dtype)}
            self._one[name][0] = rows[0]
            return self._one
        columns = dict(zip(self._names, zip(*rows, strict=True), strict=True))
        if len(rows) > 1 or self._tensor:
            return self(columns)
        for name, array in self._one.items():
            (value,) = columns[name]
            array[0, 0] = "" if value is None else value
        return self._one

    def _array(self, rows: list[Sequence[Any]], dtype: Any) -> Any:
        if dtype is numpy.object_:
            rows = [["" if value is None else value for value in values] for values in rows]
        return numpy.array(rows, dtype=dtype)
