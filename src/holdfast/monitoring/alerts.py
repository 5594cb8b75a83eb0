"""An alert from the evidence that raised it: how bad, since when, which inputs changed most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.kernel.times import parse_window
from holdfast.monitoring.decide import Raised
from holdfast.monitoring.profile import Profile
from holdfast.monitoring.records import Alert, Bucket, InputChange
from holdfast.monitoring.windows import drift_of, sum_windows
from holdfast.monitoring.wording import alert_advice, alert_text, input_change
from holdfast.predictions.records import Endpoint
from holdfast.statistics.intervals import wilson_interval

__all__ = ["describe_alert"]

_MOST_INPUTS = 10


def describe_alert(
    endpoint: Endpoint,
    version: int,
    profile: Profile,
    span: Sequence[Bucket],
    bodies: Mapping[tuple[int, int], bytes],
    raised: Raised,
    grain_ms: int,
    now_ms: int,
) -> Alert:
    """The alert that was raised, numbered 0 until it is stored.

    `span` are `version`'s buckets, with their bodies, from the window in which the change most likely began: its
    inputs are compared over whole windows, so that days of the week have their due parts.
    """
    since, detected = raised.since, raised.detected
    wrong = [bucket for bucket in span if bucket.start >= since]
    errors, judged = sum(bucket.errors for bucket in wrong), sum(bucket.judged for bucket in wrong)
    inputs = _changes(version, profile, span, bodies)
    error, interval = errors / judged, wilson_interval(errors, judged)
    reference_error = profile.errors / profile.judged
    return Alert(
        id=0,
        endpoint=endpoint.name,
        version=version,
        state="open",
        verdict="harmful",
        since=since,
        detected_at=detected + grain_ms,
        window_start=parse_window(endpoint.window).start_of(detected),
        raised_at=now_ms,
        ended_at=None,
        recovered_at=None,
        error=error,
        interval=interval,
        rows=judged,
        reference_error=reference_error,
        alert_above=profile.tolerated or 1.0,
        inputs=inputs,
        text=alert_text(error, interval, judged, since, reference_error, inputs),
        advice=alert_advice(since, inputs),
    )


def _changes(
    version: int, profile: Profile, span: Sequence[Bucket], bodies: Mapping[tuple[int, int], bytes]
) -> list[InputChange]:
    """The columns by how much they changed over the span, the most first; the prediction is not an input."""
    sums = sum_windows({span[0].start: span}, bodies, {version: profile})
    (drift,) = drift_of(list(sums.values()))
    changes = [input_change(name, found) for name, found in drift.items() if name != "prediction"]
    return sorted(changes, key=lambda change: -change.psi)[:_MOST_INPUTS]
