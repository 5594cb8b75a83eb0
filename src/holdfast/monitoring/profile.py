"""What monitoring keeps of a reference: bins and counts per column, and the model's metrics on it."""

from __future__ import annotations

import msgspec
import numpy as np

from holdfast.kernel.times import DAY_MS, FIVE_MINUTES_MS, parse_window
from holdfast.monitoring.records import ReferenceValue
from holdfast.predictions.records import Endpoint
from holdfast.statistics.histograms import Bins, CategoryBins, Histogram, NumericBins
from holdfast.statistics.intervals import upper_bound

__all__ = [
    "BOUND_DELTA",
    "LEARNING_ROWS",
    "TOLERANCE",
    "FeatureProfile",
    "Profile",
    "grain_of",
    "main_version",
    "reference_identity",
    "with_errors_of",
]

TOLERANCE = 0.01
"""How much the error may rise above the reference's without being called harm."""
BOUND_DELTA = 0.05
"""The chance that the reference's error is understated: m is its upper bound at 1 - this."""
LEARNING_ROWS = 1_000
"""Without a reference, so many first predictions of a version become it."""
_FORMAT = 1


class FeatureProfile(msgspec.Struct, frozen=True):
    """A column of the reference: its bins and counts, as `statistics.histograms` knows them.

    `kind` is `number` (edges, sums, squares, range) or `category` (categories, rare).
    """

    name: str
    kind: str
    counts: list[int]
    edges: list[float] = []
    sums: list[float] = []
    categories: list[str] = []
    rare: list[str] | None = None
    unseen: int = 0

    @property
    def bins(self) -> Bins:
        """The bins that windows are counted into."""
        if self.kind == "number":
            return NumericBins(np.array(self.edges, np.float64))
        return CategoryBins(tuple(self.categories), None if self.rare is None else frozenset(self.rare))

    @property
    def histogram(self) -> Histogram:
        """The reference's own counts."""
        return Histogram(np.array(self.counts, np.int64), np.array(self.sums, np.float64), self.unseen)


class Profile(msgspec.Struct, frozen=True):
    """All that monitoring keeps of a reference. `identity` tells when it must be built anew.

    `judged` rows have a label and a prediction, `errors` of them are wrong. `prediction` is the drift column of
    the model's answer, None while learning.
    """

    identity: str
    source: str
    task: str
    positive: str | None
    rows: int = 0
    labelled: int = 0
    judged: int = 0
    errors: int = 0
    features: list[FeatureProfile] = []
    prediction: FeatureProfile | None = None
    metrics: dict[str, ReferenceValue] = {}
    judged_by: str = ""
    """The source of `judged`, `errors` and `metrics` where it is another than the columns' own."""
    format: int = _FORMAT

    @property
    def tolerated(self) -> float | None:
        """The error rate m that the alert rule tolerates; None where errors can't be judged against this."""
        if self.task == "regression" or not self.judged:
            return None
        return upper_bound(self.errors, self.judged, BOUND_DELTA) + TOLERANCE

    @property
    def compared(self) -> int:
        """The rows whose truth its metrics were made from."""
        return self.labelled if self.task == "regression" else self.judged

    @property
    def columns(self) -> list[FeatureProfile]:
        """Every column whose drift is watched: the features, then the prediction."""
        return [*self.features, *([self.prediction] if self.prediction else [])]


def main_version(endpoint: Endpoint) -> int:
    """The version whose reference the endpoint record names; 0 for an external endpoint."""
    return endpoint.live_version or endpoint.version or 0


def with_errors_of(profile: Profile, before: Profile) -> Profile:
    """The profile with the metrics of the one before it, for a file that holds no predictions to judge."""
    if profile.source != "file" or profile.judged or not before.judged or profile.task != before.task:
        return profile
    return msgspec.structs.replace(
        profile,
        judged=before.judged,
        errors=before.errors,
        metrics=before.metrics,
        judged_by=before.judged_by or before.source,
    )


def grain_of(endpoint: Endpoint) -> int:
    """The size of the endpoint's buckets in ms."""
    return FIVE_MINUTES_MS if parse_window(endpoint.window).is_under_a_day else DAY_MS


def reference_identity(endpoint: Endpoint) -> str:
    """What the main version's reference is made from; another text means that it has to be made anew."""
    given = endpoint.reference
    parts = [
        given.source,
        given.sha256,
        endpoint.task,
        endpoint.target,
        endpoint.positive or "",
        *endpoint.classes,
    ]
    return "\n".join(parts)
