"""Metric points as one compressed columnar blob per batch, and back.

Layout v1: msgpack of [1, keys, n, key index, step, time, value], compressed by zstd. Key indexes are uint32,
steps and times int64 differences from the point before, values float64; each column is stored byte plane by
byte plane, so that like bytes stand together. The key dictionary is inside, so a blob can be read by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from holdfast.kernel.errors import IntegrityError
from holdfast.tracking.records import MetricHistory, MetricPoint

__all__ = [
    "Columns",
    "Points",
    "decode_points",
    "downsample",
    "encode_points",
    "history_of",
    "known_points",
    "points_of",
    "spread_steps",
]

_VERSION = 1
_NAMED = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class Columns(msgspec.Struct, frozen=True):
    """Points as columns of one length: key index (into `keys`), step, time (ms UTC), value."""

    keys: list[str]
    key: NDArray[np.uint32]
    step: NDArray[np.int64]
    time: NDArray[np.int64]
    value: NDArray[np.float64]


def encode_points(points: Sequence[MetricPoint], received_ms: int) -> tuple[Columns, bytes]:
    """The columns of `points` and their blob; a point without a time gets `received_ms`."""
    index: dict[str, int] = {}
    key = np.fromiter((index.setdefault(point.key, len(index)) for point in points), np.uint32, len(points))
    step = np.fromiter((point.step for point in points), np.int64, len(points))
    time = np.fromiter(
        (received_ms if point.time is None else point.time for point in points), np.int64, len(points)
    )
    value = np.fromiter((_number(point.value) for point in points), np.float64, len(points))
    columns = Columns(list(index), key, step, time, value)
    packed = [
        _VERSION,
        columns.keys,
        len(points),
        _planes(key),
        _planes(np.diff(step, prepend=0)),
        _planes(np.diff(time, prepend=0)),
        _planes(value),
    ]
    return columns, _compress(msgspec.msgpack.encode(packed))


def _compress(data: bytes) -> bytes:
    """With a checksum, so that a changed blob is an error and never other values."""
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(data)


def decode_points(blob: bytes) -> Columns:
    """The columns of a blob. Raises IntegrityError when it is not one."""
    try:
        version, keys, count, *planes = msgspec.msgpack.decode(zstandard.decompress(blob))
        if version != _VERSION or len(planes) != 4:
            raise ValueError(f"layout {version}")
        key = _whole(planes[0], np.uint32, count)
        step = np.cumsum(_whole(planes[1], np.int64, count))
        time = np.cumsum(_whole(planes[2], np.int64, count))
        value = _whole(planes[3], np.float64, count)
    except (ValueError, TypeError, zstandard.ZstdError, msgspec.DecodeError) as error:
        raise IntegrityError(f"A batch of metric points can't be read: {error}.") from error
    return Columns(keys, key, step, time, value)


class Points(msgspec.Struct, frozen=True):
    """One metric's points as columns of one length: step, time (ms UTC), value."""

    step: NDArray[np.int64]
    time: NDArray[np.int64]
    value: NDArray[np.float64]

    def between(self, first: int | None, last: int | None) -> Points:
        """The points of the steps `first` to `last` (inclusive); all without them."""
        if first is None or last is None:
            return self
        inside = (self.step >= first) & (self.step <= last)
        return Points(self.step[inside], self.time[inside], self.value[inside])

    def at_steps(self, steps: NDArray[np.int64]) -> Points:
        """The points at these steps, in order of (step, time, value)."""
        at = np.flatnonzero(np.isin(self.step, steps))
        at = at[np.lexsort((self.value[at], self.time[at], self.step[at]))]
        return Points(self.step[at], self.time[at], self.value[at])


