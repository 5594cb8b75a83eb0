"""When an alert begins and when it ends: the rule, on counts of errors per bucket. Pure.

An alert is raised by the e-detector (`statistics.edetector`) of one version. It stays open until a later complete
window's realised error is back within the tolerated one; then the test starts again, from nothing, with the next
window.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np

from holdfast.kernel.times import Window
from holdfast.monitoring.buckets import group_by_window
from holdfast.monitoring.records import Bucket, Progress
from holdfast.monitoring.tally import LEAST_LABELS
from holdfast.statistics.edetector import detect

__all__ = ["Ended", "Raised", "WindowCount", "count_windows", "judge", "window_status"]

_COMPLETE_SHARE = 0.95
"""A window that is over is complete when this share of its rows has labels."""


_RIPE_SHARE = 0.9
"""A window that is not complete is looked at once it has this share of a complete window's usual labels,"""
_FIRST_SHARE = 0.5
"""or, before there is a complete window, labels for this share of its rows."""


class WindowCount(msgspec.Struct, frozen=True):
    """The rows of one window over all versions, and its status."""

    start: int
    end: int
    status: str
    rows: int
    judged: int
    errors: int


class Raised(msgspec.Struct, frozen=True):
    """The evidence sufficed in the bucket `detected`; the change most likely began with the bucket `since`."""

    since: int
    detected: int


class Ended(msgspec.Struct, frozen=True):
    """The complete window that ends at `recovered_at` was back within what is tolerated."""

    recovered_at: int


def window_status(
    window: Window, start: int, now: int, label_watermark: int | None, rows: int, labelled: int
) -> str:
    """`open` until the clock passes the window's end, then `waiting for labels`, then `complete`.

    Complete: 95 % of the rows have labels, or labels have come for a whole further window, so that these rows'
    will not come any more.
    """
    end = window.next(start)
    if now < end:
        return "open"
    is_over = label_watermark is not None and label_watermark >= window.next(end)
    return "complete" if is_over or labelled >= _COMPLETE_SHARE * rows else "waiting for labels"


def count_windows(
    buckets: Sequence[Bucket], window: Window, now: int, label_watermark: int | None
) -> list[WindowCount]:
    """The windows that hold any of `buckets` (in order of time), oldest first."""
    counts = []
    for start, held in group_by_window(buckets, window).items():
        rows, labelled = sum(b.rows for b in held), sum(b.labelled for b in held)
        status = window_status(window, start, now, label_watermark, rows, labelled)
        judged, errors = sum(b.judged for b in held), sum(b.errors for b in held)
        counts.append(WindowCount(start, window.next(start), status, rows, judged, errors))
    return counts


def judge(
    buckets: Sequence[Bucket],
    windows: Sequence[WindowCount],
    window: Window,
    tolerated: float,
    progress: Progress,
    open_since: int | None,
) -> tuple[Progress, list[Raised | Ended]]:
    """How far one version's test has come, and the alerts that began and ended, in order.

    `buckets` are this version's in order of time, `windows` the endpoint's; `open_since` is the bucket that
    raised the open alert, None without one. Running it again with the progress it gave changes nothing until
    there is more to see, so that folding twice raises no alert twice.
    """
    steps: list[Raised | Ended] = []
    while True:
        if open_since is not None:
            recovered = _recovery(windows, window.start_of(open_since), tolerated)
            if recovered is None:
                return progress, steps
            steps.append(Ended(recovered))
            progress = Progress(recovered, progress.tested_until)
        judged = [b for b in buckets if b.judged and b.start >= (progress.restart_from or b.start)]
        ripe = _ripe_starts(windows)
        judged = [b for b in judged if window.start_of(b.start) in ripe]
        raised = _look(judged, window, tolerated, progress) if judged else None
        if raised is None:
            if judged:
                progress = Progress(progress.restart_from, judged[-1].start)
            return progress, steps
        steps.append(raised)
        progress = Progress(progress.restart_from, raised.detected)
        open_since = raised.detected


def _recovery(windows: Sequence[WindowCount], raised_in: int, tolerated: float) -> int | None:
    """The end of the first complete window after `raised_in` whose error is tolerated.

    A window with too few labels to tell is judged together with those before it.
    """
    errors = judged = 0
    for counted in windows:
        if counted.start <= raised_in or counted.status != "complete":
            continue
        errors, judged = errors + counted.errors, judged + counted.judged
        if judged >= LEAST_LABELS:
            if errors <= tolerated * judged:
                return counted.end
            errors = judged = 0
    return None


def _ripe_starts(windows: Sequence[WindowCount]) -> frozenset[int]:
    """The windows with enough labels for their look: complete, or with nearly as many as complete ones have.

    Labels often come in parts, a window's first days first; a look at these alone would judge the window by them.
    Counts decide, not what the labels say, so the guarantee of the test stays.
    """
    complete = [counted.judged for counted in windows if counted.status == "complete"]
    usual = float(np.median(complete)) if complete else None

    def is_ripe(counted: WindowCount) -> bool:
        needed = _RIPE_SHARE * usual if usual is not None else _FIRST_SHARE * counted.rows
        return counted.status == "complete" or counted.judged >= needed

    return frozenset(counted.start for counted in windows if is_ripe(counted))


def _look(buckets: Sequence[Bucket], window: Window, tolerated: float, progress: Progress) -> Raised | None:
    """Look once at each window, at its latest bucket with labels, from the bucket last looked at on.

    Inside a window rows often fail together (a storm, a broken feed): looking after each day would raise alerts
    for windows that are within what is tolerated.
    """
    until = progress.tested_until
    starts = [window.start_of(bucket.start) for bucket in buckets]
    is_last = [*(start != following for start, following in pairwise(starts)), True]
    looks = [last and (until is None or b.start >= until) for b, last in zip(buckets, is_last, strict=True)]
    found = detect(
        np.array([bucket.errors for bucket in buckets], np.int64),
        np.array([bucket.judged for bucket in buckets], np.int64),
        np.array(starts, np.int64),
        tolerated,
        looks=np.array(looks, bool),
    )
    if found.alarm is None or found.since is None:
        return None
    return Raised(buckets[found.since].start, buckets[found.alarm].start)
