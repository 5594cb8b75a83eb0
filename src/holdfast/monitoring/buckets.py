"""A bucket: everything that is counted of the rows of one version within a day (or 5 minutes), as two vectors.

Two buckets of one layout add up, whatever is counted in them, so a window is the sum of its buckets. The vector
of counts holds the head (`HEAD`), latencies, scores by label (binary) and the cells of each watched column; the
vector of floats holds sums of losses and of the columns' values.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.kernel.errors import IntegrityError
from holdfast.kernel.times import DAY_MS, Window
from holdfast.monitoring.profile import FeatureProfile, Profile
from holdfast.monitoring.records import Bucket
from holdfast.monitoring.tally import HEAD, MOMENTS, Tally
from holdfast.statistics.histograms import Histogram
from holdfast.statistics.scores import SCORE_BINS

__all__ = ["ColumnCells", "Layout", "count_latencies", "group_by_window", "latency_quantile", "merge_days"]

Counts: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

_LATENCIES_US = np.geomspace(10.0, 1e9, 321)
"""Edges: 40 a decade from 10 us to 1,000 s, so a quantile is right to 3 %."""
_LATENCY_CELLS = len(_LATENCIES_US) + 1


@dataclass(frozen=True, slots=True)
class ColumnCells:
    """Where one watched column stands in the vectors; the cell after its counts is the count of unseen values."""

    profile: FeatureProfile
    counts: slice
    sums: slice

    @property
    def unseen(self) -> int:
        """The place of the count of unseen values."""
        return int(self.counts.stop)


class Layout:
    """The places in the vectors, as the reference's profile gives them."""

    def __init__(self, profile: Profile) -> None:
        self.latency = slice(len(HEAD), len(HEAD) + _LATENCY_CELLS)
        scores = 2 * SCORE_BINS if profile.task == "binary" else 0
        self.scores = slice(self.latency.stop, self.latency.stop + scores)
        self.columns: list[ColumnCells] = []
        at, place = self.scores.stop, len(MOMENTS)
        for column in profile.columns:
            cells = slice(at, at + len(column.counts))
            self.columns.append(ColumnCells(column, cells, slice(place, place + len(column.sums))))
            at, place = cells.stop + 1, place + len(column.sums)
        self.counts_size, self.floats_size = at, place

    def assemble(
        self, tally: Tally, failures: int, latencies: Counts, columns: list[Histogram | None]
    ) -> tuple[Counts, Floats]:
        """The two vectors of one bucket; a column that the rows lack stays without counts."""
        counts, floats = np.zeros(self.counts_size, np.int64), np.zeros(self.floats_size)
        counts[: len(HEAD)] = tally.head
        counts[HEAD.index("failures")] = failures
        counts[self.latency] = latencies
        if tally.scores is not None:
            counts[self.scores] = tally.scores.ravel()
        floats[: len(MOMENTS)] = tally.moments
        for cells, histogram in zip(self.columns, columns, strict=True):
            if histogram is not None:
                counts[cells.counts] = histogram.counts
                counts[cells.unseen] = histogram.unseen
                floats[cells.sums] = histogram.sums
        return counts, floats

    def encode(self, counts: Counts, floats: Floats) -> bytes:
        """The vectors as bytes: zlib of little-endian u32 counts, then f64 floats."""
        return zlib.compress(counts.astype("<u4").tobytes() + floats.astype("<f8").tobytes(), 1)

    def decode(self, body: bytes) -> tuple[Counts, Floats]:
        """The vectors from their bytes. Raises IntegrityError when they are not of this layout."""
        try:
            data = zlib.decompress(body)
        except zlib.error as error:
            raise IntegrityError(f"A monitoring bucket can't be read: {error}.") from error
        split = 4 * self.counts_size
        if len(data) != split + 8 * self.floats_size:
            raise IntegrityError("A monitoring bucket does not have the layout of its reference.")
        counts = np.frombuffer(data, "<u4", self.counts_size).astype(np.int64)
        return counts, np.frombuffer(data, "<f8", self.floats_size, split)


def group_by_window(buckets: Sequence[Bucket], window: Window) -> dict[int, list[Bucket]]:
    """Window start to its buckets; `buckets` are in order of time, so both are."""
    groups: dict[int, list[Bucket]] = {}
    for bucket in buckets:
        groups.setdefault(window.start_of(bucket.start), []).append(bucket)
    return groups


def merge_days(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs of days (first and last start, included) in order, those that touch or overlap as one."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(runs):
        if merged and first <= merged[-1][1] + DAY_MS:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def count_latencies(latencies_us: Floats) -> Counts:
    """Counts of shape (322,) over 40 bins a decade; NaN is not counted."""
    known = latencies_us[~np.isnan(latencies_us)]
    at = np.searchsorted(_LATENCIES_US, known, side="right")
    return np.bincount(at, minlength=_LATENCY_CELLS).astype(np.int64)


def latency_quantile(counts: Counts, share: float) -> float | None:
    """The latency in ms that `share` of the counted rows stay within, interpolated in its bin; None without rows."""
    total = int(counts.sum())
    if total == 0:
        return None
    wanted = share * total
    reached = np.cumsum(counts)
    at = min(int(np.searchsorted(reached, wanted)), _LATENCY_CELLS - 1)
    low = float(_LATENCIES_US[max(at - 1, 0)])
    high = float(_LATENCIES_US[min(at, len(_LATENCIES_US) - 1)])
    inside = (wanted - (int(reached[at]) - int(counts[at]))) / max(int(counts[at]), 1)
    return low * math.pow(high / low, inside) / 1000.0
