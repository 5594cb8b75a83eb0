"""Incidents in words: what broke, how bad, what now? Each stands for one alert."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from holdfast.monitoring.records import Alert, InputChange, MonitorReport
from holdfast.overview.performance import performance_chart
from holdfast.web.charts import Chart
from holdfast.web.wording import day_text, plural, share_text

__all__ = ["IncidentRow", "IncidentView", "Step", "build_incident", "build_incidents"]

_STATES = {"open": ("harm", "open"), "ended": ("ok", "ended")}


class IncidentRow(msgspec.Struct, frozen=True):
    """One incident of the list."""

    alert: Alert
    what: str
    kind: str
    word: str


class Step(msgspec.Struct, frozen=True):
    """One moment of the timeline; `is_event_time` tells the endpoint's clock from the wall's."""

    at: int
    is_event_time: bool
    kind: str
    text: str
    sub: str = ""


class IncidentView(msgspec.Struct, frozen=True):
    """What the page of an incident shows."""

    alert: Alert
    title: str
    kind: str
    word: str
    sentence: str
    inputs: list[tuple[InputChange, str]]
    """Each with what changed, in words."""
    extra: int
    """Wrong predictions beyond what the reference gives, over the labelled rows of the alert."""
    chart: Chart
    timeline: list[Step]


def build_incidents(alerts: Sequence[Alert]) -> tuple[str, str, list[IncidentRow]]:
    """Kind and sentence of the page, and its rows, open ones first."""
    running = [alert for alert in alerts if alert.state == "open"]
    rows = [
        IncidentRow(alert, _what(alert), *_STATES[alert.state])
        for alert in sorted(alerts, key=lambda alert: (alert.state != "open", -alert.raised_at))
    ]
    if not running:
        past = f" {plural(len(alerts), 'incident')} ended." if alerts else ""
        return "ok", f"No incident is open.{past}", rows
    names = sorted({alert.endpoint for alert in running})
    verb = "is" if len(running) == 1 else "are"
    first = min(alert.since for alert in running)
    return (
        "harm",
        f"{plural(len(running), 'incident')} {verb} open: {', '.join(names)}, with harm since {day_text(first)}.",
        rows,
    )


def _what(alert: Alert) -> str:
    wrong = f"wrong in {share_text(alert.error)} instead of {share_text(alert.reference_error)}"
    if alert.state == "open":
        return f"{alert.endpoint} is {wrong} since {day_text(alert.since)}"
    end = f" to {day_text(alert.recovered_at - 1)}" if alert.recovered_at else ""
    return f"{alert.endpoint} was {wrong} from {day_text(alert.since)}{end}"


def build_incident(alert: Alert, report: MonitorReport, alerts: Sequence[Alert]) -> IncidentView:
    """The page of one alert of `report`'s endpoint; `alerts` are all of that endpoint."""
    kind, word = _STATES[alert.state]
    return IncidentView(
        alert=alert,
        title=f"{alert.endpoint}: error above the reference",
        kind=kind,
        word=word,
        sentence=_ended(alert) + alert.text,
        inputs=[
            (one, one.text.removeprefix(f"PSI {one.psi:.2f}").removeprefix(", ")) for one in alert.inputs
        ],
        extra=max(0, round((alert.error - alert.reference_error) * alert.rows)),
        chart=performance_chart(report, alerts, "error"),
        timeline=_timeline(alert),
    )


def _ended(alert: Alert) -> str:
    if alert.state == "open":
        return ""
    return f"It ended on {day_text(alert.recovered_at - 1)}. " if alert.recovered_at else "It has ended. "


def _timeline(alert: Alert) -> list[Step]:
    steps = [
        Step(alert.since, True, "harm", "Harm began", "the day from which the errors are most likely higher"),
        Step(
            alert.detected_at,
            True,
            "harm",
            "Enough evidence",
            f"{plural(alert.rows, 'labelled prediction')} with {share_text(alert.error)} wrong; "
            f"more than {share_text(alert.alert_above)} is harm",
        ),
        Step(alert.raised_at, False, "busy", "Alert raised", f"version {alert.version} was answering"),
    ]
    if alert.recovered_at is not None:
        text = "Back within what is tolerated"
        steps.append(Step(alert.recovered_at, True, "ok", text, "the end of the first such complete window"))
    if alert.ended_at is not None:
        steps.append(Step(alert.ended_at, False, "ok", "Incident ended"))
    return steps
