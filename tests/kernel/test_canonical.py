"""Canonical JSON: one byte string per value."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.errors import InvalidInput

SAFE = 2**53 - 1
texts = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def shuffled(value: Any) -> Any:
    """The same value with its objects' keys in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(item)) for key, item in value.items()]
        random.Random(1).shuffle(items)
        return dict(items)
    return [shuffled(item) for item in value] if isinstance(value, list) else value


def test_a_golden_value() -> None:
    value = {"b": [1, True, None], "a": 'é"\n\x01', "": {}}
    assert canonical_json(value) == '{"":{},"a":"é\\"\\n\\u0001","b":[1,true,null]}'.encode()


def test_keys_are_in_the_order_of_rfc_8785() -> None:
    """The example of RFC 8785, section 3.2.3: UTF-16 code units, so the emoji stands before U+FB33."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = json.loads(canonical_json(dict.fromkeys(keys, 0)))
    assert list(ordered) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@given(values)
def test_equal_values_give_equal_bytes_and_come_back(value: Any) -> None:
    data = canonical_json(value)
    assert canonical_json(shuffled(value)) == data
    assert json.loads(data) == value
    assert canonical_json(json.loads(data)) == data


@pytest.mark.parametrize("value", [1.0, float("nan"), {"a": [0.5]}, b"bytes", {1}, object()])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="canonical"):
        canonical_json(value)


@pytest.mark.parametrize("value", [SAFE + 1, -SAFE - 1, 10**400])
def test_integers_beyond_a_double_are_refused(value: int) -> None:
    assert canonical_json([SAFE, -SAFE]) == f"[{SAFE},{-SAFE}]".encode()
    with pytest.raises(InvalidInput, match="beyond"):
        canonical_json({"n": value})


def test_keys_that_are_not_text_are_refused() -> None:
    with pytest.raises(InvalidInput, match="key 1 "):
        canonical_json({1: "one"})


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}])
def test_half_a_surrogate_pair_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="surrogate"):
        canonical_json(value)


def test_bottomless_nesting_is_refused() -> None:
    value: list[Any] = []
    for _ in range(5_000):
        value = [value]
    with pytest.raises(InvalidInput, match="deeper"):
        canonical_json(value)


@pytest.mark.parametrize("inner", [1, "text", None, [], {}])
def test_a_hundred_levels_are_the_most(inner: Any) -> None:
    value = inner
    for level in range(100):
        value = [value] if level % 2 else {"key": value}
    assert json.loads(canonical_json(value)) == value
    with pytest.raises(InvalidInput, match="deeper"):
        canonical_json([value])
