"""The monitor's document of an endpoint, put together from what is stored. Pure; needs numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.kernel.times import DAY_MS, Window, iso
from holdfast.monitoring.buckets import group_by_window
from holdfast.monitoring.decide import count_windows
from holdfast.monitoring.profile import (
    BOUND_DELTA,
    TOLERANCE,
    Profile,
    grain_of,
    main_version,
    reference_identity,
)
from holdfast.monitoring.records import (
    Alert,
    AlertMark,
    AlertRule,
    Bucket,
    FeatureDrift,
    FoldState,
    MonitorReport,
    Operations,
    ReferenceReport,
    WindowReport,
)
from holdfast.monitoring.store import profile_id
from holdfast.monitoring.windows import WindowSums, drift_of, metrics_of, operations_of, sum_windows
from holdfast.monitoring.wording import reference_text, rule_text, state_text
from holdfast.predictions.records import Endpoint
from holdfast.statistics.edetector import ALPHA

__all__ = ["Timeline", "make_report", "state_of", "window_reports", "worst_drift"]

_MOST_GAPS = 2_000


class Timeline:
    """The usable buckets of an endpoint and the windows that they fall into.

    Buckets whose reference or size has just been replaced wait to be counted anew and are left out. `is_counting` tells that
    rows are missing for that reason, or will be once the fold that is due has begun.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        window: Window,
        state: FoldState,
        buckets: Sequence[Bucket],
        profiles: Mapping[int, Profile],
        now_ms: int,
    ) -> None:
        names = {version: profile_id(profile) for version, profile in profiles.items()}
        self.window, self.profiles = window, profiles
        is_coarse = (
            window.is_under_a_day and state.grain_ms >= DAY_MS
        )  # windows of hours, buckets still of days
        self.buckets = [b for b in buckets if names.get(b.version) == b.reference_id and not is_coarse]
        self.is_counting = bool(buckets) and (
            len(self.buckets) < len(buckets) or _is_recounted(endpoint, state, profiles)
        )
        self.watermark = max((b.last_event for b in self.buckets), default=None)
        self.label_watermark = max(
            (b.last_label for b in self.buckets if b.last_label is not None), default=None
        )
        self.is_on_wall_clock = endpoint.clock != "event"
        now = now_ms if self.is_on_wall_clock else self.watermark or 0
        self.counts = {w.start: w for w in count_windows(self.buckets, window, now, self.label_watermark)}
        self.groups = group_by_window(self.buckets, window)

    def starts(self) -> list[int]:
        """The windows, oldest first, those without rows between others included unless these are very many."""
        held = list(self.groups)
        if not held:
            return []
        filled = [held[0]]
        while filled[-1] < held[-1] and len(filled) <= _MOST_GAPS:
            filled.append(self.window.next(filled[-1]))
        return filled if filled[-1] == held[-1] else held

    def sums(self, starts: Sequence[int], bodies: Mapping[tuple[int, int], bytes]) -> dict[int, WindowSums]:
        """The summed vectors of those of `starts` that hold buckets whose bodies are given."""
        groups = {
            start: [b for b in self.groups[start] if (b.start, b.version) in bodies]
            for start in starts
            if start in self.groups
        }
        return sum_windows({start: held for start, held in groups.items() if held}, bodies, self.profiles)


def _is_recounted(endpoint: Endpoint, state: FoldState, profiles: Mapping[int, Profile]) -> bool:
    """Whether every bucket waits to be counted, or the first fold has not come to its end."""
    known = profiles.get(main_version(endpoint))
    return (
        not state.cursor
        or state.grain_ms != grain_of(endpoint)
        or (known is not None and known.identity != reference_identity(endpoint))
    )


def window_reports(
    timeline: Timeline,
    starts: Sequence[int],
    bodies: Mapping[tuple[int, int], bytes],
    alerts: Sequence[Alert],
) -> list[WindowReport]:
    """The windows that begin at `starts`."""
    sums = timeline.sums(starts, bodies)
    drifts = dict(zip(sums, drift_of(list(sums.values())), strict=True))
    reports = []
    for start in starts:
        marks = [_mark(alert) for alert in alerts if timeline.window.start_of(alert.detected_at - 1) == start]
        if start in sums:
            reports.append(_window(timeline, start, sums[start], drifts[start], marks))
        else:
            reports.append(_empty(timeline, start, marks))
    return reports


