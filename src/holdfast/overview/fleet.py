"""The fleet page: what needs me now?"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import msgspec

from holdfast.audit.records import AuditEntry
from holdfast.audit.words import describe_entry
from holdfast.monitoring.records import Summary
from holdfast.overview.health import Health, drift_level, drift_word, judge, needs_attention
from holdfast.predictions.records import Endpoint
from holdfast.web.wording import day_text, number_text, share_text

__all__ = ["Activity", "FleetRow", "FleetView", "build_fleet"]

_MOST_LINES = 8


class FleetRow(msgspec.Struct, frozen=True):
    """One endpoint of the fleet."""

    name: str
    model: str
    version: int | None
    kind: str
    word: str
    traffic: list[int]
    rows: int
    error: float | None
    reference: float | None
    is_harmed: bool
    drift_feature: str
    drift_word: str
    p99_us: float | None
    failed_share: float | None
    labelled_share: float | None
    label_delay_ms: int | None
    since: int | None
    incident: str


class Activity(msgspec.Struct, frozen=True):
    """One line of what happened last."""

    index: int
    time_ms: int
    sentence: str


class FleetView(msgspec.Struct, frozen=True):
    """What the fleet page shows."""

    kind: str
    sentence: str
    rows: list[FleetRow]
    activity: list[Activity]


def build_fleet(
    endpoints: Sequence[Endpoint],
    summaries: Mapping[str, Summary],
    live_since: Mapping[str, int],
    entries: Sequence[AuditEntry],
) -> FleetView:
    """The fleet, those that need attention first. `live_since` (ms UTC) and `summaries` are by endpoint name."""
    judged = [(endpoint, judge(endpoint, summaries.get(endpoint.name))) for endpoint in endpoints]
    order = {"harm": 0, "attention": 1, "busy": 2, "neutral": 3, "ok": 4}
    judged.sort(key=lambda pair: (order[pair[1].kind], pair[0].name))
    rows = [
        _row(endpoint, health, summaries.get(endpoint.name), live_since.get(endpoint.name))
        for endpoint, health in judged
    ]
    kind, sentence = _sentence(judged, summaries)
    return FleetView(kind, sentence, rows, _activity(entries))


def _activity(entries: Sequence[AuditEntry]) -> list[Activity]:
    """The latest entries, equal ones in a row as one line with their number."""
    lines: list[Activity] = []
    for sentence, group in itertools.groupby(entries, key=describe_entry):
        same = list(group)
        times = f", {len(same)} times" if len(same) > 1 else ""
        lines.append(Activity(same[0].index, same[0].time_ms, sentence + times))
    return lines[:_MOST_LINES]


def _sentence(judged: Sequence[tuple[Endpoint, Health]], summaries: Mapping[str, Summary]) -> tuple[str, str]:
    needy = [(endpoint, health) for endpoint, health in judged if needs_attention(health)]
    one = len(needy) == 1
    total = f"{len(judged):,} {'endpoint' if one and len(judged) == 1 else 'endpoints'}"
    text = f"{len(needy)} of {total} {'needs' if one else 'need'} attention"
    if needy:
        reasons = [_reason(endpoint, health, summaries.get(endpoint.name)) for endpoint, health in needy[:3]]
        more = f"; and {len(needy) - 3} more" if len(needy) > 3 else ""
        return needy[0][1].kind, f"{text}: {'; '.join(reasons)}{more}."
    open_ones = [f"{endpoint.name} ({health.word})" for endpoint, health in judged if health.kind != "ok"]
    if not open_ones:
        return "ok", f"{text}."
    more = f" and {len(open_ones) - 3} more" if len(open_ones) > 3 else ""
    return "neutral", f"{text}. Not judged by their errors: {', '.join(open_ones[:3])}{more}."


def _reason(endpoint: Endpoint, health: Health, summary: Summary | None) -> str:
    if summary is not None and summary.alert is not None:
        alert = summary.alert
        return (
            f"{endpoint.name} does harm since {day_text(alert.since)}, wrong in {share_text(alert.error)} "
            f"instead of {share_text(alert.reference_error)}"
        )
    return f"{endpoint.name}: {health.word}"


def _row(endpoint: Endpoint, health: Health, summary: Summary | None, since: int | None) -> FleetRow:
    latest = summary.latest if summary else None
    error = latest.metrics.get("error") if latest else None
    worst = summary.worst_input if summary else None
    drift = latest.drift.get(worst) if latest and worst else None
    level = drift_level(drift) if drift else None
    return FleetRow(
        name=endpoint.name,
        model=endpoint.model or "external",
        version=endpoint.live_version or endpoint.version,
        kind=health.kind,
        word=health.word,
        traffic=list(summary.traffic) if summary else [],
        rows=summary.rows if summary else 0,
        error=error.realised if error else None,
        reference=error.reference if error else None,
        is_harmed=bool(summary and summary.alert),
        drift_feature=worst if worst and level is not None and level >= 3 else "",
        drift_word=f"{drift_word(level)}, PSI {number_text(drift.psi, 2)}" if drift else "",
        p99_us=_us(latest.operations.p99_ms) if latest else None,
        failed_share=summary.failures / summary.rows if summary and summary.rows else None,
        labelled_share=summary.labelled / summary.rows if summary and summary.rows else None,
        label_delay_ms=summary.label_delay_ms if summary else None,
        since=since,
        incident=str(summary.alert.id) if summary and summary.alert else "",
    )


def _us(ms: float | None) -> float | None:
    return None if ms is None else ms * 1000
