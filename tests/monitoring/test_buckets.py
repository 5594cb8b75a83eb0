from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.kernel.errors import IntegrityError
from holdfast.kernel.times import DAY_MS, FIVE_MINUTES_MS
from holdfast.monitoring.buckets import Layout, count_latencies, latency_quantile
from holdfast.monitoring.counting import Counter, count_frame
from holdfast.monitoring.profile import Profile
from holdfast.monitoring.reference import build_reference
from tests.monitoring.conftest import MONDAY, SIGNATURE, make_rows, reference_columns

REFERENCE = reference_columns(make_rows(MONDAY, 500, 0.2))


def profile_of(task: str = "binary") -> Profile:
    return build_reference(REFERENCE, SIGNATURE, "late", "1", task=task)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 3), min_size=60, max_size=60), st.permutations(range(4)))
def test_buckets_of_any_partition_add_up_to_the_whole(parts: list[int], order: list[int]) -> None:
    rows = make_rows(MONDAY, 60, 0.3).with_columns(pl.Series("part", parts))
    counter, layout = Counter(profile_of(), "r"), Layout(profile_of())
    whole = layout.decode(counter.count(rows, 1, MONDAY).body)
    pieces = [rows.filter(pl.col("part") == at) for at in order]
    vectors = [layout.decode(counter.count(p, 1, MONDAY).body) for p in pieces if p.height]
    assert (sum(counts for counts, _ in vectors) == whole[0]).all()
    # Sums of 60 values in another order differ by rounding alone.
    assert np.allclose(sum(floats for _, floats in vectors), whole[1], rtol=1e-12, atol=1e-12)


def test_rows_fall_into_their_version_and_bucket() -> None:
    rows = pl.concat([make_rows(MONDAY, 50, 0.1, span_ms=2 * DAY_MS), make_rows(MONDAY, 30, 0.1, version=2)])
    counter = Counter(profile_of(), "r")
    daily = count_frame(rows, DAY_MS, lambda _: counter)
    assert {(b.version, b.start) for b in daily} == {(1, MONDAY), (1, MONDAY + DAY_MS), (2, MONDAY)}
    assert sum(b.rows for b in daily) == 80
    fine = count_frame(rows, FIVE_MINUTES_MS, lambda _: counter)
    assert sum(b.errors for b in fine) == sum(b.errors for b in daily)
    assert all(
        b.start % FIVE_MINUTES_MS == 0 and b.start <= b.last_event < b.start + FIVE_MINUTES_MS for b in fine
    )


def test_failed_requests_are_counted_apart() -> None:
    failed = pl.DataFrame(
        {
            "prediction_id": ["f"],
            "event_time": [MONDAY],
            "logged_at": [MONDAY],
            "status": [503],
            "version": [0],
        }
    )
    rows = pl.concat([make_rows(MONDAY, 10, 0.0), failed], how="diagonal")
    buckets = count_frame(rows, DAY_MS, lambda _: Counter(profile_of(), "r"))
    assert [(b.version, b.rows, b.failures) for b in buckets] == [(1, 10, 0), (0, 0, 1)]


def test_a_column_that_the_log_lacks_is_not_counted_as_missing() -> None:
    layout = Layout(profile_of())
    counts, _ = layout.decode(
        Counter(profile_of(), "r").count(make_rows(MONDAY, 9, 0).drop("in_x"), 1, 0).body
    )
    by_name = {cells.profile.name: counts[cells.counts].sum() for cells in layout.columns}
    assert by_name == {"x": 0, "city": 9, "prediction": 9}


def test_scores_that_are_no_probabilities_do_not_break_anything() -> None:
    rows = make_rows(MONDAY, 4, 0.0).with_columns(pl.Series("score", [None, -1.0, 2.0, float("inf")]))
    bucket = Counter(profile_of(), "r").count(rows, 1, MONDAY)
    assert (bucket.rows, bucket.judged) == (4, 4)
    text = make_rows(MONDAY, 3, 0.0).with_columns(pl.Series("in_x", ["1.5", "much", None]))
    assert Counter(profile_of(), "r").count(text, 1, MONDAY).rows == 3


def test_a_body_of_another_layout_is_refused() -> None:
    body = Counter(profile_of(), "r").count(make_rows(MONDAY, 5, 0.0), 1, MONDAY).body
    for damaged in (body[:-9], b"", b"garbage"):
        with pytest.raises(IntegrityError):
            Layout(profile_of()).decode(damaged)
    with pytest.raises(IntegrityError, match="layout"):
        Layout(profile_of("multiclass")).decode(body)


def test_latency_quantiles_are_near_the_exact_ones() -> None:
    values = np.random.default_rng(0).lognormal(7, 1, 50_000)
    counts = count_latencies(values)
    for share in (0.5, 0.9, 0.99):
        assert latency_quantile(counts, share) == pytest.approx(np.quantile(values, share) / 1000, rel=0.03)
    extremes = count_latencies(np.array([0.0, 1e12, np.nan]))
    assert extremes.sum() == 2 and latency_quantile(extremes, 0.99) == pytest.approx(1e6)
    assert latency_quantile(count_latencies(np.zeros(0)), 0.5) is None