def _window(
    timeline: Timeline, start: int, sums: WindowSums, drift: dict[str, FeatureDrift], marks: list[AlertMark]
) -> WindowReport:
    rows, labelled = sums["rows"], sums["labelled"]
    return WindowReport(
        start=iso(start),
        end=iso(timeline.window.next(start)),
        status=timeline.counts[start].status,
        rows=rows,
        labelled=labelled,
        labelled_share=labelled / rows if rows else None,
        version=sums.version or None,
        metrics=metrics_of(sums),
        drift=drift,
        operations=operations_of(sums),
        alerts=marks,
        label_delay_ms=sums.label_delay_ms if timeline.is_on_wall_clock else None,
    )


def _empty(timeline: Timeline, start: int, marks: list[AlertMark]) -> WindowReport:
    nothing = Operations(0, 0, None, None, None)
    end = iso(timeline.window.next(start))
    return WindowReport(iso(start), end, "complete", 0, 0, None, None, {}, {}, nothing, marks)


def _mark(alert: Alert) -> AlertMark:
    """An alert as its window shows it."""
    return AlertMark(alert.id, iso(alert.since), iso(alert.raised_at), alert.state, alert.verdict, alert.text)


def make_report(
    endpoint: Endpoint, timeline: Timeline, main: int, windows: list[WindowReport], earlier: int = 0
) -> MonitorReport:
    """The whole document; `main` is the version whose reference and rule stand at its head.

    `earlier` windows stand before those given.
    """
    profile = timeline.profiles.get(main)
    seen = sum(bucket.rows for bucket in timeline.buckets if bucket.version == main)
    state = state_of(timeline, profile)
    return MonitorReport(
        endpoint=endpoint.name,
        clock=endpoint.clock,
        window=timeline.window.text,
        task=endpoint.task or (profile.task if profile is not None and profile.columns else ""),
        state=state,
        message=state_text(state, profile, seen),
        watermark=None if timeline.watermark is None else iso(timeline.watermark),
        label_watermark=None if timeline.label_watermark is None else iso(timeline.label_watermark),
        reference=_reference(profile, main, seen),
        rule=_rule(profile),
        windows=windows,
        earlier_windows=earlier,
    )


def state_of(timeline: Timeline, profile: Profile | None) -> str:
    """`counting`, `no data`, `learning`, `no truth` or `monitoring`; `profile` is the main version's."""
    if timeline.is_counting:
        return "counting"
    if not any(bucket.rows for bucket in timeline.buckets):
        return "no data"
    if profile is None or not profile.columns:
        return "learning"
    return "monitoring" if profile.metrics else "no truth"


def _reference(profile: Profile | None, main: int, seen: int) -> ReferenceReport:
    text = reference_text(profile, seen)
    if profile is None:
        return ReferenceReport("learning", main or None, 0, 0, {}, text)
    return ReferenceReport(
        profile.source, main or None, profile.rows, profile.compared, profile.metrics, text
    )


def _rule(profile: Profile | None) -> AlertRule:
    tolerated = None if profile is None else profile.tolerated
    has_error = profile is not None and tolerated is not None
    return AlertRule(
        reference_error=profile.errors / profile.judged if profile is not None and has_error else None,
        tolerance=TOLERANCE,
        alert_above=tolerated if tolerated is not None and tolerated < 1.0 else None,
        confidence=1.0 - BOUND_DELTA,
        windows_per_false_alarm=round(1.0 / ALPHA),
        text=rule_text(profile),
    )


def worst_drift(report: WindowReport) -> tuple[str | None, float | None]:
    """The input that moved furthest, and its PSI; a flagged one before those that are not."""
    inputs = {name: drift for name, drift in report.drift.items() if name != "prediction"}
    if not inputs:
        return None, None
    name = max(inputs, key=lambda name: (inputs[name].drifted, inputs[name].psi))
    return name, inputs[name].psi
