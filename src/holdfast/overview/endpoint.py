"""An endpoint's page: is it doing well, and since when not?"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from holdfast.kernel.times import DAY_MS, parse_time
from holdfast.monitoring.records import Alert, Metric, MonitorReport, WindowReport
from holdfast.overview.drift import HeatLine, build_heads, build_heat
from holdfast.overview.health import Health
from holdfast.overview.performance import (
    METRIC_NAMES,
    SHARES,
    latency_chart,
    microseconds,
    performance_chart,
    volume_chart,
)
from holdfast.predictions.records import Endpoint
from holdfast.web.charts import Chart
from holdfast.web.wording import day_text, number_text, share_text, span_text

__all__ = ["EndpointView", "WindowRow", "build_endpoint"]

WINDOW_CHOICES = (("1d", "Day"), ("1w", "Week"), ("1mo", "Month"))
_NOTES = {
    "error": "share of wrong predictions per window, once the truth is known",
    "auc": "how well scores rank late before not; 0.5 is chance",
    "brier": "mean squared error of the probability, lower is better",
    "log_loss": "cost of confident mistakes, lower is better",
    "precision": "of those predicted positive, the share that was",
    "recall": "of the positives, the share that was found",
}
_SHOWN = 14


class WindowRow(msgspec.Struct, frozen=True):
    """One window of the table."""

    start: int
    end: int
    kind: str
    word: str
    rows: int
    labelled_share: float | None
    metrics: list[tuple[str, float | None, str]]
    """Name, value and what to say of it (interval or why it is missing)."""
    spread: float | None
    """Half the width of the error's interval, in percentage points."""
    drifted: str
    p99_us: float | None
    failed_share: float | None


class PastIncident(msgspec.Struct, frozen=True):
    """A link to an incident of this endpoint."""

    id: int
    text: str


class EndpointView(msgspec.Struct, frozen=True):
    """What the page of an endpoint shows."""

    endpoint: Endpoint
    report: MonitorReport
    kind: str
    word: str
    sentence: str
    advice: str
    incident: str
    incidents: list[PastIncident]
    window: str
    windows: list[tuple[str, str]]
    metric: str
    metrics: list[tuple[str, str]]
    metric_title: str
    metric_note: str
    performance: Chart
    heat: list[HeatLine]
    heat_heads: list[tuple[str, int]]
    """Label and start of each window."""
    latency: Chart
    volume: Chart
    columns: list[dict[str, object]]
    rows: list[WindowRow]
    total_windows: int
    is_cut: bool
    """Whether there may be older windows than those."""
    labelled_share: float | None
    clock_at: int | None


def build_endpoint(
    endpoint: Endpoint,
    report: MonitorReport,
    alerts: Sequence[Alert],
    metric: str,
    show_all: bool,
    limit: int,
) -> EndpointView:
    """The page over a monitor's report of at most `limit` windows.

    `metric` is the one to chart; an unknown one gives the first.
    """
    windows = report.windows
    keys = _metric_keys(windows)
    metric = metric if metric in keys else (keys[0] if keys else "error")
    open_alert = next((alert for alert in alerts if alert.state == "open"), None)
    health, sentence = _verdict(endpoint, report, alerts, open_alert)
    listed = [key for key in keys if key != "log_loss" or len(keys) <= 4]
    rows = [_row(report, window, listed, alerts) for window in reversed(windows)]
    predicted, labelled = sum(w.rows for w in windows), sum(w.labelled for w in windows)
    choices = list(WINDOW_CHOICES)
    if report.window not in dict(choices):
        choices.insert(0, (report.window, report.window))
    return EndpointView(
        endpoint=endpoint,
        report=report,
        kind=health.kind,
        word=health.word,
        sentence=sentence,
        advice=open_alert.advice if open_alert else "",
        incident=str(open_alert.id) if open_alert else "",
        incidents=[_past(alert) for alert in sorted(alerts, key=lambda alert: -alert.since)],
        window=report.window,
        windows=choices,
        metric=metric,
        metrics=[(key, METRIC_NAMES.get(key, key)) for key in keys],
        metric_title=METRIC_NAMES.get(metric, metric),
        metric_note=_NOTES.get(metric, "per window, once the truth is known"),
        performance=performance_chart(report, alerts, metric),
        heat=build_heat(windows),
        heat_heads=build_heads(windows),
        latency=latency_chart(windows),
        volume=volume_chart(windows),
        columns=_columns(listed),
        rows=rows if show_all else rows[:_SHOWN],
        total_windows=len(rows),
        is_cut=len(rows) >= limit,
        labelled_share=labelled / predicted if predicted else None,
        clock_at=parse_time(report.watermark) if report.watermark else None,
    )


def _past(alert: Alert) -> PastIncident:
    if alert.state == "open":
        return PastIncident(alert.id, f"since {day_text(alert.since)}")
    end = f" to {day_text(alert.recovered_at - 1)}" if alert.recovered_at else ", ended"
    return PastIncident(alert.id, f"{day_text(alert.since)}{end}")


def _metric_keys(windows: Sequence[WindowReport]) -> list[str]:
    found = {key for window in windows for key in window.metrics}
    return [key for key in METRIC_NAMES if key in found] + sorted(found - METRIC_NAMES.keys())


