"""Rows against a signature: what is accepted, what it becomes, and how a refusal reads."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.kernel.errors import InvalidInput
from holdfast.runtimes.records import Column, Output, Signature
from holdfast.runtimes.validation import RowCheck, check_columns, check_rows

SIGNATURE = Signature(
    inputs=(
        Column("distance", "double"),
        Column("hour", "long"),
        Column("carrier", "string"),
        Column("holiday", "boolean"),
        Column("when", "datetime"),
    ),
    outputs=(Output("label", "long"),),
)
ROW: dict[str, Any] = {"distance": 1.5, "hour": 8, "carrier": "UA", "holiday": False, "when": "2013-01-01"}


def one(name: str, value: Any) -> Any:
    return check_rows(SIGNATURE, [{**ROW, name: value}])[name][0]


def test_columns_come_in_the_order_of_the_signature() -> None:
    columns = check_columns(SIGNATURE, {name: [value] for name, value in reversed(ROW.items())})
    assert list(columns) == ["distance", "hour", "carrier", "holiday", "when"]
    assert columns["when"] == [1_356_998_400_000]


@pytest.mark.parametrize(
    ("name", "value", "becomes"),
    [
        ("distance", 3, 3.0),
        ("hour", 8.0, 8),
        ("hour", -(2**63), -(2**63)),
        ("carrier", None, None),
        ("carrier", math.nan, None),
        ("when", 1_356_998_400_000, 1_356_998_400_000),
        ("when", "2013-01-01T05:00:00+05:00", 1_356_998_400_000),
        ("when", None, None),
    ],
)
def test_values_are_brought_to_the_type(name: str, value: Any, becomes: Any) -> None:
    got = one(name, value)
    assert got == becomes and type(got) is type(becomes)


@pytest.mark.parametrize("missing", [None, math.nan])
def test_a_missing_double_is_nan(missing: Any) -> None:
    assert math.isnan(one("distance", missing))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("distance", "1.5"),
        ("distance", True),
        ("distance", math.inf),
        ("distance", -math.inf),
        ("distance", 10**400),
        ("distance", [1.0]),
        ("hour", 8.5),
        ("hour", None),
        ("hour", math.nan),
        ("hour", True),
        ("hour", "8"),
        ("hour", 2**63),
        ("carrier", 7),
        ("carrier", ["UA"]),
        ("holiday", 0),
        ("holiday", None),
        ("holiday", "true"),
        ("when", "yesterday"),
        ("when", True),
        ("when", math.inf),
    ],
)
def test_a_refusal_names_column_row_and_value(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_rows(SIGNATURE, [ROW, {**ROW, name: value}])
    assert f"'{name}'" in refused.value.message and "row 1" in refused.value.message
    assert refused.value.details["column"] == name and refused.value.details["row"] == 1


def test_missing_and_extra_columns_are_named_with_a_guess() -> None:
    given_row = {**ROW, "carier": "UA"}
    del given_row["carrier"]
    with pytest.raises(InvalidInput) as refused:
        check_rows(SIGNATURE, [ROW, given_row])
    assert "is missing 'carrier' and has 'carier'" in refused.value.message
    assert refused.value.hint == "Did you mean 'carrier' for 'carier'?"
    assert refused.value.details == {"missing": ["carrier"], "extra": ["carier"]}


def test_columns_of_unequal_length_are_refused() -> None:
    columns: dict[str, list[Any]] = {name: [value] for name, value in ROW.items()}
    with pytest.raises(InvalidInput, match="'hour' has 2 rows, 'distance' has 1"):
        check_columns(SIGNATURE, {**columns, "hour": [1, 2]})


def test_no_rows_are_no_rows() -> None:
    assert check_rows(SIGNATURE, []) == {name: [] for name in ROW}


@given(st.lists(st.one_of(st.floats(allow_infinity=False), st.integers(-(2**53), 2**53), st.none())))
def test_any_finite_numbers_become_equal_floats(values: list[float | int | None]) -> None:
    signature = Signature(inputs=(Column("x", "double"),), outputs=())
    (got,) = check_columns(signature, {"x": values}).values()
    assert all(type(value) is float for value in got)
    for before, after in zip(values, got, strict=True):
        assert math.isnan(after) if before is None or before != before else before == after


EVERY_TYPE = Signature(
    tuple(Column(name, name) for name in ("double", "long", "string", "boolean")),  # type: ignore[arg-type]
    (),
)


@pytest.mark.parametrize(
    "row",
    [
        [1.5, 2, "a", True],
        [3, 2**63 - 1, "", False],
        [None, -(2**63), None, True],
    ],
)
def test_a_single_row_is_checked_as_columns_are(row: list[Any]) -> None:
    given = list(row)
    checked = RowCheck(EVERY_TYPE).check(row)
    names = [column.name for column in EVERY_TYPE.inputs]
    columns = check_columns(EVERY_TYPE, {name: [value] for name, value in zip(names, given, strict=True)})
    assert checked is not None
    assert repr(checked) == repr([values[0] for values in columns.values()])
    assert row == given


@pytest.mark.parametrize(
    "row",
    [
        ["1.5", 2, "a", True],
        [10**400, 2, "a", True],
        [1.5, 2**63, "a", True],
        [1.5, True, "a", True],
        [1.5, None, "a", True],
        [1.5, 2, 7, True],
        [1.5, 2, "a", 1],
        [1.5, 2, "a"],
        [[1.5], 2, "a", True],
    ],
)
def test_a_single_row_that_does_not_fit_is_left_to_the_check_that_says_why(row: list[Any]) -> None:
    assert RowCheck(EVERY_TYPE).check(row) is None


def test_a_missing_value_where_the_model_refuses_one_is_left_to_it_too() -> None:
    row = [None, 2, "a", True]
    assert RowCheck(EVERY_TYPE, ["double"]).check(row) is None
    assert RowCheck(EVERY_TYPE, ["string"]).check(row) is not None
