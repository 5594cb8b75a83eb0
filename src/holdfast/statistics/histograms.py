"""Histograms over bins fixed by a reference: they add up, so any window is a sum of its parts.

Cells of a histogram, in this order: the bins, then *missing* (null or NaN), then *infinite*. Counts are whole
numbers, so merging in any order gives the same counts.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Bins",
    "CategoryBins",
    "Histogram",
    "NumericBins",
    "category_bins",
    "count_categories",
    "count_numbers",
    "empty",
    "merge",
    "numeric_bins",
]

Counts: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

_MAX_BINS = 20
_MAX_CATEGORIES = 50
_LEAST_ROWS = 10
_SHARED_BINS = 4
_MAX_KNOWN = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class NumericBins:
    """Bins between ascending inner `edges`: (-inf, e0], (e0, e1], ..., (en, inf). No edges = one bin."""

    edges: Floats

    @property
    def count(self) -> int:
        """The number of bins."""
        return len(self.edges) + 1


@dataclass(frozen=True, slots=True, eq=False)
class CategoryBins:
    """One bin per category, most frequent first, then four that all other values share by their CRC-32.

    A shared bin is fixed without looking at the reference, so categories too rare for it to have met are no
    drift, and a column of identifiers is not either; a new category that takes a visible share is.
    """

    categories: tuple[str, ...]
    rare: frozenset[str] | None = frozenset()
    """Values of the reference without a bin of their own; None when they are too many to know."""

    @property
    def count(self) -> int:
        """The number of bins."""
        return len(self.categories) + _SHARED_BINS


Bins: TypeAlias = NumericBins | CategoryBins


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts per cell (bins, missing, infinite) and, for numbers, the finite values' sum per bin and range.

    `sums` has one value per bin, none for categories. `unseen` counts rows with a value that the reference
    lacks: a new category, an infinity. `minimum` > `maximum` when there are no finite values.
    """

    counts: Counts
    sums: Floats
    unseen: int = 0
    squares: float = 0.0
    minimum: float = float("inf")
    maximum: float = float("-inf")

    @property
    def rows(self) -> int:
        """All rows, missing and infinite included."""
        return int(self.counts.sum())

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return int(self.counts[-2])

    @property
    def mean(self) -> float | None:
        """The mean of the finite numbers; None for categories, without any, and past what a float holds."""
        finite = int(self.counts[:-2].sum())
        total = float(self.sums.sum())
        return total / finite if len(self.sums) and finite and math.isfinite(total) else None


def numeric_bins(values: Floats, limit: int = _MAX_BINS) -> NumericBins:
    """Bins at the quantiles of the finite `values`: about equal counts each, at most `limit`.

    With at most `limit` distinct values each has its own bin, split half-way. Equal quantiles collapse, so a
    constant column gives one bin, an empty one too.
    """
    finite = np.sort(values[np.isfinite(values)])
    distinct = np.unique(finite)
    if len(distinct) <= limit:
        return NumericBins(np.unique(distinct[:-1] / 2.0 + distinct[1:] / 2.0))
    at = np.arange(1, limit) * len(finite) // limit
    edges = np.unique(finite[at - 1])
    return NumericBins(edges[edges < finite[-1]])


def category_bins(values: Sequence[str], counts: Sequence[int], limit: int = _MAX_CATEGORIES) -> CategoryBins:
    """A bin for each of the `limit` most frequent of `values` that occurs at least 10 times."""
    order = sorted(range(len(values)), key=lambda i: (-counts[i], values[i]))
    own = tuple(values[i] for i in order[:limit] if counts[i] >= _LEAST_ROWS)
    rare = frozenset(values).difference(own)
    return CategoryBins(own, rare if len(rare) <= _MAX_KNOWN else None)


def empty(bins: Bins) -> Histogram:
    """The histogram of no rows."""
    sums = np.zeros(bins.count if isinstance(bins, NumericBins) else 0)
    return Histogram(np.zeros(bins.count + 2, np.int64), sums)


def count_numbers(bins: NumericBins, values: Floats) -> Histogram:
    """The histogram of `values` (float64; NaN = missing)."""
    is_finite = np.isfinite(values)
    finite = values[is_finite]
    at = np.searchsorted(bins.edges, finite, side="left")
    missing = int(np.isnan(values).sum())
    others = np.array([missing, len(values) - len(finite) - missing])
    with np.errstate(over="ignore"):
        squares = float(np.square(finite).sum())
    return Histogram(
        np.concatenate((np.bincount(at, minlength=bins.count), others)).astype(np.int64),
        np.bincount(at, weights=finite, minlength=bins.count).astype(np.float64),
        int(others[1]),
        squares,
        float(finite.min()) if len(finite) else float("inf"),
        float(finite.max()) if len(finite) else float("-inf"),
    )


def count_categories(bins: CategoryBins, values: Sequence[str | None], counts: Sequence[int]) -> Histogram:
    """The histogram of `values` that occur `counts` times each; None = missing."""
    cells = np.zeros(bins.count + 2, np.int64)
    place = {name: i for i, name in enumerate(bins.categories)}
    unseen = 0
    for value, count in zip(values, counts, strict=True):
        if value is None:
            cells[-2] += count
        elif (at := place.get(value)) is not None:
            cells[at] += count
        else:
            cells[len(place) + zlib.crc32(value.encode()) % _SHARED_BINS] += count
            unseen += count if bins.rare is not None and value not in bins.rare else 0
    return Histogram(cells, np.zeros(0), unseen)


def merge(histograms: Iterable[Histogram]) -> Histogram:
    """The histogram of all rows of `histograms` (at least one; all over the same bins)."""
    parts = list(histograms)
    return Histogram(
        np.sum([part.counts for part in parts], axis=0),
        np.sum([part.sums for part in parts], axis=0),
        sum(part.unseen for part in parts),
        float(np.sum([part.squares for part in parts])),
        min(part.minimum for part in parts),
        max(part.maximum for part in parts),
    )
