"""Makes a reference's profile from its rows."""

from __future__ import annotations

import gzip
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from holdfast.kernel.errors import HoldfastError, IntegrityError, InvalidInput
from holdfast.kernel.times import parse_time
from holdfast.monitoring.profile import FeatureProfile, Profile
from holdfast.monitoring.records import ReferenceValue
from holdfast.monitoring.tally import HEAD, Answers, Tally, metrics, tally
from holdfast.predictions.labels import LabelReader, canonical_label
from holdfast.statistics.histograms import (
    category_bins,
    count_categories,
    count_numbers,
    numeric_bins,
)

__all__ = ["build_reference", "read_reference"]

_RESERVED = {"prediction", "prediction_id", "score", "label", "key", "event_time"}

Floats = NDArray[np.float64]


def read_reference(data: bytes) -> dict[str, list[Any]]:
    """The columns of a stored reference (gzipped JSON). Raises IntegrityError when it can't be read."""
    try:
        body = msgspec.json.decode(gzip.decompress(data))
        columns: dict[str, list[Any]] = body["columns"]
    except (OSError, EOFError, msgspec.DecodeError, KeyError, TypeError) as error:
        raise IntegrityError(f"The reference can't be read: {error}.") from error
    return columns


def build_reference(
    columns: Mapping[str, Sequence[Any]],
    signature: Mapping[str, Any] | None = None,
    target: str = "",
    positive: str | None = None,
    *,
    task: str = "",
    classes: Sequence[str] = (),
    source: str = "file",
    identity: str = "",
) -> Profile:
    """The profile of reference rows given by column (None = missing).

    `prediction` and `score` (or `score_<class>`) are the model's answers, `target` the truth; without them there
    is drift alone. Features are the signature's inputs, or every other column. `task` is inferred when it is
    empty, `positive` as far as the classes tell. A constant or empty column is one bin, which does not drift.
    """
    rows = max((len(values) for values in columns.values()), default=0)
    answers = _answers(columns, rows)
    task = task or _infer_task(answers, columns)
    reader = LabelReader(list(classes), task)
    truth = [_label(reader, value) for value in columns.get(target or "label", [None] * rows)]
    positive = positive or _infer_positive(classes, truth, answers)
    scores = _scores(columns, positive, task, rows)
    features = [
        _profile(name, kind, columns[name]) for name, kind in _features(columns, signature, target).items()
    ]
    counted = _tally(task, truth, answers, scores, positive)
    head = dict(zip(HEAD, counted.head.tolist(), strict=True))
    return Profile(
        identity,
        source,
        task,
        positive,
        rows,
        sum(label is not None for label in truth),
        head["judged"],
        head["errors"],
        features,
        _answer_profile(task, answers, scores),
        _values(task, counted),
    )


def _answers(columns: Mapping[str, Sequence[Any]], rows: int) -> list[str | None]:
    given = columns.get("prediction", [None] * rows)
    return [_label(LabelReader([]), value) for value in given]


def _label(reader: LabelReader, value: Any) -> str | None:
    """Canonical text; None for a missing label or one that this endpoint can't have."""
    if value is None or value != value:
        return None
    try:
        return reader.read(value)
    except HoldfastError:
        return None


def _infer_task(answers: Sequence[str | None], columns: Mapping[str, Sequence[Any]]) -> str:
    """Binary for at most two answers with a score, regression for many numeric ones, else multiclass."""
    distinct = {answer for answer in answers if answer is not None}
    has_score = any(name == "score" or name.startswith("score_") for name in columns)
    if len(distinct) > 20 and all(_number(answer) == _number(answer) for answer in distinct):
        return "regression"
    return "binary" if 0 < len(distinct) <= 2 and has_score else "multiclass"


def _infer_positive(classes: Sequence[str], *labels: Sequence[str | None]) -> str | None:
    known = set(classes) or {label for part in labels for label in part if label is not None}
    return next((name for name in ("1", "true") if name in known), None)


def _scores(columns: Mapping[str, Sequence[Any]], positive: str | None, task: str, rows: int) -> Floats:
    """The positive class's probability, or a regression's value; NaN where there is none."""
    if task == "regression":
        return _numbers(columns.get("prediction", [None] * rows))
    wanted = {"score", f"score_{positive}", f"score_{str(positive).capitalize()}", f"score_{positive}.0"}
    name = next((name for name in columns if name in wanted), None)
    return np.full(rows, np.nan) if name is None else _numbers(columns[name])


