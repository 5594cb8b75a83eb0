"""The charts of an endpoint over its windows: one metric, latency, volume."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.kernel.times import parse_time
from holdfast.monitoring.records import Alert, MonitorReport, WindowReport
from holdfast.web.charts import Chart, Level, Mark, Series, Span
from holdfast.web.wording import number_text, share_text, span_text

__all__ = ["METRIC_NAMES", "SHARES", "latency_chart", "microseconds", "performance_chart", "volume_chart"]

METRIC_NAMES = {
    "error": "Realised error",
    "auc": "AUC",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "precision": "Precision",
    "recall": "Recall",
    "accuracy": "Accuracy",
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
}
"""Metric -> how it is called."""
SHARES = {"error", "precision", "recall", "accuracy"}
"""Metrics that read as a percentage."""


def performance_chart(report: MonitorReport, alerts: Sequence[Alert], metric: str) -> Chart:
    """One metric over the windows, with the reference, alerts and deployments."""
    windows = [window for window in report.windows if window.rows]
    values = [window.metrics.get(metric) for window in windows]
    reference = report.reference.metrics.get(metric)
    is_share = metric in SHARES
    known = any(value and value.realised is not None for value in values)
    ends = [parse_time(window.end) for window in windows]
    last = ends[-1] if ends else 0
    series = Series(
        label=f"{METRIC_NAMES.get(metric, metric).lower() if metric != 'auc' else 'AUC'}, 95% interval",
        y=[value.realised if value else None for value in values],
        low=[value.interval[0] if value and value.interval else None for value in values],
        high=[value.interval[1] if value and value.interval else None for value in values],
        weak=[window.status != "complete" for window in windows],
        dots=len(windows) <= 80,
    )
    level = None
    if reference is not None:
        low, high = reference.interval or (None, None)
        text = share_text(reference.value) if is_share else number_text(reference.value, 3)
        level = Level(f"reference {text}", reference.value, low, high)
    shown_alerts = alerts if metric == "error" else []
    return Chart(
        id=metric,
        title=f"{METRIC_NAMES.get(metric, metric)} of {report.endpoint} per window, with the reference and alerts",
        x=_middles(windows) if known else [],
        series=[series] if known else [],
        unit="share" if is_share else "number",
        level=level,
        marks=[
            *_deployments(windows),
            *(Mark(alert.detected_at, "alert", "harm found") for alert in shown_alerts),
        ],
        spans=[Span(alert.since, min(alert.recovered_at or last, last)) for alert in shown_alerts],
        x_label="Window",
        names=_names(windows) if known else [],
    )


def _middles(windows: Sequence[WindowReport]) -> list[float]:
    """A window's value stands in its middle, so that what happened within it stands around it."""
    return [(parse_time(window.start) + parse_time(window.end)) / 2 for window in windows]


def _names(windows: Sequence[WindowReport]) -> list[str]:
    return [span_text(parse_time(window.start), parse_time(window.end)) for window in windows]


def _deployments(windows: Sequence[WindowReport]) -> list[Mark]:
    marks: list[Mark] = []
    before: int | None = None
    for window in windows:
        if window.version is not None and window.version != before:
            at = parse_time(window.start) if marks else _middles([window])[0]
            marks.append(Mark(at, "deploy", f"version {window.version}"))
            before = window.version
    return marks


def latency_chart(windows: Sequence[WindowReport]) -> Chart:
    seen = [window for window in windows if window.operations.p50_ms is not None]
    return Chart(
        id="latency",
        title="Latency of requests per window, p50 and p99",
        x=_middles(seen),
        series=[
            Series("p50", [microseconds(window.operations.p50_ms) for window in seen], colour=1),
            Series("p99", [microseconds(window.operations.p99_ms) for window in seen], colour=2),
        ],
        unit="latency",
        from_zero=True,
        x_label="Window",
        names=_names(seen),
    )


def volume_chart(windows: Sequence[WindowReport]) -> Chart:
    return Chart(
        id="volume",
        title="Predictions, labels and failed requests per window",
        x=_middles(windows),
        series=[
            Series("predictions", [float(window.rows) for window in windows], colour=1),
            Series("labelled", [float(window.labelled) for window in windows], colour=2),
            Series("failed", [float(window.operations.errors) for window in windows], colour=4),
        ],
        from_zero=True,
        x_label="Window",
        names=_names(windows),
    )


def microseconds(ms: float | None) -> float | None:
    return None if ms is None else ms * 1000
