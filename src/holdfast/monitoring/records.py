"""The nouns of monitoring: windows with their metrics and drift, the alert rule, alerts.

Texts of time are ISO 8601 in UTC; numbers of time are ms since the epoch, UTC. Intervals are of 95 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    import polars

    from holdfast.kernel.principal import Caller
    from holdfast.predictions.records import Endpoint

__all__ = [
    "Alert",
    "AlertMark",
    "AlertRule",
    "Bucket",
    "FeatureDrift",
    "FeatureShape",
    "FoldOutcome",
    "FoldState",
    "InputChange",
    "Metric",
    "MonitorReport",
    "Operations",
    "PredictionSource",
    "Progress",
    "ReferenceReport",
    "ReferenceValue",
    "Summary",
    "WindowReport",
]

Bounds = tuple[float, float]


class PredictionSource(Protocol):
    """What monitoring needs of the prediction log; `predictions.service.Predictions` is one."""

    def get_endpoint(self, caller: Caller, name: str) -> Endpoint: ...

    def active_endpoints(self, workspace: str) -> list[Endpoint]: ...

    def changes_since(
        self, workspace: str, endpoint_id: str, cursor: int
    ) -> tuple[int, list[tuple[int, int]]]: ...

    def read_days(self, endpoint_id: str, first_day: int, last_day: int) -> polars.DataFrame: ...


class Metric(msgspec.Struct, frozen=True):
    """One metric in one window. `realised` is None where it can't be told; then `reason` says why."""

    realised: float | None
    interval: Bounds | None
    reference: float | None
    reason: str = ""
    estimated: float | None = None
    """The metric without labels; None: holdfast does not estimate it yet."""


class FeatureDrift(msgspec.Struct, frozen=True):
    """How far one column is from the reference: see `statistics.drift.Drift`.

    `threshold` is None when there are too few rows to tell. `missing` and `unseen` are shares of the window's
    rows; the means are None for categories.
    """

    psi: float
    js: float
    ks: float | None
    w1: float | None
    chi2: float
    drifted: bool
    threshold: float | None
    missing: float
    unseen: float
    mean: float | None
    reference_missing: float
    reference_mean: float | None


class Operations(msgspec.Struct, frozen=True):
    """How requests were answered: rows asked for, failed ones among them, latency of the answered."""

    requests: int
    errors: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


class AlertMark(msgspec.Struct, frozen=True):
    """An alert within the window that raised it. `raised_at` is wall time, `since` event time."""

    id: int
    since: str
    raised_at: str
    state: str
    verdict: str
    text: str


class WindowReport(msgspec.Struct, frozen=True):
    """One window. `status` is `open`, `waiting for labels` or `complete`; `version` is None without rows."""

    start: str
    end: str
    status: str
    rows: int
    labelled: int
    labelled_share: float | None
    version: int | None
    metrics: dict[str, Metric]
    drift: dict[str, FeatureDrift]
    operations: Operations
    alerts: list[AlertMark]
    label_delay_ms: int | None = None
    """Mean time from answer to label; None without labels and on the event clock, where it means nothing."""


class ReferenceValue(msgspec.Struct, frozen=True):
    """A metric on the reference rows."""

    value: float
    interval: Bounds | None


class ReferenceReport(msgspec.Struct, frozen=True):
    """What windows are compared with: `source` is `model`, `file` or `learning`; `text` says it in words."""

    source: str
    version: int | None
    rows: int
    labelled: int
    metrics: dict[str, ReferenceValue]
    text: str


class AlertRule(msgspec.Struct, frozen=True):
    """When the monitor raises an alert. `alert_above` is None when it can't judge errors; `text` says why."""

    reference_error: float | None
    tolerance: float
    alert_above: float | None
    confidence: float
    windows_per_false_alarm: int
    text: str


class MonitorReport(msgspec.Struct, frozen=True):
    """What the monitor knows of an endpoint, windows oldest first.

    `earlier_windows` counts those before the first of `windows`, which were not asked for.
    `state` is `no data`, `counting` (from the beginning, as after a change of window or reference: windows may lack
    rows), `learning` (its first rows become the reference), `no truth` (drift alone: there is no reference error) or
    `monitoring`; `message` says it in words.
    """

    endpoint: str
    clock: str
    window: str
    task: str
    state: str
    message: str
    watermark: str | None
    label_watermark: str | None
    reference: ReferenceReport
    rule: AlertRule
    windows: list[WindowReport]
    earlier_windows: int = 0


class InputChange(msgspec.Struct, frozen=True):
    """An input that changed during an alert, with the number that says how much and words for it."""

    feature: str
    psi: float
    drifted: bool
    text: str


class Alert(msgspec.Struct, frozen=True):
    """The model does harm: its realised error is above the tolerated one. Never deleted.

    `since` is the day (event time) that the change most likely began, `detected_at` the end of the bucket that
    gave the evidence, `window_start` its window; `raised_at` and `ended_at` are wall time. `state` is `open` or
    `ended` (a later complete window was back within what is tolerated). `error` and `interval` are over the
    labelled rows from `since` to `detected_at`.
    """

    id: int
    endpoint: str
    version: int
    state: str
    verdict: str
    since: int
    detected_at: int
    window_start: int
    raised_at: int
    ended_at: int | None
    recovered_at: int | None
    """The end (event time) of the window that ended it."""
    error: float
    interval: Bounds
    rows: int
    reference_error: float
    alert_above: float
    inputs: list[InputChange]
    text: str
    advice: str


class Summary(msgspec.Struct, frozen=True):
    """An endpoint in one line, for the fleet page: its state, latest judged window and open alert.

    `latest` is the newest complete window with labels, else the newest with rows.
    """

    endpoint: str
    state: str
    message: str
    watermark: str | None
    rows: int
    labelled: int
    failures: int
    label_delay_ms: int | None
    traffic: list[int]
    """Rows of the last windows, oldest first, at most 30."""
    latest: WindowReport | None
    worst_input: str | None
    worst_psi: float | None
    alert: Alert | None


class Bucket(msgspec.Struct, frozen=True):
    """What is stored of one version's rows in one bucket: counts that are asked for often, and all as `body`.

    `start`, `last_event`, `last_label` (the newest event with a label) are event times. `reference_id` names the
    profile whose layout `body` has.
    """

    version: int
    start: int
    reference_id: str
    rows: int
    failures: int
    labelled: int
    judged: int
    errors: int
    last_event: int
    last_label: int | None
    body: bytes = b""


class Progress(msgspec.Struct, frozen=True):
    """How far the test of one version has come: it restarts at `restart_from`, and looks from `tested_until` on."""

    restart_from: int | None = None
    tested_until: int | None = None


class FoldState(msgspec.Struct, frozen=True):
    """How far folding has come: the cursor in the log's changes, the size of buckets, the test of each version.

    `revision` counts the writes, so that of two folds at one time the slower fails.
    """

    revision: int = 0
    cursor: int = 0
    grain_ms: int = 0
    folded_at: int = 0
    progress: dict[int, Progress] = {}


class FoldOutcome(msgspec.Struct, frozen=True):
    """What a fold did: days counted, rows in them, alerts raised and ended."""

    days: int = 0
    rows: int = 0
    raised: int = 0
    ended: int = 0


class FeatureShape(msgspec.Struct, frozen=True):
    """One column's distribution in the reference and in a window: shares per cell, the same labels for both."""

    feature: str
    kind: str
    labels: list[str]
    reference: list[float]
    window: list[float]