def spread_steps(runs: Sequence[NDArray[np.int64]], most: int) -> NDArray[np.int64]:
    """About so many of the steps of several runs, evenly over their order, with the last one of each run."""
    if not runs:
        return np.array([], np.int64)
    steps = np.unique(np.concatenate(runs))
    if len(steps) <= most:
        return steps
    last = np.array([run.max() for run in runs if len(run)], np.int64)
    return np.unique(np.concatenate((steps[:: len(steps) // most], steps[-1:], last)))


def points_of(key: str, batches: Sequence[Columns]) -> Points | None:
    """One metric's points out of its run's batches in order of (time, step, value), exact duplicates dropped.

    None when no batch has the metric.
    """
    found = _gathered(key, batches, -(2**63), 2**63 - 1)
    return None if found is None else _distinct(found, np.lexsort((found.value, found.step, found.time)))


def known_points(key: str, batches: Sequence[Columns]) -> set[tuple[int, int, str]]:
    """(step, time, value as text, so that NaN equals itself) of one metric's points."""
    found = points_of(key, batches)
    if found is None:
        return set()
    columns = (found.step.tolist(), found.time.tolist(), map(repr, found.value.tolist()))
    return set(zip(*columns, strict=True))


def history_of(
    key: str, batches: Sequence[Columns], points: int, from_step: int = -(2**63), to_step: int = 2**63 - 1
) -> MetricHistory | None:
    """One metric's history out of its run's batches, exact duplicates dropped, at most `points` points, of the
    steps `from_step` to `to_step` (inclusive). None when no batch has the metric."""
    found = _gathered(key, batches, from_step, to_step)
    if found is None:
        return None
    sorted_ = _distinct(found, np.lexsort((found.value, found.time, found.step)))
    return downsample(key, sorted_.step, sorted_.time, sorted_.value, points)


def _gathered(key: str, batches: Sequence[Columns], from_step: int, to_step: int) -> Points | None:
    steps, times, values = [], [], []
    for columns in batches:
        if key in columns.keys:
            chosen = columns.key == columns.keys.index(key)
            chosen &= (columns.step >= from_step) & (columns.step <= to_step)
            steps.append(columns.step[chosen])
            times.append(columns.time[chosen])
            values.append(columns.value[chosen])
    return Points(np.concatenate(steps), np.concatenate(times), np.concatenate(values)) if steps else None


def _distinct(points: Points, order: NDArray[np.int64]) -> Points:
    """The points in an order that puts equal ones side by side, each once."""
    step, time, value = points.step[order], points.time[order], points.value[order]
    bits = value.view(np.int64)
    fresh = np.ones(len(step), bool)
    fresh[1:] = (np.diff(step) != 0) | (np.diff(time) != 0) | (bits[1:] != bits[:-1])
    return Points(step[fresh], time[fresh], value[fresh])


def downsample(
    key: str, step: NDArray[np.int64], time: NDArray[np.int64], value: NDArray[np.float64], points: int
) -> MetricHistory:
    """At most `points` buckets of neighbours with their extremes (NaN left out), so that no peak is lost."""
    count = len(step)
    if count <= points:
        shown = value.tolist()
        return MetricHistory(key, count, step.tolist(), time.tolist(), shown, shown, shown)
    starts = np.linspace(0, count, points, endpoint=False).astype(np.int64)
    ends = np.append(starts[1:], count) - 1
    low = np.minimum.reduceat(np.where(np.isnan(value), np.inf, value), starts)
    high = np.maximum.reduceat(np.where(np.isnan(value), -np.inf, value), starts)
    empty = low > high
    low[empty], high[empty] = np.nan, np.nan
    return MetricHistory(
        key,
        count,
        step[ends].tolist(),
        time[ends].tolist(),
        value[ends].tolist(),
        low.tolist(),
        high.tolist(),
    )


def _number(value: float | str) -> float:
    return _NAMED[value] if isinstance(value, str) else float(value)


def _planes(column: NDArray[Any]) -> bytes:
    contiguous = np.ascontiguousarray(column)
    return (
        contiguous.view(np.uint8).reshape(len(column), contiguous.itemsize).T.tobytes()
        if len(column)
        else b""
    )


def _whole(planes: bytes, dtype: Any, count: int) -> NDArray[Any]:
    size = np.dtype(dtype).itemsize
    if len(planes) != count * size:
        raise ValueError(f"{len(planes)} bytes for {count} points")
    return (
        np.ascontiguousarray(np.frombuffer(planes, np.uint8).reshape(size, count).T).reshape(-1).view(dtype)
    )
