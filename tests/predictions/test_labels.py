"""Labels as canonical text."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.kernel.errors import InvalidInput
from holdfast.predictions.labels import LabelReader, canonical_label


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (2.5, "2.5"),
        (1e300, "1e+300"),
        ("late", "late"),
        ("1", "1"),
    ],
)
def test_canonical_text(value: Any, text: str) -> None:
    assert canonical_label(value) == text


@pytest.mark.parametrize("value", [1, 1.0, True, "1", "1.0", "true", "TRUE"])
def test_every_spelling_of_one_means_the_class_1(value: Any) -> None:
    assert LabelReader(["0", "1"]).read(value) == "1"


@pytest.mark.parametrize("value", [True, 1, 1.0, "true", "True", "1"])
def test_every_spelling_of_true_means_the_boolean_class(value: Any) -> None:
    assert LabelReader(["false", "true"]).read(value) == "true"


def test_text_classes_match_exactly_before_numbers() -> None:
    reader = LabelReader(["01", "1"])
    assert reader.read("01") == "01"
    assert reader.read("1") == "1"


@pytest.mark.parametrize("value", ["late", 2, 0.5, False])
def test_a_label_outside_the_classes_is_refused_naming_them(value: Any) -> None:
    with pytest.raises(InvalidInput, match="none of the endpoint's classes") as caught:
        LabelReader(["yes", "no"]).read(value)
    assert "'yes', 'no'" in caught.value.hint


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), [1], {}])
def test_what_is_no_label_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput):
        LabelReader([]).read(value)


def test_regression_reads_numbers_only() -> None:
    reader = LabelReader([], "regression")
    assert [reader.read(value) for value in (3, 3.0, "3.50")] == ["3", "3", "3.5"]
    with pytest.raises(InvalidInput, match="not a number"):
        reader.read("soon")
    with pytest.raises(InvalidInput, match="not a number"):
        reader.read(True)
