"""What a chart needs of many points: buckets of neighbours with their last point and their extremes.

An overview of a segment has one bucket for each 256 points, about a hundredth of its size, so that a chart of a million
points is drawn without reading them. Layout v1: msgpack of [1, first step, points of each bucket, last steps, times,
values, lows, highs], compressed by zstd with a checksum; columns are little-endian int64 and float64, steps and times
differences from the bucket before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from holdfast.kernel.errors import IntegrityError
from holdfast.tracking.records import MetricHistory

__all__ = [
    "BUCKET",
    "Buckets",
    "Overview",
    "drawn",
    "encode_overview",
    "in_order",
    "is_overview_of",
    "read_overview",
    "singles",
]

BUCKET = 256
_VERSION = 1


class Buckets(msgspec.Struct, frozen=True):
    """Buckets in order of their steps, as columns: how many points, the last one of them, the extremes.

    Without a number in it (NaN alone) a bucket has an infinite low and a high of minus infinity.
    """

    points: NDArray[np.int64]
    step: NDArray[np.int64]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class Overview(msgspec.Struct, frozen=True):
    """A segment's buckets, and where it begins."""

    first_step: int
    buckets: Buckets

    @property
    def last_step(self) -> int:
        """The step of its last point."""
        return int(self.buckets.step[-1])

    @property
    def points(self) -> int:
        """How many points the segment has."""
        return int(self.buckets.points.sum())


def singles(step: NDArray[np.int64], time: NDArray[np.int64], value: NDArray[np.float64]) -> Buckets:
    """Points as buckets of one each."""
    nan = np.isnan(value)
    low, high = (
        (value, value) if not nan.any() else (np.where(nan, np.inf, value), np.where(nan, -np.inf, value))
    )
    return Buckets(np.ones(len(step), np.int64), step, time, value, low, high)


def in_order(parts: Sequence[Buckets]) -> Buckets:
    """The buckets of several parts whose steps do not overlap, in order of their steps."""
    one = Buckets(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Buckets.__struct_fields__)
    )
    order = np.argsort(one.step, kind="stable")
    return Buckets(*(getattr(one, name)[order] for name in Buckets.__struct_fields__))


def drawn(key: str, found: Buckets, most: int) -> MetricHistory:
    """At most `most` buckets of neighbours with their extremes (NaN left out), so that no peak is lost."""
    before = np.cumsum(found.points) - found.points
    count = int(found.points.sum())
    if count > most:
        found = _gather(found, np.linspace(0, count, most, endpoint=False).astype(np.int64), before)
    empty = found.low > found.high
    return MetricHistory(
        key,
        count,
        found.step.tolist(),
        found.time.tolist(),
        found.value.tolist(),
        np.where(empty, np.nan, found.low).tolist(),
        np.where(empty, np.nan, found.high).tolist(),
    )


def _gather(found: Buckets, edges: NDArray[np.int64], before: NDArray[np.int64]) -> Buckets:
    """Neighbouring buckets as one each, from the first one at or after each edge (in points)."""
    starts = np.unique(np.searchsorted(before, edges))
    starts = starts[starts < len(before)]
    ends = np.append(starts[1:], len(before)) - 1
    return Buckets(
        np.add.reduceat(found.points, starts),
        found.step[ends],
        found.time[ends],
        found.value[ends],
        np.minimum.reduceat(found.low, starts),
        np.maximum.reduceat(found.high, starts),
    )


def encode_overview(step: NDArray[np.int64], time: NDArray[np.int64], value: NDArray[np.float64]) -> bytes:
    """The overview of a segment's points, which are in order of (step, time, value)."""
    one = singles(step, time, value)
    edges = np.arange(0, len(step), BUCKET)
    buckets = _gather(one, edges, np.arange(len(step)))
    columns = [buckets.points, np.diff(buckets.step, prepend=0), np.diff(buckets.time, prepend=0)]
    columns += [buckets.value, buckets.low, buckets.high]
    packed = [_VERSION, int(step[0]), *(column.tobytes() for column in columns)]
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(msgspec.msgpack.encode(packed))


def is_overview_of(
    blob: bytes, step: NDArray[np.int64], time: NDArray[np.int64], value: NDArray[np.float64]
) -> bool:
    """Whether an overview is that of these points. Raises IntegrityError when it is none."""
    stored, made = read_overview(blob), read_overview(encode_overview(step, time, value))
    columns = Buckets.__struct_fields__
    return stored.first_step == made.first_step and all(
        np.array_equal(getattr(stored.buckets, name), getattr(made.buckets, name), equal_nan=True)
        for name in columns
    )


def read_overview(blob: bytes) -> Overview:
    """An overview out of its bytes. Raises IntegrityError when they are none."""
    try:
        version, first, *columns = msgspec.msgpack.decode(zstandard.decompress(blob))
        if version != _VERSION or len(columns) != 6 or not isinstance(first, int):
            raise ValueError(f"layout {version}")
        whole: list[NDArray[Any]] = [np.frombuffer(column, np.int64) for column in columns[:3]]
        whole += [np.frombuffer(column, np.float64) for column in columns[3:]]
        if not whole[0].size or len({len(column) for column in whole}) != 1:
            raise ValueError("columns of different lengths")
    except (ValueError, TypeError, zstandard.ZstdError, msgspec.DecodeError) as error:
        raise IntegrityError(f"An overview of metric points can't be read: {error}.") from error
    points, step, time, value, low, high = whole
    return Overview(first, Buckets(points, np.cumsum(step), np.cumsum(time), value, low, high))
