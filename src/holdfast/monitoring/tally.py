"""Counting answers against their truth, in a form that adds up; and the metrics that such counts give."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.statistics.intervals import mean_interval, wilson_interval
from holdfast.statistics.scores import SCORE_BINS, auc, count_scores, losses

__all__ = ["HEAD", "LEAST_LABELS", "METRICS", "MOMENTS", "Answers", "Tally", "Value", "metrics", "tally"]

HEAD = (
    "rows",
    "failures",
    "labelled",
    "judged",
    "errors",
    "true_positives",
    "false_positives",
    "false_negatives",
    "scored",
    "delayed",
)
"""Counts: answered rows, failed requests, rows with a label, of them comparable, wrong, by outcome of the positive
class, with a loss, and with a known delay of their label."""
MOMENTS = ("first", "first_squares", "second", "second_squares", "delay_ms")
"""Sums over scored rows: Brier and log loss, of a regression absolute and squared error, with their squares; and
the sum of the labels' delays."""
METRICS = {
    "binary": ("error", "auc", "brier", "log_loss", "precision", "recall"),
    "multiclass": ("error",),
    "regression": ("mae", "rmse"),
}
LEAST_LABELS = 30
"""With fewer labels a window's metrics are not told."""

Bools: TypeAlias = NDArray[np.bool_]
Counts: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answers:
    """Answered rows, one value per row in each array.

    labelled: there is a label. wrong: the label is not the prediction. actual, said: label, prediction are the
    positive class. scores: the positive class's probability, of a regression the value; NaN = none. truth: the
    label as a number (regression). delays: ms from answer to label, NaN = unknown.
    """

    labelled: Bools
    wrong: Bools
    actual: Bools
    said: Bools
    scores: Floats
    truth: Floats
    delays: Floats


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts of `HEAD`, the sums of `MOMENTS`, and scores by label of shape (2, 512), binary alone."""

    head: Counts
    moments: Floats
    scores: Counts | None


class Value(NamedTuple):
    """A metric: its value and interval, or the reason why it can't be told."""

    value: float | None
    interval: tuple[float, float] | None
    reason: str = ""


def tally(task: str, answers: Answers) -> Tally:
    """Count answered rows. A score outside [0, 1], and a truth that is no finite number, is not scored."""
    labelled = answers.labelled
    judged = labelled & (task != "regression")
    known = labelled & np.isfinite(answers.scores)
    if task == "binary":
        scored = known & (answers.scores >= 0.0) & (answers.scores <= 1.0)
        first, second = losses(answers.scores[scored], answers.actual[scored])
    else:
        scored, first, second = _residuals(known & (task == "regression"), answers)
    delays = answers.delays[labelled & np.isfinite(answers.delays)]
    head = (
        len(labelled),
        0,
        labelled.sum(),
        judged.sum(),
        (judged & answers.wrong).sum(),
        (judged & answers.actual & answers.said).sum(),
        (judged & ~answers.actual & answers.said).sum(),
        (judged & answers.actual & ~answers.said).sum(),
        scored.sum(),
        len(delays),
    )
    with np.errstate(over="ignore"):
        sums = (first.sum(), (first**2).sum(), second.sum(), (second**2).sum(), delays.sum())
    scores = count_scores(answers.scores[scored], answers.actual[scored]) if task == "binary" else None
    return Tally(np.array(head, np.int64), np.array(sums, np.float64), scores)


def _residuals(known: Bools, answers: Answers) -> tuple[Bools, Floats, Floats]:
    """Which rows have a residual whose square is finite, their absolute and squared residuals."""
    with np.errstate(over="ignore", invalid="ignore"):
        distance = np.abs(answers.scores - answers.truth)
        scored = known & np.isfinite(distance**2)
    return scored, distance[scored], distance[scored] ** 2


def metrics(
    task: str, head: Counts, moments: Floats, scores: Counts, least: int = LEAST_LABELS
) -> dict[str, Value]:
    """The task's metrics (`METRICS`) from sums of tallies; a value where at least `least` labels tell it."""
    counts = dict(zip(HEAD, head.tolist(), strict=True))
    sums = dict(zip(MOMENTS, moments.tolist(), strict=True))
    enough = counts["labelled"]
    if enough < least:
        reason = f"{enough} labels of {least} needed" if counts["rows"] else "no predictions"
        return {name: Value(None, None, reason) for name in METRICS[task]}
    if task == "regression":
        return _value_metrics(counts["scored"], sums)
    found = {"error": _share(counts["errors"], counts["judged"], "no label can be compared")}
    return {**found, **_class_metrics(counts, sums, scores)} if task == "binary" else found


def _class_metrics(counts: dict[str, int], sums: dict[str, float], scores: Counts) -> dict[str, Value]:
    hits, scored = counts["true_positives"], counts["scored"]
    ranked = auc(scores.reshape(2, SCORE_BINS))
    no_score = "predictions carry no score" if not scored else "all labelled rows are of one class"
    return {
        "auc": Value(None, None, no_score) if ranked is None else Value(ranked.value, ranked.interval),
        "brier": _mean(scored, sums["first"], sums["first_squares"], "predictions carry no score"),
        "log_loss": _mean(scored, sums["second"], sums["second_squares"], "predictions carry no score"),
        "precision": _share(hits, hits + counts["false_positives"], "nothing was predicted positive"),
        "recall": _share(hits, hits + counts["false_negatives"], "no labelled row is positive"),
    }


def _value_metrics(scored: int, sums: dict[str, float]) -> dict[str, Value]:
    reason = "no label is a number"
    squared = _mean(scored, sums["second"], sums["second_squares"], reason)
    rmse = squared
    if squared.value is not None:
        low, high = squared.interval or (math.nan, math.nan)
        interval = (math.sqrt(max(low, 0.0)), math.sqrt(high)) if squared.interval else None
        rmse = Value(math.sqrt(squared.value), interval)
    return {"mae": _mean(scored, sums["first"], sums["first_squares"], reason), "rmse": rmse}


def _share(successes: int, trials: int, reason: str) -> Value:
    if trials == 0:
        return Value(None, None, reason)
    return Value(successes / trials, wilson_interval(successes, trials))


def _mean(count: int, total: float, squares: float, reason: str) -> Value:
    if count == 0 or not math.isfinite(total):
        return Value(None, None, reason)
    interval = mean_interval(count, total, squares) if math.isfinite(squares) else None
    return Value(total / count, interval)
