"""A made-up year of one endpoint, as the monitor reports it: harm in its third month, recovered in its fifth."""

from __future__ import annotations

from holdfast.kernel.times import DAY_MS, iso, parse_time
from holdfast.monitoring.records import (
    Alert,
    AlertRule,
    FeatureDrift,
    InputChange,
    Metric,
    MonitorReport,
    Operations,
    ReferenceReport,
    ReferenceValue,
    Summary,
    WindowReport,
)
from holdfast.predictions.records import Endpoint, Reference

START = parse_time("2013-03-04")
WEEK = 7 * DAY_MS
HARM = range(10, 18)


def make_endpoint(**changes: object) -> Endpoint:
    fields: dict[str, object] = {
        "endpoint_id": "e1", "workspace_id": "default", "name": "flight-delays", "kind": "served",
        "clock": "event", "window": "1w", "task": "binary", "target": "late", "positive": "1",
        "classes": ["0", "1"], "model": "flights", "version": 2, "deployable_digest": "ab" * 32,
        "live_version": 2, "status": "live", "message": "", "reference": Reference("model", "", 10262),
        "signature": {"inputs": [{"name": "temp", "type": "double"}, {"name": "carrier", "type": "string"}]},
        "state": "active", "created_at": START, "updated_at": START,
    }  # fmt: skip
    return Endpoint(**{**fields, **changes})  # type: ignore[arg-type]


def make_window(week: int, *, complete: bool = True) -> WindowReport:
    error = 0.325 if week in HARM else 0.236 + (week % 5) * 0.004
    moved = 0.12 + 0.04 * (week % 10) if week >= 9 else 0.02
    start = START + week * WEEK
    return WindowReport(
        start=iso(start),
        end=iso(start + WEEK),
        status="complete" if complete else "waiting for labels",
        rows=6021,
        labelled=5903 if complete else 12,
        labelled_share=5903 / 6021 if complete else 12 / 6021,
        version=1 if week < 26 else 2,
        metrics={
            "error": _metric(error, 0.012, 0.24) if complete else _missing(0.24),
            "auc": _metric(0.66, 0.01, 0.686) if complete else _missing(0.686),
            "brier": _metric(0.19, 0.004, 0.175) if complete else _missing(0.175),
            "log_loss": _metric(0.56, 0.01, 0.53) if complete else _missing(0.53),
            "precision": _metric(0.51, 0.02, 0.55) if complete else _missing(0.55),
            "recall": _metric(0.31, 0.02, 0.28) if complete else _missing(0.28),
        },
        drift={
            "temp": _drift(moved),
            "dewp": _drift(moved * 0.7),
            **{
                name: _drift(0.01 * (index % 4))
                for index, name in enumerate(("carrier", "dest", "origin", "hour"))
            },
            "prediction": _drift(0.05),
        },
        operations=Operations(6023, 2, 0.4, 0.9, 1.9),
        alerts=[],
    )


def make_report(weeks: int = 44, *, window: str = "1w") -> MonitorReport:
    windows = [make_window(week, complete=week < weeks - 1) for week in range(weeks)]
    values = {
        "error": 0.24,
        "auc": 0.686,
        "brier": 0.175,
        "log_loss": 0.53,
        "precision": 0.55,
        "recall": 0.28,
    }
    return MonitorReport(
        endpoint="flight-delays",
        clock="event",
        window=window,
        task="binary",
        state="monitoring" if weeks else "no data",
        message="" if weeks else "No predictions have come yet.",
        watermark=iso(START + weeks * WEEK),
        label_watermark=iso(START + (weeks - 1) * WEEK),
        reference=ReferenceReport(
            "model", 2, 10262, 10262,
            {key: ReferenceValue(value, (value - 0.008, value + 0.008)) for key, value in values.items()},
            "10,262 rows that version 2 was not fitted on",
        ),
        rule=AlertRule(
            0.24, 0.01, 0.25, 0.95, 10_000,
            "An alert is raised when the realised error is above 25.0 %; a false one comes once in 10,000 windows.",
        ),
        windows=windows,
    )  # fmt: skip


def make_alert(*, is_open: bool = False) -> Alert:
    return Alert(
        id=4,
        endpoint="flight-delays",
        version=1,
        state="open" if is_open else "ended",
        verdict="harm",
        since=START + 10 * WEEK,
        detected_at=START + 11 * WEEK,
        window_start=START + 10 * WEEK,
        raised_at=1_790_000_000_000,
        ended_at=None if is_open else 1_790_000_600_000,
        recovered_at=None if is_open else START + 19 * WEEK,
        error=0.325,
        interval=(0.313, 0.337),
        rows=11806,
        reference_error=0.24,
        alert_above=0.25,
        inputs=[
            InputChange("temp", 0.31, True, "mean 76 instead of 38"),
            InputChange("dewp", 0.21, True, "mean 61 instead of 25"),
        ],
        text="Since 13 May 2013 it is wrong in 32.5% of its predictions, 8.5 points more than its reference.",
        advice="Retrain on newer rows, or roll back.",
    )


def make_summary(*, alert: Alert | None = None, state: str = "monitoring") -> Summary:
    return Summary(
        endpoint="flight-delays",
        state=state,
        message="",
        watermark=iso(START + 44 * WEEK),
        rows=264_924,
        labelled=259_732,
        failures=88,
        label_delay_ms=7 * DAY_MS,
        traffic=[5800 + 40 * (week % 9) for week in range(30)],
        latest=make_window(12),
        worst_input="temp",
        worst_psi=0.2,
        alert=alert,
    )


def _metric(value: float, half: float, reference: float) -> Metric:
    return Metric(value, (value - half, value + half), reference)


def _missing(reference: float) -> Metric:
    return Metric(None, None, reference, "12 labels of 500 needed")


def _drift(psi: float) -> FeatureDrift:
    return FeatureDrift(psi, psi / 2, psi / 3, 1.0, 10.0, psi > 0.1, 0.1, 0.0, 0.0, 50.0, 0.0, 40.0)
