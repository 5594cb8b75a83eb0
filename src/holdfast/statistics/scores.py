"""Metrics of a binary classifier from histograms of its score by true label, which add up over windows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.statistics.intervals import CONFIDENCE, Interval, normal_quantile, wilson_interval

__all__ = ["SCORE_BINS", "Auc", "auc", "count_scores", "losses"]

SCORE_BINS = 512
_LOWER = np.sin(np.arange(1, SCORE_BINS // 2) * (math.pi / 2 / SCORE_BINS)) ** 2
_EDGES = np.concatenate((_LOWER, [0.5], 1.0 - _LOWER[::-1]))
_CLIP = 1e-7

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Auc:
    """The area under the ROC curve, with its interval."""

    value: float
    interval: Interval


def count_scores(scores: Floats, is_positive: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Counts of shape (2, 512), row 0 the negatives, row 1 the positives, of scores in [0, 1].

    The bins are equal steps of the arcsine of the square root, where a proportion's noise is even: finer near
    0 and 1, so that a model of rare events, all of whose scores are small, keeps its order. 0.5 is an edge.
    """
    at = np.searchsorted(_EDGES, scores, side="right")
    flat = np.bincount(at + SCORE_BINS * is_positive, minlength=2 * SCORE_BINS)
    return flat.reshape(2, SCORE_BINS).astype(np.int64)


def auc(counts: NDArray[np.int64], confidence: float = CONFIDENCE) -> Auc | None:
    """The AUC from `count_scores`, scores in one bin counted as ties; None unless both labels occur.

    The variance is DeLong's (1988), exact for the binned scores; the interval is normal on the logit scale.
    Without variance (perfect order) it is Wilson's for the smaller of the two labels' counts.
    """
    negatives, positives = counts[0].astype(np.float64), counts[1].astype(np.float64)
    n, m = negatives.sum(), positives.sum()
    if n == 0 or m == 0:
        return None
    below = (np.cumsum(negatives) - negatives / 2.0) / n
    above = (m - np.cumsum(positives) + positives / 2.0) / m
    value = float((positives * below).sum() / m)
    variance = _variance(positives, below, value) / m + _variance(negatives, above, value) / n
    if variance <= 0.0 or not 0.0 < value < 1.0:
        smaller = int(min(n, m))
        return Auc(value, wilson_interval(round(value * smaller), smaller, confidence))
    half = normal_quantile(confidence) * math.sqrt(variance) / (value * (1.0 - value))
    middle = math.log(value / (1.0 - value))
    return Auc(value, Interval(_logistic(middle - half), _logistic(middle + half)))


def _variance(weights: Floats, values: Floats, mean: float) -> float:
    total = float(weights.sum())
    return float((weights * (values - mean) ** 2).sum()) / (total - 1.0) if total > 1.0 else 0.0


def _logistic(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value)) if value >= 0.0 else 1.0 - 1.0 / (1.0 + math.exp(value))


def losses(scores: Floats, is_positive: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Each row's squared error (Brier) and log loss in nats, with scores kept 1e-7 away from 0 and 1."""
    brier = (scores - is_positive) ** 2
    chance = np.clip(np.where(is_positive, scores, 1.0 - scores), _CLIP, 1.0 - _CLIP)
    return brier, -np.log(chance)
