"""Metric points as compressed columns, and histories that lose no peak."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from holdfast.kernel.errors import IntegrityError
from holdfast.tracking.overviews import (
    BUCKET,
    drawn,
    encode_overview,
    in_order,
    is_overview_of,
    read_overview,
    singles,
)  # fmt: skip
from holdfast.tracking.points import decode_points, encode_points
from holdfast.tracking.records import MetricHistory, MetricPoint

INT64 = st.integers(-(2**63), 2**63 - 1)
points = st.lists(st.builds(
    MetricPoint, st.sampled_from(["loss", "val/loss", "é"]), st.floats() | st.sampled_from(["NaN", "Infinity"]),
    INT64, INT64,
))  # fmt: skip


@given(points)
def test_points_survive_their_blob_to_the_bit(logged: list[MetricPoint]) -> None:
    columns, blob = encode_points(logged, 0)
    back = decode_points(blob)
    for name in ("key", "step", "time", "value"):
        assert getattr(back, name).tobytes() == getattr(columns, name).tobytes()
    assert [back.keys[index] for index in back.key] == [point.key for point in logged]
    assert back.step.tolist() == [point.step for point in logged]


def test_a_regular_metric_takes_few_bytes_a_point() -> None:
    rng = np.random.default_rng(7)
    logged = [MetricPoint("loss", float(value), step, 1_760_000_000_000 + step * 100)
              for step, value in enumerate(rng.normal(size=1_000).astype(np.float32))]  # fmt: skip
    _, blob = encode_points(logged, 0)
    assert len(blob) / 1_000 <= 7


@pytest.mark.parametrize("blob", [b"", b"junk", zstandard.compress(b"junk"), zstandard.compress(b"\x90")])
def test_a_damaged_blob_is_an_integrity_error(blob: bytes) -> None:
    with pytest.raises(IntegrityError, match="batch of metric points"):
        decode_points(blob)


def test_every_blob_cut_short_is_an_integrity_error() -> None:
    _, blob = encode_points([MetricPoint("loss", 0.5, step, 0) for step in range(20)], 0)
    for length in range(len(blob)):
        with pytest.raises(IntegrityError):
            decode_points(blob[:length])


def column(values: Any) -> Any:
    return np.asarray(values, np.float64)


def downsample(key: str, step: Any, time: Any, value: Any, most: int) -> MetricHistory:
    return drawn(key, singles(step, time, value), most)


def test_few_points_are_shown_as_they_are() -> None:
    shown = downsample("m", np.arange(3), np.arange(3), column([1.0, math.nan, 3.0]), 3)
    assert (shown.count, shown.steps) == (3, [0, 1, 2])
    assert math.isnan(shown.values[1])


def test_no_peak_is_lost() -> None:
    values = np.zeros(100_000)
    values[[7, 50_000, 99_998]] = [9.0, -9.0, 5.0]
    shown = downsample("m", np.arange(100_000), np.arange(100_000), values, 500)
    assert len(shown.steps) == len(shown.low) == 500
    assert shown.count == 100_000 and shown.steps[-1] == 99_999
    assert sorted(set(shown.high)) == [0.0, 5.0, 9.0] and min(shown.low) == -9.0


@given(st.lists(st.floats(allow_nan=False), min_size=3, max_size=200), st.integers(2, 50))
def test_buckets_hold_the_extremes_of_all_points(values: list[float], most: int) -> None:
    steps = np.arange(len(values))
    shown = downsample("m", steps, steps, column(values), most)
    assert len(shown.values) == min(most, len(values))
    assert (min(shown.low), max(shown.high)) == (min(values), max(values))
    assert shown.values[-1] == values[-1] and shown.steps == sorted(set(shown.steps))
    assert all(
        low <= value <= high for low, value, high in zip(shown.low, shown.values, shown.high, strict=True)
    )


def test_a_bucket_of_nothing_but_nan_has_no_extremes() -> None:
    values = column([math.nan, math.nan, 1.0, math.nan])
    shown = downsample("m", np.arange(4), np.arange(4), values, 2)
    assert math.isnan(shown.low[0]) and math.isnan(shown.high[0])
    assert (shown.low[1], shown.high[1]) == (1.0, 1.0)


@given(st.lists(st.floats() | st.just(math.nan), min_size=1, max_size=1500))
def test_an_overview_tells_of_its_points(values: list[float]) -> None:
    steps, times, value = np.arange(7, 7 + len(values)), np.arange(len(values)) * 3, column(values)
    blob = encode_overview(steps, times, value)
    found = read_overview(blob)
    assert (found.first_step, found.last_step, found.points) == (7, 6 + len(values), len(values))
    for at, points in enumerate(found.buckets.points.tolist()):
        part = value[at * BUCKET : at * BUCKET + points]
        real = part[~np.isnan(part)]
        low, high = found.buckets.low[at], found.buckets.high[at]
        assert (low, high) == ((real.min(), real.max()) if len(real) else (math.inf, -math.inf))
        assert found.buckets.step[at] == steps[at * BUCKET + points - 1]
    assert is_overview_of(blob, steps, times, value)
    assert not is_overview_of(blob, steps + 1, times, value)


@pytest.mark.parametrize(
    "blob", [b"", b"junk", zstandard.compress(b"\x90"), zstandard.compress(b"\x92\x01\x07")]
)
def test_a_damaged_overview_is_an_integrity_error(blob: bytes) -> None:
    with pytest.raises(IntegrityError, match="overview"):
        read_overview(blob)


def test_parts_are_put_in_order() -> None:
    late, early = (singles(np.arange(a, b), np.arange(a, b), np.ones(b - a)) for a, b in ((5, 9), (0, 5)))
    assert drawn("m", in_order([late, early]), 100).steps == list(range(9))
