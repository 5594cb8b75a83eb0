from __future__ import annotations

import numpy as np
import pytest

from holdfast.kernel.times import DAY_MS, parse_window
from holdfast.monitoring.decide import Ended, Raised, count_windows, judge, window_status
from holdfast.monitoring.records import Bucket, Progress
from tests.monitoring.conftest import MONDAY

WEEK = parse_window("1w")
WEEK_MS = 7 * DAY_MS


def days(rates: list[float], seed: int = 0, rows: int = 72) -> list[Bucket]:
    """Seven daily buckets for each week's error rate, all labelled."""
    rng = np.random.default_rng(seed)
    buckets = []
    for day, rate in enumerate(np.repeat(rates, 7)):
        start, errors = MONDAY + day * DAY_MS, int(rng.binomial(rows, rate))
        buckets.append(Bucket(1, start, "r", rows, 0, rows, rows, errors, start + 1, start + 1))
    return buckets


def look(
    buckets: list[Bucket], progress: Progress | None = None, open_since: int | None = None
) -> tuple[Progress, list[Raised | Ended]]:
    newest = max(bucket.last_event for bucket in buckets)
    windows = count_windows(buckets, WEEK, newest + DAY_MS, newest)
    return judge(buckets, windows, WEEK, 0.22, progress or Progress(), open_since)


def week_of(ms: int) -> int:
    return (WEEK.start_of(ms) - MONDAY) // WEEK_MS


def test_an_alert_begins_with_harm_ends_with_recovery_and_may_begin_again() -> None:
    _, steps = look(days([0.2] * 5 + [0.35] * 4 + [0.2] * 3 + [0.4] * 2 + [0.1]))
    kinds = [type(step) for step in steps]
    assert kinds == [Raised, Ended, Raised, Ended]
    first, ended, second, _ = steps
    assert isinstance(first, Raised) and isinstance(ended, Ended) and isinstance(second, Raised)
    assert week_of(first.detected) == 5 and week_of(first.since) == 5
    assert ended.recovered_at == MONDAY + 10 * WEEK_MS
    assert week_of(second.detected) == 12


def test_looking_again_at_the_same_labels_changes_nothing() -> None:
    buckets = days([0.2] * 5 + [0.35] * 2)
    progress, steps = look(buckets)
    assert [type(step) for step in steps] == [Raised]
    assert isinstance(steps[0], Raised)
    again, none = look(buckets, progress, steps[0].detected)
    assert (again, none) == (progress, [])


def test_week_by_week_gives_the_same_alerts_as_all_at_once() -> None:
    buckets = days([0.2] * 4 + [0.33] * 3 + [0.18] * 3 + [0.36] * 2, seed=3)
    _, at_once = look(buckets)
    progress, since, steps = Progress(), None, []
    for end in range(7, len(buckets) + 1, 7):
        progress, found = look(buckets[:end], progress, since)
        steps += found
        for step in found:
            since = step.detected if isinstance(step, Raised) else None
    assert steps == at_once


@pytest.mark.parametrize("seed", range(5))
def test_ten_points_more_are_found_in_the_same_window_mostly(seed: int) -> None:
    found = [look(days([0.2] * 4 + [0.31] * 4, seed=100 * seed + i))[1] for i in range(20)]
    weeks = [week_of(steps[0].detected) for steps in found if steps and isinstance(steps[0], Raised)]
    assert len(weeks) == 20 and min(weeks) >= 4
    assert np.median(weeks) == 4


def test_a_bad_day_in_a_tolerated_week_is_no_harm() -> None:
    buckets = days([0.1] * 3)
    storm = buckets[15]
    buckets[15] = Bucket(1, storm.start, "r", 72, 0, 72, 72, 45, storm.last_event, storm.last_label)
    assert look(buckets)[1] == []


def test_late_labels_of_an_old_window_do_not_raise_an_alert_in_the_past() -> None:
    buckets = days([0.2] * 6)
    progress, steps = look(buckets)
    assert steps == [] and progress.tested_until == buckets[-1].start
    worse = [
        Bucket(
            1,
            b.start,
            "r",
            72,
            0,
            72,
            72,
            60 if week_of(b.start) == 2 else b.errors,
            b.last_event,
            b.last_label,
        )
        for b in buckets
    ]
    _, steps = look(worse, progress)
    assert all(isinstance(step, Raised) and week_of(step.detected) == 5 for step in steps)


def test_windows_without_labels_neither_raise_nor_end_an_alert() -> None:
    silent = [
        Bucket(1, MONDAY + day * DAY_MS, "r", 50, 0, 0, 0, 0, MONDAY + day * DAY_MS, None)
        for day in range(70)
    ]
    assert look(silent) == (Progress(), [])
    assert look(silent, Progress(), MONDAY + 1)[1] == []


@pytest.mark.parametrize(
    ("now", "labels", "labelled", "status"),
    [
        (MONDAY + WEEK_MS - 1, None, 100, "open"),
        (MONDAY + WEEK_MS, None, 0, "waiting for labels"),
        (MONDAY + WEEK_MS, MONDAY + DAY_MS, 94, "waiting for labels"),
        (MONDAY + WEEK_MS, MONDAY + DAY_MS, 95, "complete"),
        (MONDAY + 9 * WEEK_MS, MONDAY + 2 * WEEK_MS, 10, "complete"),
    ],
)
def test_window_status(now: int, labels: int | None, labelled: int, status: str) -> None:
    assert window_status(WEEK, MONDAY, now, labels, 100, labelled) == status


def test_a_bad_begin_of_a_week_that_turns_out_well_raises_nothing() -> None:
    buckets = days([0.2] * 4)
    for day, rate in enumerate([0.9, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05]):
        start = MONDAY + (28 + day) * DAY_MS
        buckets.append(Bucket(1, start, "r", 72, 0, 72, 72, round(72 * rate), start + 1, start + 1))
    progress, steps = Progress(), []
    for end in range(7, len(buckets) + 1):
        progress, found = look(buckets[:end], progress)
        steps += found
    assert steps == []
