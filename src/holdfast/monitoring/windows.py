"""Assembles windows of any size from buckets: metrics, drift, operations. Needs numpy alone, so pages are fast."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.monitoring.buckets import ColumnCells, Layout, latency_quantile
from holdfast.monitoring.profile import Profile
from holdfast.monitoring.records import Bucket, FeatureDrift, FeatureShape, Metric, Operations
from holdfast.monitoring.tally import HEAD, METRICS, MOMENTS, Value, metrics
from holdfast.statistics.drift import Drift, compare_windows
from holdfast.statistics.histograms import NumericBins

__all__ = [
    "DRIFT_LEVEL",
    "WindowSums",
    "drift_of",
    "feature_shape",
    "metrics_of",
    "operations_of",
    "sum_windows",
]

DRIFT_LEVEL = 0.001
"""The chance that a window without drift flags any of its columns; each has an equal part (Bonferroni)."""

Counts: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


class WindowSums:
    """The summed vectors of one window: of its main version (most rows) and, of the common part, of all versions.

    `head`, `moments`, `scores` and `latency` are over all versions of the main version's task; `counts` and
    `floats` are the main version's own.
    """

    def __init__(self, version: int, profile: Profile, layout: Layout) -> None:
        self.version, self.profile, self.layout = version, profile, layout
        self.counts = np.zeros(layout.counts_size, np.int64)
        self.floats = np.zeros(layout.floats_size)
        self.head = np.zeros(len(HEAD), np.int64)
        self.moments = np.zeros(len(MOMENTS))
        self.scores = np.zeros(layout.scores.stop - layout.scores.start, np.int64)
        self.latency = np.zeros(layout.latency.stop - layout.latency.start, np.int64)

    def add(self, version: int, layout: Layout, task: str, counts: Counts, floats: Floats) -> None:
        """Add one bucket's vectors."""
        if version == self.version:
            self.counts += counts
            self.floats += floats
        self.latency += counts[layout.latency]
        if task == self.profile.task:
            self.head += counts[: len(HEAD)]
            self.moments += floats[: len(MOMENTS)]
            self.scores += counts[layout.scores]
        else:
            for name in ("rows", "failures", "labelled"):
                self.head[HEAD.index(name)] += counts[HEAD.index(name)]

    @property
    def label_delay_ms(self) -> int | None:
        """The mean time from answer to label; None without labels."""
        delayed = self["delayed"]
        return round(float(self.moments[MOMENTS.index("delay_ms")]) / delayed) if delayed else None

    def __getitem__(self, name: str) -> int:
        return int(self.head[HEAD.index(name)])


def sum_windows(
    groups: Mapping[int, Sequence[Bucket]],
    bodies: Mapping[tuple[int, int], bytes],
    profiles: Mapping[int, Profile],
) -> dict[int, WindowSums]:
    """Window start to its sums, from the buckets of each window and their bodies."""
    layouts = {version: Layout(profile) for version, profile in profiles.items()}
    sums = {}
    for start, buckets in groups.items():
        rows: dict[int, int] = {}
        for bucket in buckets:
            rows[bucket.version] = rows.get(bucket.version, 0) + bucket.rows
        main = max(rows, key=lambda version: (rows[version], version))
        total = sums[start] = WindowSums(main, profiles[main], layouts[main])
        for bucket in buckets:
            layout = layouts[bucket.version]
            vectors = layout.decode(bodies[bucket.start, bucket.version])
            total.add(bucket.version, layout, profiles[bucket.version].task, *vectors)
    return sums


def metrics_of(sums: WindowSums) -> dict[str, Metric]:
    """The metrics of the window's task, beside the reference's. A regression has no `error`, and says so."""
    task, known = sums.profile.task, sums.profile.metrics
    found = metrics(task, sums.head, sums.moments, sums.scores)
    if "error" not in METRICS[task]:
        found = {"error": Value(None, None, "a regression has no right and wrong answers"), **found}
    return {
        name: Metric(value.value, value.interval, known[name].value if name in known else None, value.reason)
        for name, value in found.items()
    }


