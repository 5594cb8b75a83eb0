"""Confidence intervals and bounds for proportions and means of independent rows."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

from holdfast.statistics.special import beta_quantile

__all__ = ["CONFIDENCE", "Interval", "mean_interval", "normal_quantile", "upper_bound", "wilson_interval"]

CONFIDENCE = 0.95
"""The two-sided confidence of every interval that holdfast shows."""


class Interval(NamedTuple):
    """A confidence interval, both ends included."""

    low: float
    high: float


def normal_quantile(confidence: float) -> float:
    """The half width, in standard errors, of a two-sided normal interval: 1.96 for 0.95."""
    return NormalDist().inv_cdf(0.5 + confidence / 2.0)


def wilson_interval(successes: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval (1927) for a proportion; (0, 1) without trials."""
    if trials == 0:
        return Interval(0.0, 1.0)
    z2 = normal_quantile(confidence) ** 2
    share = successes / trials
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / (4 * trials)) / trials) / (1 + z2 / trials)
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return Interval(low, high)


@lru_cache(maxsize=1024)
def upper_bound(successes: int, trials: int, delta: float) -> float:
    """Clopper and Pearson's exact one-sided bound (1934): a proportion above it gives so few successes, or
    fewer, with a probability of at most `delta`.
    """
    if trials == 0 or successes >= trials:
        return 1.0
    return beta_quantile(1.0 - delta, successes + 1.0, float(trials - successes))


def mean_interval(
    count: int, total: float, squares: float, confidence: float = CONFIDENCE
) -> Interval | None:
    """The normal interval for a mean from count, sum and sum of squares; None below two values."""
    if count < 2:
        return None
    mean = total / count
    variance = max(0.0, squares - count * mean * mean) / (count - 1)
    half = normal_quantile(confidence) * math.sqrt(variance / count)
    return Interval(mean - half, mean + half)
