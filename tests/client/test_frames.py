from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
import pandas as pd
import polars as pl
import pytest

from holdfast.client.frames import columns_of, typed_columns
from holdfast.kernel.errors import InvalidInput

_MOMENT = datetime(2013, 1, 1, 12, tzinfo=timezone.utc)


def test_pandas_dtypes() -> None:
    frame = pd.DataFrame(
        {
            "d": [1.5, np.nan], "l": [1, 2], "b": [True, False], "s": ["x", None],
            "c": pd.Categorical(["x", "y"]), "n": pd.array([1, None], dtype="Int64"),
            "t": pd.to_datetime([_MOMENT, None]),
        }
    )  # fmt: skip
    assert typed_columns(frame) == {
        "d": ("double", [1.5, None]), "l": ("long", [1, 2]), "b": ("boolean", [True, False]),
        "s": ("string", ["x", None]), "c": ("string", ["x", "y"]), "n": ("long", [1, None]),
        "t": ("datetime", ["2013-01-01T12:00:00Z", None]),
    }  # fmt: skip


def test_polars_dtypes() -> None:
    frame = pl.DataFrame(
        {"d": [1.5, float("nan")], "l": [1, None], "b": [True, None], "s": ["x", None], "t": [_MOMENT, None]}
    ).with_columns(pl.col("s").cast(pl.Categorical).alias("c"))
    assert typed_columns(frame) == {
        "d": ("double", [1.5, None]), "l": ("long", [1, None]), "b": ("boolean", [True, None]),
        "s": ("string", ["x", None]), "t": ("datetime", ["2013-01-01T12:00:00Z", None]),
        "c": ("string", ["x", None]),
    }  # fmt: skip
    assert columns_of(frame.lazy()) == columns_of(frame)


def test_plain_columns_and_rows() -> None:
    assert typed_columns({"a": [1, 2.5], "b": np.array([1, 2]), "c": ["x", None]}) == {
        "a": ("double", [1, 2.5]), "b": ("long", [1, 2]), "c": ("string", ["x", None]),
    }  # fmt: skip
    assert columns_of([{"a": 1}, {"a": 2, "b": "x"}]) == {"a": [1, 2], "b": [None, "x"]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": [1], "b": [1, 2]}, "differ in length"),
        ({"a": "text"}, "not a list"),
        ({"a": [1, "x"]}, "types int, str"),
        (np.zeros((2, 2)), "ndarray is not a table"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than once"),
        (pd.DataFrame([[1, 2]]), "column name 0"),
        (pl.DataFrame({"a": [[1]]}), "List"),
        (pd.DataFrame({"a": [1j]}), "complex128"),
    ],
)
def test_what_is_no_table_is_refused(data: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        columns_of(data)