def _features(
    columns: Mapping[str, Sequence[Any]], signature: Mapping[str, Any] | None, target: str
) -> dict[str, str]:
    """Feature name to kind (`number`, `category`, `time`), in the order of the signature or the columns."""
    kinds = {"double": "number", "long": "number", "datetime": "time"}
    if signature and signature.get("inputs"):
        inputs = signature["inputs"]
        return {i["name"]: kinds.get(i["type"], "category") for i in inputs if i["name"] in columns}
    names = [name for name in columns if name not in _RESERVED | {target} and not name.startswith("score_")]
    return {name: _kind(columns[name]) for name in names}


def _kind(values: Sequence[Any]) -> str:
    held = [value for value in values if value is not None]
    is_number = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in held)
    return "number" if is_number else "category"


def _profile(name: str, kind: str, values: Sequence[Any]) -> FeatureProfile:
    if kind == "category":
        return _category_profile(name, [None if _is_missing(value) else _text(value) for value in values])
    return _number_profile(name, _times(values) if kind == "time" else _numbers(values))


def _number_profile(name: str, numbers: Floats) -> FeatureProfile:
    bins = numeric_bins(numbers)
    counted = count_numbers(bins, numbers)
    return FeatureProfile(
        name,
        "number",
        counted.counts.tolist(),
        edges=bins.edges.tolist(),
        sums=counted.sums.tolist(),
        unseen=counted.unseen,
    )


def _category_profile(name: str, texts: Sequence[str | None]) -> FeatureProfile:
    counts = Counter(texts)
    values, numbers = list(counts), list(counts.values())
    known = [(value, count) for value, count in counts.items() if value is not None]
    bins = category_bins([value for value, _ in known], [count for _, count in known])
    counted = count_categories(bins, values, numbers)
    return FeatureProfile(
        name,
        "category",
        counted.counts.tolist(),
        categories=list(bins.categories),
        rare=None if bins.rare is None else sorted(bins.rare),
    )


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _text(value: Any) -> str:
    try:
        return canonical_label(value)
    except InvalidInput:
        return str(value)


def _number(value: Any) -> float:
    """The float that a value stands for; NaN when it is none."""
    try:
        return math.nan if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _numbers(values: Sequence[Any]) -> Floats:
    return np.array([_number(value) for value in values], np.float64)


def _times(values: Sequence[Any]) -> Floats:
    """Epoch ms of ISO 8601 texts or numbers of ms; NaN for what is no time."""

    def read(value: Any) -> float:
        try:
            return float(parse_time(value))
        except InvalidInput:
            return math.nan

    return np.array([read(value) for value in values], np.float64)


def _answer_profile(task: str, answers: Sequence[str | None], scores: Floats) -> FeatureProfile | None:
    """The drift column of the answers: the score where there is one, else the predicted class."""
    if task in ("binary", "regression") and np.isfinite(scores).any():
        return _number_profile("prediction", scores)
    return _category_profile("prediction", answers) if any(answers) else None


def _tally(
    task: str,
    truth: Sequence[str | None],
    answers: Sequence[str | None],
    scores: Floats,
    positive: str | None,
) -> Tally:
    pairs = list(zip(truth, answers, strict=True))
    known = Answers(
        labelled=np.array([None not in pair for pair in pairs], bool),
        wrong=np.array([label != answer for label, answer in pairs], bool),
        actual=np.array([label == positive for label in truth], bool),
        said=np.array([answer == positive for answer in answers], bool),
        scores=scores,
        truth=_numbers(truth) if task == "regression" else np.full(len(pairs), np.nan),
        delays=np.full(len(pairs), np.nan),
    )
    return tally(task, known)


def _values(task: str, counted: Tally) -> dict[str, ReferenceValue]:
    scores = np.zeros(0, np.int64) if counted.scores is None else counted.scores
    found = metrics(task, counted.head, counted.moments, scores, least=1)
    return {
        name: ReferenceValue(value.value, value.interval)
        for name, value in found.items()
        if value.value is not None
    }
