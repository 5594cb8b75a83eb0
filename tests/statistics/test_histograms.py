from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.statistics.histograms import (
    category_bins,
    count_categories,
    count_numbers,
    empty,
    merge,
    numeric_bins,
)

NUMBERS = st.lists(
    st.one_of(st.floats(-1e9, 1e9), st.sampled_from([np.nan, np.inf, -np.inf, 0.0])), max_size=60
)


@settings(deadline=None)
@given(NUMBERS, NUMBERS, st.randoms(use_true_random=False), st.integers(1, 6))
def test_any_partition_in_any_order_gives_the_same_numbers(reference, values, random, parts) -> None:  # type: ignore[no-untyped-def]
    bins = numeric_bins(np.array(reference, dtype=float))
    shuffled = values.copy()
    random.shuffle(shuffled)
    pieces = [np.array(shuffled[i::parts], dtype=float) for i in range(parts)]
    whole = count_numbers(bins, np.array(values, dtype=float))
    merged = merge([empty(bins), *(count_numbers(bins, piece) for piece in pieces)])
    assert merged.counts.tolist() == whole.counts.tolist()
    assert merged.rows == len(values)
    assert (merged.unseen, merged.minimum, merged.maximum) == (whole.unseen, whole.minimum, whole.maximum)
    # Sums of up to 60 values of 1e9 in another order differ by rounding alone.
    assert np.allclose(merged.sums, whole.sums, rtol=1e-12, atol=1e-5)
    assert merged.squares == pytest.approx(whole.squares, rel=1e-12)


@given(st.lists(st.sampled_from("abcdefgh"), max_size=80), st.integers(1, 5))
def test_categories_add_up(values: list[str], parts: int) -> None:
    bins = category_bins(["a", "b", "c"], [30, 20, 2])
    pieces = [values[i::parts] for i in range(parts)]
    whole = count_categories(bins, values, [1] * len(values))
    merged = merge(count_categories(bins, piece, [1] * len(piece)) for piece in pieces)
    assert merged.counts.tolist() == whole.counts.tolist()
    assert merged.unseen == whole.unseen == sum(value not in "abc" for value in values)


def test_bins_hold_equal_shares_of_the_reference() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    counts = count_numbers(numeric_bins(values), values).counts
    assert counts[:-2].tolist() == [500] * 20


def test_few_distinct_values_have_a_bin_each() -> None:
    values = np.array([1.0, 2.0, 2.0, 7.0])
    histogram = count_numbers(numeric_bins(values), values)
    assert histogram.counts.tolist() == [1, 2, 1, 0, 0]
    assert histogram.sums.tolist() == [1.0, 4.0, 7.0]
    assert (histogram.mean, histogram.minimum, histogram.maximum, histogram.squares) == (3.0, 1.0, 7.0, 58.0)


@pytest.mark.parametrize("values", [[], [5.0, 5.0], [np.nan, np.nan], [np.inf, -np.inf]])
def test_degenerate_references_give_one_bin(values: list[float]) -> None:
    bins = numeric_bins(np.array(values, dtype=float))
    assert bins.count == 1
    histogram = count_numbers(bins, np.array([1.0, np.nan, np.inf, -1e308, 1e308]))
    assert histogram.counts.tolist() == [3, 1, 1]
    assert histogram.missing == histogram.unseen == 1


def test_extreme_numbers_do_not_overflow_the_edges() -> None:
    assert numeric_bins(np.array([-1.7e308, 1.7e308])).edges.tolist() == [0.0]


def test_mean_is_absent_without_finite_numbers() -> None:
    assert count_numbers(numeric_bins(np.array([1.0])), np.array([np.nan])).mean is None
    assert empty(category_bins(["a"], [10])).mean is None


def test_a_known_rare_category_is_not_unseen() -> None:
    bins = category_bins(["often", "rare"], [100, 1])
    assert bins.categories == ("often",)
    histogram = count_categories(bins, ["often", "rare", "new", None], [5, 2, 3, 4])
    assert histogram.counts[0] == 5
    assert histogram.counts[1:-2].sum() == 5
    assert (histogram.unseen, histogram.missing, histogram.rows) == (3, 4, 14)


def test_too_many_categories_to_know_are_never_called_unseen() -> None:
    bins = category_bins([f"id-{i}" for i in range(3000)], [1] * 3000)
    assert count_categories(bins, ["id-never"], [1]).unseen == 0
