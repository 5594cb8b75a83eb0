from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.statistics.edetector import bets, detect, log_e_values
from holdfast.statistics.intervals import upper_bound

DAYS = np.array([72, 72, 72, 71, 71, 71, 71])  # 500 rows a week


def weeks(rng: np.random.Generator, rates: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rows = np.tile(DAYS, len(rates))
    return rng.binomial(rows, np.repeat(rates, 7)), rows, np.repeat(np.arange(len(rates)), 7)


@pytest.mark.parametrize("tolerated", [0.001, 0.21, 0.5, 0.98])
def test_no_bet_wins_on_average_at_the_tolerated_rate(tolerated: float) -> None:
    wrong, right = np.exp(log_e_values(np.array([1, 0]), np.array([1, 1]), tolerated))
    assert np.allclose(tolerated * wrong + (1 - tolerated) * right, 1.0)
    assert (right > 0).all() and (bets(tolerated) > 0).all()


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60)), min_size=1, max_size=12), st.integers(0, 9)
)
def test_evidence_equals_the_recursion_written_out(days: list[tuple[int, int]], seed: int) -> None:
    errors = np.array([min(day) for day in days])
    rows = np.array([day[1] for day in days])
    windows = np.sort(np.random.default_rng(seed).integers(0, 4, len(days)))
    grid, total, started = bets(0.2), np.zeros(len(bets(0.2))), -1
    expected = []
    for k, n, window in zip(errors, rows, windows, strict=True):
        if n and window != started:
            total, started = total + 1.0, window
        total = total * (1 + grid * 0.8) ** k * (1 - grid * 0.2) ** (n - k)
        expected.append(total.mean())
    found = detect(errors, rows, windows, 0.2, alpha=1e-300)
    assert np.allclose(np.exp(found.evidence), expected)


def test_false_alarms_are_rarer_than_one_in_a_thousand_windows_at_the_worst_case() -> None:
    rng, alarms, seen = np.random.default_rng(0), 0, 0
    for _ in range(25):
        found = detect(*weeks(rng, [0.21] * 600), 0.21)
        seen += 600 if found.alarm is None else found.alarm // 7 + 1
        alarms += found.alarm is not None
    assert alarms / seen < 1 / 1000


def test_two_hundred_windows_like_the_reference_raise_none() -> None:
    rng = np.random.default_rng(5)
    reference = rng.uniform(size=5000) < 0.2
    tolerated = upper_bound(int(reference.sum()), 5000, 0.05) + 0.01
    errors = [rng.choice(reference, n).sum() for n in np.tile(DAYS, 200)]
    found = detect(np.array(errors), np.tile(DAYS, 200), np.repeat(np.arange(200), 7), tolerated)
    assert found.alarm is None


@pytest.mark.parametrize(("rise", "within"), [(0.10, 1), (0.046, 7)])
def test_a_rise_is_found_within_few_windows(rise: float, within: int) -> None:
    rng, delays = np.random.default_rng(6), []
    for _ in range(100):
        tolerated = upper_bound(rng.binomial(10_000, 0.2), 10_000, 0.05) + 0.01
        found = detect(*weeks(rng, [0.2] * 10 + [0.2 + rise] * 40), tolerated)
        assert found.alarm is not None
        delays.append(found.alarm // 7 - 9)
    assert np.median(delays) <= within
    assert min(delays) >= 1


def test_since_is_near_the_change_not_at_the_alarm() -> None:
    rng, starts = np.random.default_rng(7), []
    for _ in range(50):
        found = detect(*weeks(rng, [0.2] * 10 + [0.27] * 30), 0.21)
        assert found.since is not None and found.alarm is not None and found.since <= found.alarm
        starts.append(found.since)
    assert abs(np.median(starts) - 70) <= 7


def test_it_looks_only_where_it_is_told_to() -> None:
    errors, rows, windows = np.array([90, 10, 10]), np.array([100, 100, 100]), np.array([0, 1, 2])
    assert detect(errors, rows, windows, 0.2).alarm == 0
    assert detect(errors, rows, windows, 0.2, looks=np.array([False, True, True])).alarm == 1
    assert detect(errors, rows, windows, 0.2, looks=np.zeros(3, bool)).alarm is None


def test_windows_without_labels_are_no_evidence() -> None:
    nothing = np.zeros(5000, np.int64)
    found = detect(nothing, nothing, np.arange(5000), 0.2)
    assert found.alarm is None and np.isneginf(found.evidence).all()


@pytest.mark.parametrize("tolerated", [1.0, 1.01])
def test_where_no_rate_is_too_high_nothing_alarms(tolerated: float) -> None:
    assert detect(np.array([500]), np.array([500]), np.array([0]), tolerated).alarm is None


def test_a_million_rows_do_not_overflow() -> None:
    found = detect(np.array([900_000] * 3), np.array([1_000_000] * 3), np.arange(3), 0.2)
    assert found.alarm == 0
    quiet = detect(np.array([0] * 3), np.array([1_000_000] * 3), np.arange(3), 0.2)
    assert quiet.alarm is None and np.isfinite(quiet.evidence).all()
