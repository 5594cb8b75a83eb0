"""How far windows' distributions are from the reference's, from their histograms over the same bins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.statistics.histograms import Histogram
from holdfast.statistics.special import chi2_quantile

__all__ = ["LARGE_PSI", "Drift", "compare", "compare_windows"]

LARGE_PSI = 0.1
"""The customary PSI above which a shift is called moderate; a smaller one is never flagged."""
_LEAST_EXPECTED = 5.0

Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]

_quantile = lru_cache(maxsize=4096)(chi2_quantile)


@dataclass(frozen=True, slots=True)
class Drift:
    """Measures of one column in one window, and whether its PSI is above `threshold`.

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
    """The drift of one window: see `compare_windows`."""
    return compare_windows(reference, window.counts[None, :], window.sums[None, :], level)[0]


def compare_windows(reference: Histogram, counts: Counts, sums: Floats, level: float) -> list[Drift]:
    """The drift of each window from `reference`; without a shift flagged with a chance of about `level`.

    `counts` has shape (windows, cells), `sums` (windows, bins; no columns for categories), as in a Histogram.

    PSI, JS and chi2 are over all cells, missing and infinite included. Cells with fewer than 5 rows to be
    expected in the smaller of the two are pooled, so that without drift PSI * n*m/(n+m) is near chi-squared
    with cells - 1 degrees of freedom (Yurdakul and Naranjo 2020, 'Statistical properties of the population
    stability index'); the threshold is that quantile, or 0.1 if that is more.
    """
    n, m = int(reference.counts.sum()), counts.sum(axis=1)
    first, second, df = _pool(reference.counts, counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        psi, js, chi2 = _psi(first, second), _js(first, second), _chi2(first, second)
    ks, w1 = _distances(reference, counts, sums)
    return [
        Drift(
            float(psi[i]),
            float(js[i]),
            ks[i],
            w1[i],
            float(chi2[i]),
            int(df[i]),
            _threshold(n, m[i], df[i], level),
        )
        if n and m[i]
        else Drift(0.0, 0.0, None, None, 0.0, 0, math.inf)
        for i in range(len(counts))
    ]


def _threshold(n: int, m: int, df: int, level: float) -> float:
    if df < 1:
        return math.inf
    return max(LARGE_PSI, float(_quantile(1.0 - level, float(df)) * (1.0 / n + 1.0 / m)))


def _pool(reference: Counts, counts: Counts) -> tuple[Floats, Floats, Counts]:
    """Reference and windows, (windows, cells + 1) each, thin cells emptied into the last; degrees of freedom."""
    n, m = int(reference.sum()), counts.sum(axis=1, keepdims=True)
    together = counts + reference
    thin = together * (np.minimum(n, m) / np.maximum(n + m, 1)) < _LEAST_EXPECTED
    first = np.where(thin, 0, reference)
    second = np.where(thin, 0, counts)
    first = np.column_stack((first, n - first.sum(axis=1)))
    second = np.column_stack((second, m[:, 0] - second.sum(axis=1)))
    return first.astype(np.float64), second.astype(np.float64), ((first + second) > 0).sum(axis=1) - 1


def _psi(first: Floats, second: Floats) -> Floats:
    """With half a row added to each cell that holds anything, so that one empty side has a logarithm."""
    half = np.where(first + second > 0.0, 0.5, 0.0)
    p, q = first + half, second + half
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    total: Floats = np.where(half > 0.0, (q - p) * np.log(q / p), 0.0).sum(axis=1)
    return total


def _js(first: Floats, second: Floats) -> Floats:
    p, q = first / first.sum(axis=1, keepdims=True), second / second.sum(axis=1, keepdims=True)
    middle = (p + q) / 2.0
    divergence = 0.5 * (_relative_entropy(p, middle) + _relative_entropy(q, middle))
    return np.sqrt(np.maximum(divergence, 0.0))


def _relative_entropy(p: Floats, q: Floats) -> Floats:
    total: Floats = np.where(p > 0.0, p * np.log2(p / q), 0.0).sum(axis=1)
    return total


def _chi2(first: Floats, second: Floats) -> Floats:
    ratio = np.sqrt(second.sum(axis=1, keepdims=True) / first.sum(axis=1, keepdims=True))
    terms = (first * ratio - second / ratio) ** 2 / (first + second)
    total: Floats = np.where(first + second > 0.0, terms, 0.0).sum(axis=1)
    return total


def _distances(
    reference: Histogram, counts: Counts, sums: Floats
) -> tuple[list[float | None], list[float | None]]:
    """Kolmogorov-Smirnov at the bins' edges, and Wasserstein-1 between the bins' means, per window.

    KS is a lower bound of the exact statistic; W1 sees shifts inside a bin by its mean alone.
    """
    first, second = reference.counts[:-2], counts[:, :-2]
    n, m = int(first.sum()), second.sum(axis=1)
    if len(reference.sums) == 0 or n == 0:
        return [None] * len(counts), [None] * len(counts)
    p, q = first / n, second / np.maximum(m, 1)[:, None]
    ks = np.abs(np.cumsum(p) - np.cumsum(q, axis=1)).max(axis=1)
    # An empty bin moves no mass; any finite place will do for it.
    anywhere = reference.sums[first > 0][0] / first[first > 0][0]
    own = np.where(first > 0, reference.sums / np.maximum(first, 1), anywhere)
    places = np.hstack(
        (np.broadcast_to(own, second.shape), np.where(second > 0, sums / np.maximum(second, 1), anywhere))
    )
    masses = np.hstack((np.broadcast_to(p, second.shape), -q))
    order = np.argsort(places, axis=1, kind="stable")
    between = np.abs(np.cumsum(np.take_along_axis(masses, order, axis=1), axis=1))[:, :-1]
    with np.errstate(over="ignore", invalid="ignore"):
        w1 = (between * np.diff(np.take_along_axis(places, order, axis=1), axis=1)).sum(axis=1)
    return (
        [float(value) if rows else None for value, rows in zip(ks, m, strict=True)],
        [float(value) if rows and math.isfinite(value) else None for value, rows in zip(w1, m, strict=True)],
    )