def operations_of(sums: WindowSums) -> Operations:
    """Requested rows, failures and latency."""
    quantiles = [latency_quantile(sums.latency, share) for share in (0.5, 0.9, 0.99)]
    rounded = [None if value is None else round(value, 4) for value in quantiles]
    return Operations(sums["rows"] + sums["failures"], sums["failures"], *rounded)


def drift_of(windows: Sequence[WindowSums]) -> list[dict[str, FeatureDrift]]:
    """The drift of each window's columns from its main version's reference, in the order of `windows`."""
    found: list[dict[str, FeatureDrift]] = [{} for _ in windows]
    by_version: dict[int, list[int]] = {}
    for at, sums in enumerate(windows):
        by_version.setdefault(sums.version, []).append(at)
    for places in by_version.values():
        columns = windows[places[0]].layout.columns
        counts = np.array([windows[at].counts for at in places])
        floats = np.array([windows[at].floats for at in places])
        for cells in columns:
            own = counts[:, cells.counts]
            drifts = compare_windows(
                cells.profile.histogram, own, floats[:, cells.sums], DRIFT_LEVEL / len(columns)
            )
            columns_drift = _feature_drifts(
                cells, own, counts[:, cells.unseen], floats[:, cells.sums], drifts
            )
            for at, drift in zip(places, columns_drift, strict=True):
                found[at][cells.profile.name] = drift
    return found


def _feature_drifts(
    cells: ColumnCells, counts: Counts, unseen: Counts, sums: Floats, drifts: Sequence[Drift]
) -> list[FeatureDrift]:
    """One column in each window: (windows, cells) counts, (windows, bins) sums, and their drift."""
    base = cells.profile.histogram
    base_mean, base_missing = base.mean, base.missing / max(base.rows, 1)
    rows, finite = np.maximum(counts.sum(axis=1), 1), counts[:, :-2].sum(axis=1)
    means = (sums.sum(axis=1) / np.maximum(finite, 1)).tolist()
    has_mean = ((finite > 0) & (cells.profile.kind == "number")).tolist()
    missing, new = (counts[:, -2] / rows).tolist(), (unseen / rows).tolist()
    return [
        FeatureDrift(
            psi=drift.psi,
            js=drift.js,
            ks=drift.ks,
            w1=drift.w1,
            chi2=drift.chi2,
            drifted=drift.drifted,
            threshold=drift.threshold if math.isfinite(drift.threshold) else None,
            missing=missing[at],
            unseen=new[at],
            mean=means[at] if has_mean[at] and math.isfinite(means[at]) else None,
            reference_missing=base_missing,
            reference_mean=base_mean,
        )
        for at, drift in enumerate(drifts)
    ]


def feature_shape(sums: WindowSums, feature: str) -> FeatureShape | None:
    """One column's shares per cell in reference and window; None when it is not watched."""
    cells = next((cells for cells in sums.layout.columns if cells.profile.name == feature), None)
    if cells is None:
        return None
    base, own = cells.profile.histogram.counts, sums.counts[cells.counts]
    return FeatureShape(
        feature,
        cells.profile.kind,
        _cell_labels(cells),
        (base / max(int(base.sum()), 1)).tolist(),
        (own / max(int(own.sum()), 1)).tolist(),
    )


def _cell_labels(cells: ColumnCells) -> list[str]:
    bins = cells.profile.bins
    if isinstance(bins, NumericBins):
        edges = [f"{edge:.6g}" for edge in bins.edges]
        between = [f"{low} to {high}" for low, high in pairwise(edges)]
        labels = [f"up to {edges[0]}", *between, f"above {edges[-1]}"] if edges else ["any"]
        return [*labels, "missing", "infinite"]
    shared = [f"other {i + 1}" for i in range(bins.count - len(bins.categories))]
    return [*bins.categories, *shared, "missing", "infinite"]
