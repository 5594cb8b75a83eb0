"""How far a window's distribution is from the reference's, from their histograms over the same bins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.statistics.histograms import Histogram
from holdfast.statistics.special import chi2_quantile

__all__ = ["LARGE_PSI", "Drift", "compare"]

LARGE_PSI = 0.1
"""The customary PSI above which a shift is called moderate; a smaller one is never flagged."""
_LEAST_EXPECTED = 5.0

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drift:
    """Measures of one column, and whether its PSI is above `threshold`.

    psi: population stability index. js: Jensen-Shannon distance, base 2, from 0 to 1. chi2: statistic of
    homogeneity with `df` degrees of freedom. ks and w1 (the column's unit) are None for categories, and where
    one side has no finite number (w1 also past what a float holds). `threshold` is infinite when there are too
    few rows to tell.
    """

    psi: float
    js: float
    ks: float | None
    w1: float | None
    chi2: float
    df: int
    threshold: float

    @property
    def drifted(self) -> bool:
        """Whether the shift is both larger than chance gives and large enough to matter."""
        return self.psi > self.threshold


def compare(reference: Histogram, window: Histogram, level: float) -> Drift:
    """The drift of `window` from `reference`; without a shift flagged with a chance of about `level`.

    PSI, JS and chi2 are over all cells, missing and infinite included. Cells with fewer than 5 rows to be
    expected in the smaller of the two are pooled, so that without drift PSI * n*m/(n+m) is near chi-squared
    with cells - 1 degrees of freedom (Yurdakul and Naranjo 2020, 'Statistical properties of the population
    stability index'); the threshold is that quantile, or 0.1 if that is more.
    """
    pooled = _pool(reference.counts, window.counts)
    ks, w1 = _distances(reference, window)
    if pooled is None:
        return Drift(0.0, 0.0, ks, w1, 0.0, 0, math.inf)
    first, second = pooled
    n, m = first.sum(), second.sum()
    df = len(first) - 1
    threshold = max(LARGE_PSI, chi2_quantile(1.0 - level, df) * (1.0 / n + 1.0 / m)) if df else math.inf
    return Drift(_psi(first, second), _js(first, second), ks, w1, _chi2(first, second), df, float(threshold))


def _pool(first: NDArray[np.int64], second: NDArray[np.int64]) -> tuple[Floats, Floats] | None:
    """Both counts with thin cells pooled into one; None when one side is empty."""
    n, m = int(first.sum()), int(second.sum())
    if n == 0 or m == 0:
        return None
    together = first + second
    thin = together * (min(n, m) / (n + m)) < _LEAST_EXPECTED
    kept = [counts[~thin].astype(np.float64) for counts in (first, second)]
    if together[thin].sum() > 0:
        return np.append(kept[0], first[thin].sum()), np.append(kept[1], second[thin].sum())
    return kept[0], kept[1]


def _psi(first: Floats, second: Floats) -> float:
    """With half a row added to each cell, so that an empty one has a logarithm."""
    p = (first + 0.5) / (first + 0.5).sum()
    q = (second + 0.5) / (second + 0.5).sum()
    return float(((q - p) * np.log(q / p)).sum())


def _js(first: Floats, second: Floats) -> float:
    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2.0
    divergence = 0.5 * (_relative_entropy(p, middle) + _relative_entropy(q, middle))
    return math.sqrt(max(0.0, divergence))


def _relative_entropy(p: Floats, q: Floats) -> float:
    held = p > 0.0
    return float((p[held] * np.log2(p[held] / q[held])).sum())


def _chi2(first: Floats, second: Floats) -> float:
    n, m = first.sum(), second.sum()
    return float(((first * math.sqrt(m / n) - second * math.sqrt(n / m)) ** 2 / (first + second)).sum())


def _distances(reference: Histogram, window: Histogram) -> tuple[float | None, float | None]:
    """Kolmogorov-Smirnov at the bins' edges, and Wasserstein-1 between the bins' means.

    KS is a lower bound of the exact statistic; W1 sees shifts inside a bin by its mean alone.
    """
    first, second = reference.counts[:-2], window.counts[:-2]
    n, m = int(first.sum()), int(second.sum())
    if len(reference.sums) == 0 or n == 0 or m == 0:
        return None, None
    ks = float(np.abs(np.cumsum(first) / n - np.cumsum(second) / m).max())
    has_first, has_second = first > 0, second > 0
    places = np.concatenate(
        (reference.sums[has_first] / first[has_first], window.sums[has_second] / second[has_second])
    )
    masses = np.concatenate((first[has_first] / n, -second[has_second] / m))
    order = np.argsort(places, kind="stable")
    between = np.abs(np.cumsum(masses[order])[:-1])
    with np.errstate(over="ignore", invalid="ignore"):
        w1 = float((between * np.diff(places[order])).sum())
    return ks, w1 if math.isfinite(w1) else None
