"""JSON answers: records, and numbers that JSON lacks."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.web.responses import json_bytes


class Point(msgspec.Struct, frozen=True):
    value: float
    label: str | None = None


@pytest.mark.parametrize(
    ("value", "text"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (0.25, 0.25)]
)
def test_numbers_that_json_lacks_travel_as_texts(value: float, text: object) -> None:
    answer = json.loads(json_bytes({"points": [Point(value)], "pair": (value, 1)}))
    assert answer == {"points": [{"value": text, "label": None}], "pair": [text, 1]}


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10))  # fmt: skip
def test_every_answer_is_json(value: Any) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(json_bytes(value), parse_constant=refuse)
