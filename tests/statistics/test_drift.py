from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from holdfast.statistics.drift import compare
from holdfast.statistics.histograms import (
    Histogram,
    category_bins,
    count_categories,
    count_numbers,
    empty,
    numeric_bins,
)

LEVEL = 0.0001


def numbers(reference: np.ndarray, window: np.ndarray) -> tuple[Histogram, Histogram]:  # type: ignore[type-arg]
    bins = numeric_bins(reference)
    return count_numbers(bins, reference), count_numbers(bins, window)


def test_measures_equal_scipy_on_discrete_numbers() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.binomial(6, 0.4, 4000).astype(float), rng.binomial(6, 0.5, 3000).astype(float)
    drift = compare(*numbers(first, second), LEVEL)
    table = np.array([np.bincount(part.astype(int), minlength=7) for part in (first, second)])
    shares = table / table.sum(axis=1, keepdims=True)
    assert drift.js == pytest.approx(jensenshannon(*shares, base=2), rel=1e-9)
    assert drift.ks == pytest.approx(stats.ks_2samp(first, second).statistic, rel=1e-9)
    assert drift.w1 == pytest.approx(stats.wasserstein_distance(first, second), rel=1e-9)
    expected = stats.chi2_contingency(table, correction=False)
    assert (drift.chi2, drift.df) == (pytest.approx(expected.statistic, rel=1e-9), expected.dof)
    # The half row per cell moves PSI by about 1/(2 * smallest cell).
    assert drift.psi == pytest.approx(
        ((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum(), rel=0.02
    )
    assert drift.drifted


def test_w1_sees_a_shift_inside_the_bins() -> None:
    values = np.random.default_rng(2).uniform(0, 100, 20_000)
    reference, window = numbers(values, values + 1.0)
    assert compare(reference, window, LEVEL).w1 == pytest.approx(1.0, rel=0.05)


def test_equal_distributions_are_at_distance_zero() -> None:
    values = np.random.default_rng(3).normal(size=1000)
    drift = compare(*numbers(values, values), LEVEL)
    assert (drift.psi, drift.js, drift.ks, drift.w1, drift.chi2) == pytest.approx((0, 0, 0, 0, 0), abs=1e-9)
    assert not drift.drifted


@pytest.mark.parametrize("rows", [40, 150, 700, 5000])
def test_no_drift_is_rarely_flagged(rows: int) -> None:
    rng = np.random.default_rng(rows)
    reference = rng.gamma(2.0, size=2000)
    bins = numeric_bins(reference)
    base = count_numbers(bins, reference)
    flags = sum(
        compare(base, count_numbers(bins, rng.gamma(2.0, size=rows)), 0.001).drifted for _ in range(500)
    )
    assert flags <= 3  # 0.5 expected


@pytest.mark.parametrize("names", [300, 100_000])
def test_categories_too_rare_for_the_reference_are_no_drift(names: int) -> None:
    rng = np.random.default_rng(4)

    def count(values: np.ndarray) -> tuple[list[str], list[int]]:  # type: ignore[type-arg]
        found, counts = np.unique(values, return_counts=True)
        return [f"v{i}" for i in found], counts.tolist()

    flags = 0
    for _ in range(100):
        first, second = count(rng.integers(0, names, 500)), count(rng.integers(0, names, 3000))
        bins = category_bins(*first)
        flags += compare(count_categories(bins, *first), count_categories(bins, *second), 0.001).drifted
    assert flags <= 1


def test_a_new_category_and_lost_values_are_drift() -> None:
    bins = category_bins(["a", "b"], [500, 500])
    base = count_categories(bins, ["a", "b"], [500, 500])
    assert compare(base, count_categories(bins, ["a", "b", "c"], [400, 400, 200]), LEVEL).drifted
    assert compare(base, count_categories(bins, ["a", "b", None], [400, 400, 200]), LEVEL).drifted
    assert compare(base, base, LEVEL).ks is None


def test_too_few_rows_say_nothing() -> None:
    bins = numeric_bins(np.arange(10.0))
    base = count_numbers(bins, np.arange(10.0))
    few = compare(base, count_numbers(bins, np.full(3, 99.0)), LEVEL)
    none = compare(base, empty(bins), LEVEL)
    assert not few.drifted and not none.drifted
    assert none.threshold == few.threshold == math.inf
    assert none.ks is None and none.w1 is None


def test_constant_and_all_missing_columns_do_not_drift_from_themselves() -> None:
    for values in (np.full(500, 3.0), np.full(500, np.nan)):
        drift = compare(*numbers(values, values), LEVEL)
        assert (drift.psi, drift.drifted) == (0.0, False)
    assert compare(*numbers(np.full(500, 3.0), np.full(500, np.nan)), LEVEL).drifted


def test_numbers_past_what_a_float_holds_give_no_distance() -> None:
    values = np.array([-1.7e308, 1.7e308] * 50)
    drift = compare(*numbers(values, values[::2]), LEVEL)
    assert drift.w1 is None and drift.drifted
