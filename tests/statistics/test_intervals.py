from __future__ import annotations

import math

import pytest
from scipy import stats

from holdfast.statistics.intervals import mean_interval, upper_bound, wilson_interval


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (1, 3), (10, 10), (240, 1000)])
def test_wilson_equals_scipy(successes: int, trials: int) -> None:
    expected = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_without_trials_says_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (2268, 9527)])
def test_upper_bound_is_where_so_few_successes_become_unlikely(successes: int, trials: int) -> None:
    assert stats.binom.cdf(successes, trials, upper_bound(successes, trials, 0.05)) == pytest.approx(0.05)


def test_upper_bound_without_knowledge_is_one() -> None:
    assert upper_bound(0, 0, 0.05) == 1.0
    assert upper_bound(7, 7, 0.05) == 1.0


def test_mean_interval() -> None:
    values = [0.1, 0.4, 0.2, 0.9]
    interval = mean_interval(4, sum(values), sum(v * v for v in values))
    assert interval is not None
    half = 1.959964 * stats.tstd(values) / math.sqrt(4)
    assert interval == pytest.approx((0.4 - half, 0.4 + half), rel=1e-6)
    assert mean_interval(1, 0.3, 0.09) is None
