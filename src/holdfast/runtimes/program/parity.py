"""Whether the converted model answers as the original does: on the reference rows, and on what they may lack."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from .feed import Feed
from .model import Answer, Model, Refusal, plain

__all__ = ["ATOL", "RTOL", "Converted", "Verdict", "compare", "probe"]

ATOL = 1e-5  # of probabilities and regressions: float32 inside tree ensembles errs by about 1e-7
RTOL = 1e-5  # of regressions, whose scale is the target's
_PROBE_ROWS = 16
_UNSEEN = "holdfast: a text that no row has"

Columns = Mapping[str, Sequence[Any]]


class Verdict:
    """reason: what disagrees, empty when nothing does. differences: largest absolute difference per output."""

    def __init__(self) -> None:
        self.reason = ""
        self.rows = 0
        self.differences: dict[str, float] = {}
        self.mismatches = 0
        self.never_missing: list[str] = []


class Converted:
    """The converted model, asked like the original."""

    def __init__(self, session: Any, model: Model) -> None:
        self._session = session
        self._feed = Feed(session, list(model.types))
        self._probabilities = model.gives_probabilities
        outputs = [each.name for each in session.get_outputs()]
        self._outputs = outputs[: 2 if self._probabilities else 1]

    def predict(self, columns: Columns) -> Answer:
        """The answer for typed columns; whatever onnxruntime raises passes through."""
        given = self._session.run(self._outputs, self._feed(columns))
        return Answer(given[0].reshape(-1), given[1] if self._probabilities else None)


def compare(original: Answer, converted: Answer, classes: list[Any] | None) -> Verdict:
    """The verdict on the same rows.

    Probabilities may differ by ATOL, regressions by ATOL + RTOL * |original|; labels must be equal, except where
    the original's probabilities of both labels tie within 2 * ATOL.
    """
    verdict = Verdict()
    verdict.rows = len(original.label)
    if classes is None:
        _compare_numbers(verdict, original.label, converted.label)
        return verdict
    if original.probabilities is not None:
        _compare_probabilities(verdict, original.probabilities, converted.probabilities)
    _compare_labels(verdict, original, plain(converted.label), classes)
    return verdict


def probe(model: Model, converted: Converted, columns: Columns, verdict: Verdict) -> None:
    """Extend the verdict with what the reference rows need not show: missing values in each column of numbers or
    text, and a text that no row has. Where the original refuses a missing value the column joins `never_missing`;
    where it answers, ONNX must give the same.
    """
    few = {name: list(values[:_PROBE_ROWS]) for name, values in columns.items()}
    rows = len(next(iter(few.values())))
    for name, kind in model.types.items():
        if verdict.reason:
            return
        if kind in ("double", "string"):
            missing = math.nan if kind == "double" else None
            if _differs(model, converted, {**few, name: [missing] * rows}, verdict, f"a missing {name!r}"):
                verdict.never_missing.append(name)
        if kind == "string" and _differs(
            model, converted, {**few, name: [_UNSEEN] * rows}, verdict, f"an unknown text in {name!r}"
        ):
            verdict.reason = f"the original refuses an unknown text in {name!r}, ONNX would answer"


def _differs(model: Model, converted: Converted, columns: Columns, verdict: Verdict, what: str) -> bool:
    """Whether the original refuses the rows; when it answers and ONNX gives another answer, the verdict says so."""
    try:
        original = model.predict(columns)
    except Refusal:
        return True
    try:
        found = compare(original, converted.predict(columns), model.classes)
    except Exception as error:  # onnxruntime's classes share no base
        verdict.reason = f"ONNX refuses {what}, the original answers: {error}"
        return False
    if found.reason:
        verdict.reason = f"with {what}: {found.reason}"
    return False


def _compare_numbers(verdict: Verdict, original: Any, converted: Any) -> None:
    expected, got = numpy.asarray(original, dtype=float), numpy.asarray(converted, dtype=float)
    difference = numpy.abs(got - expected)
    verdict.differences["label"] = _largest(difference)
    apart = ~(difference <= ATOL + RTOL * numpy.abs(expected)) & ~(numpy.isnan(expected) & numpy.isnan(got))
    if apart.any():
        verdict.reason = (
            f"{int(apart.sum())} of {apart.size} values differ, the most by {_largest(difference):.3g}"
        )


def _compare_probabilities(verdict: Verdict, original: Any, converted: Any) -> None:
    if converted.shape != original.shape:
        verdict.reason = f"ONNX gives probabilities of shape {converted.shape}, the original {original.shape}"
        return
    difference = numpy.abs(numpy.asarray(converted, dtype=float) - original)
    verdict.differences["probabilities"] = _largest(difference)
    apart = ~(difference <= ATOL).all(axis=1)
    if apart.any():
        verdict.reason = (
            f"the probabilities of {int(apart.sum())} of {apart.size} rows differ, the most by "
            f"{_largest(difference):.3g}"
        )


def _compare_labels(verdict: Verdict, original: Answer, converted: list[Any], classes: list[Any]) -> None:
    places = {label: place for place, label in enumerate(classes)}
    for row, (expected, got) in enumerate(zip(plain(original.label), converted, strict=True)):
        if expected == got:
            continue
        tie = False
        if original.probabilities is not None and expected in places and got in places:
            both = original.probabilities[row][[places[expected], places[got]]]
            tie = abs(float(both[0]) - float(both[1])) <= 2 * ATOL
        verdict.mismatches += 0 if tie else 1
    if verdict.mismatches and not verdict.reason:
        verdict.reason = f"the labels of {verdict.mismatches} of {verdict.rows} rows differ"


def _largest(difference: Any) -> float:
    """The largest finite number of the array; 0 for none."""
    finite = difference[numpy.isfinite(difference)]
    return float(finite.max()) if finite.size else 0.0