def _verdict(
    endpoint: Endpoint, report: MonitorReport, alerts: Sequence[Alert], open_alert: Alert | None
) -> tuple[Health, str]:
    if open_alert is not None:
        return Health("harm", "does harm"), open_alert.text
    if endpoint.status == "failed":
        return Health("harm", "failed"), f"The last deployment failed: {endpoint.message}"
    if endpoint.status in ("preparing", "starting"):
        what = f"Version {endpoint.version} of {endpoint.model}"
        return Health("busy", endpoint.status), f"{what} is {endpoint.status}. {endpoint.message}".strip()
    judged = [window for window in report.windows if _realised(window) is not None]
    latest = next((window for window in reversed(judged) if window.status == "complete"), None)
    if report.state != "monitoring" or latest is None:
        word = {"no data": "no predictions", "no truth": "drift alone"}.get(report.state, report.state)
        waiting = report.state == "monitoring"
        text = report.message or "Predictions have come; it waits for their labels to judge them."
        return Health("neutral", "waiting for labels" if waiting else word), text
    above = report.rule.alert_above
    if above is not None and (_realised(latest) or 0.0) > above:
        return Health("attention", "above tolerance"), _judgement(
            report, latest, alerts, "It may be doing harm"
        )
    return Health("ok", "doing well"), _judgement(report, latest, alerts, "It is doing well")


def _judgement(report: MonitorReport, latest: WindowReport, alerts: Sequence[Alert], verdict: str) -> str:
    error = latest.metrics["error"]
    when = span_text(parse_time(latest.start), parse_time(latest.end))
    text = f"{verdict}: wrong in {share_text(error.realised or 0.0)} in {when}, the last complete window"
    if error.reference is not None:
        text += f"; on the reference it is {share_text(error.reference)}"
    above = report.rule.alert_above
    if above is not None and (error.realised or 0.0) > above:
        text += (
            f", and more than {share_text(above)} is harm, but the evidence is not enough for an alert yet"
        )
    elif above is not None:
        text += f", and up to {share_text(above)} is tolerated"
    ended = [alert for alert in alerts if alert.state != "open"]
    if ended:
        last = max(ended, key=lambda alert: alert.since)
        text += f". It did harm before, last from {day_text(last.since)}"
        text += f" to {day_text(last.recovered_at - 1)}" if last.recovered_at else ""
    return text + "."


def _realised(window: WindowReport) -> float | None:
    metric = window.metrics.get("error")
    return metric.realised if metric else None


def _columns(keys: Sequence[str]) -> list[dict[str, object]]:
    columns: list[dict[str, object]] = [
        {"label": "Window"},
        {"label": "State"},
        {"label": "Predictions", "num": True},
        {"label": "Labelled", "num": True},
    ]
    short = {"error": "Error", "brier": "Brier", "mae": "MAE", "rmse": "RMSE"}
    columns += [
        {"label": short.get(key, METRIC_NAMES.get(key, key)), "num": True, "title": _NOTES.get(key, "")}
        for key in keys
    ]
    return [
        *columns,
        {"label": "Drifted inputs"},
        {"label": "p99", "num": True},
        {"label": "Failed", "num": True},
    ]


def _row(
    report: MonitorReport, window: WindowReport, keys: Sequence[str], alerts: Sequence[Alert]
) -> WindowRow:
    start, end = parse_time(window.start), parse_time(window.end)
    drifted = sorted(
        (name for name, drift in window.drift.items() if drift.drifted),
        key=lambda name: -window.drift[name].psi,
    )
    harmed = any(
        alert.since < end and start < (alert.recovered_at or alert.detected_at + 40_000 * DAY_MS)
        for alert in alerts
    )
    error = window.metrics.get("error")
    above = report.rule.alert_above
    is_above = bool(error and error.realised is not None and above is not None and error.realised > above)
    kind, word = "neutral", window.status
    if window.status == "complete" and above is not None and error and error.realised is not None:
        kind, word = ("harm", "harm") if harmed and is_above else ("ok", "in tolerance")
    operations = window.operations
    return WindowRow(
        start=start,
        end=end,
        kind=kind,
        word=word,
        rows=window.rows,
        labelled_share=window.labelled_share,
        metrics=[_metric_cell(key, window.metrics.get(key)) for key in keys],
        spread=(error.interval[1] - error.interval[0]) * 50 if error and error.interval else None,
        drifted=", ".join(drifted[:2]) + (f" + {len(drifted) - 2}" if len(drifted) > 2 else ""),
        p99_us=microseconds(operations.p99_ms),
        failed_share=operations.errors / operations.requests if operations.requests else None,
    )


def _metric_cell(key: str, metric: Metric | None) -> tuple[str, float | None, str]:
    if metric is None or metric.realised is None:
        return key, None, metric.reason if metric else ""
    if metric.interval is None:
        return key, metric.realised, ""
    low, high = metric.interval
    if key in SHARES:
        return key, metric.realised, f"95% interval {share_text(low)} – {share_text(high)}"
    return key, metric.realised, f"95% interval {number_text(low, 3)} – {number_text(high, 3)}"
