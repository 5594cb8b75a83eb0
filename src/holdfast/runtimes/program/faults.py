"""What is wrong with an answer that can't be right: labels that are no classes, probabilities that are none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy

from .model import Answer, plain

__all__ = ["SUM_TOLERANCE", "find_fault"]

SUM_TOLERANCE = (
    1e-3  # of the sum of a row's probabilities, and of 0 and 1: float32 over 1,000 classes errs by less
)
_NAMED = 5


def find_fault(answer: Answer, classes: Sequence[Any] | None) -> str:
    """What is wrong, naming values and rows (from 0); empty when nothing is.

    A classifier's labels are of its classes, and the probabilities of a row lie within 0 and 1 and sum to 1. A
    regression (classes is None) gives finite numbers.
    """
    labels = plain(answer.label)
    if classes is None:
        wrong = [
            row for row, label in enumerate(labels) if isinstance(label, float) and not math.isfinite(label)
        ]
        return f"predict gives {_values(labels, wrong)} in {_rows(wrong, len(labels))}" if wrong else ""
    known = set(classes)
    wrong = [row for row, label in enumerate(labels) if label not in known]
    if wrong:
        said = _values(labels, wrong)
        return (
            f"predict gives {said} in {_rows(wrong, len(labels))}, which is not among the classes "
            f"{_listed(classes)}"
        )
    return "" if answer.probabilities is None else _fault_of_probabilities(answer, len(classes))


def _fault_of_probabilities(answer: Answer, classes: int) -> str:
    given = answer.probabilities
    if given.shape != (len(answer.label), classes):
        return (
            f"predict_proba gives the shape {given.shape}, not one row per row with a number for each of the "
            f"{classes} classes"
        )
    finite = numpy.isfinite(given).all(axis=1)
    if not finite.all():
        wrong = numpy.flatnonzero(~finite).tolist()
        return f"predict_proba gives NaN or an infinite number in {_rows(wrong, len(given))}"
    outside = (given < -SUM_TOLERANCE).any(axis=1) | (given > 1 + SUM_TOLERANCE).any(axis=1)
    if outside.any():
        wrong = numpy.flatnonzero(outside).tolist()
        return f"predict_proba gives numbers outside 0 to 1 in {_rows(wrong, len(given))}"
    sums = given.sum(axis=1)
    apart = numpy.abs(sums - 1) > SUM_TOLERANCE
    if apart.any():
        wrong = numpy.flatnonzero(apart).tolist()
        return (
            f"the probabilities do not sum to 1 in {_rows(wrong, len(given))}: the first sums to "
            f"{float(sums[wrong[0]]):.4g}"
        )
    return ""


def _values(labels: Sequence[Any], rows: Iterable[int]) -> str:
    return _listed(list(dict.fromkeys(repr(labels[row]) for row in rows)), shown=str)


def _rows(wrong: Sequence[int], count: int) -> str:
    numbers = _listed(wrong, shown=str)
    named = f"row {numbers}" if len(wrong) == 1 else f"rows {numbers}"
    return named if count == 1 or count == len(wrong) <= _NAMED else f"{len(wrong)} of {count} rows ({named})"


def _listed(values: Sequence[Any], shown: Any = repr) -> str:
    more = f" and {len(values) - _NAMED} more" if len(values) > _NAMED else ""
    return ", ".join(shown(value) for value in values[:_NAMED]) + more
