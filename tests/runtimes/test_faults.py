"""Answers that can't be right, by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from holdfast.runtimes.program.faults import find_fault
from holdfast.runtimes.program.model import Answer


def fault(labels: Any, probabilities: Any = None, classes: Any = (0, 1)) -> str:
    given = None if probabilities is None else np.array(probabilities, dtype=float)
    return find_fault(Answer(np.array(labels), given), classes)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([0, 1], (0, 1)),
        ([0.0, 1.0], (0, 1)),
        ([True, False], (False, True)),
        (["a", "b"], ("a", "b", "c")),
        ([1.5, -2.0], None),
    ],
)
def test_labels_that_are_classes_and_finite_numbers_are_right(labels: Any, classes: Any) -> None:
    assert fault(labels, classes=classes) == ""


def test_probabilities_may_be_rounded() -> None:
    assert fault([0, 1], [[0.7, 0.30001], [1e-9, 1.0]]) == ""


@pytest.mark.parametrize(
    ("labels", "probabilities", "classes", "said"),
    [
        ([0, 7, 1], None, (0, 1), "predict gives 7 in 1 of 3 rows (row 1), which is not among the classes 0, 1"),
        (["a", "x", "y"], None, ("a", "b"), "predict gives 'x', 'y' in 2 of 3 rows (rows 1, 2)"),
        ([2], None, (0, 1), "predict gives 2 in row 0, "),
        ([math.nan, 1.0], None, (0, 1), "predict gives nan in 1 of 2 rows (row 0)"),
        ([9] * 8, None, (0, 1), "in 8 of 8 rows (rows 0, 1, 2, 3, 4 and 3 more)"),
        ([0], [[math.nan, 0.5]], (0, 1), "predict_proba gives NaN or an infinite number in row 0"),
        ([0, 0], [[0.5, 0.5], [1.5, -0.5]], (0, 1), "outside 0 to 1 in 1 of 2 rows (row 1)"),
        ([0, 0], [[0.5, 0.5], [0.2, 0.1]], (0, 1), "do not sum to 1 in 1 of 2 rows (row 1): the first sums to 0.3"),
        ([0], [[0.2, 0.3, 0.5]], (0, 1), "predict_proba gives the shape (1, 3)"),
        ([1.0, math.inf], None, None, "predict gives inf in 1 of 2 rows (row 1)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(labels: Any, probabilities: Any, classes: Any, said: str) -> None:
    assert said in fault(labels, probabilities, classes)
