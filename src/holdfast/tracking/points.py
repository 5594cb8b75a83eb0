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
from holdfast.tracking.records import MetricPoint

__all__ = [
    "Columns",
    "Points",
    "decode_points",
    "distinct",
    "encode_points",
    "in_steps",
    "joined",
    "known_points",
    "only",
    "pack",
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
    return columns, pack(columns)


def pack(columns: Columns) -> bytes:
    """The blob of columns; see above for its layout."""
    packed = [
        _VERSION,
        columns.keys,
        len(columns.key),
        _planes(columns.key),
        _planes(np.diff(columns.step, prepend=0)),
        _planes(np.diff(columns.time, prepend=0)),
        _planes(columns.value),
    ]
    return _compress(msgspec.msgpack.encode(packed))


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


def joined(batches: Sequence[Columns]) -> Columns:
    """The points of several, one after the other, over one list of keys."""
    if len(batches) == 1:
        return batches[0]
    index: dict[str, int] = {}
    numbers = [
        np.fromiter((index.setdefault(key, len(index)) for key in one.keys), np.uint32, len(one.keys))[
            one.key
        ]
        for one in batches
    ]
    return Columns(
        list(index),
        np.concatenate([np.empty(0, np.uint32), *numbers]),
        np.concatenate([np.empty(0, np.int64), *(one.step for one in batches)]),
        np.concatenate([np.empty(0, np.int64), *(one.time for one in batches)]),
        np.concatenate([np.empty(0, np.float64), *(one.value for one in batches)]),
    )


def only(keys: Sequence[str], columns: Columns) -> Columns:
    """The points of some of the keys."""
    wanted = np.isin(columns.key, [columns.keys.index(key) for key in keys if key in columns.keys])
    return _taken(columns, np.flatnonzero(wanted))


def distinct(columns: Columns) -> Columns:
    """The points in order of (key, step, time, value), each once; NaN equals NaN, and 0.0 equals -0.0."""
    one = _taken(columns, np.lexsort((columns.value, columns.time, columns.step, columns.key)))
    fresh = np.ones(len(one.key), bool)
    fresh[1:] = (
        (np.diff(one.key.astype(np.int64)) != 0)
        | (one.step[1:] != one.step[:-1])
        | (one.time[1:] != one.time[:-1])
        | _differ(one.value)
    )
    return one if fresh.all() else _taken(one, np.flatnonzero(fresh))


def _differ(value: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each value but the first is another than the one before it; NaN is NaN."""
    nan = np.isnan(value)
    differ: NDArray[np.bool_] = (value[1:] != value[:-1]) & ~(nan[1:] & nan[:-1])
    return differ


def _taken(columns: Columns, at: NDArray[np.int64]) -> Columns:
    return Columns(columns.keys, columns.key[at], columns.step[at], columns.time[at], columns.value[at])


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
    if found is None or bool((found.time[1:] > found.time[:-1]).all()):
        return found
    return _distinct(found, np.lexsort((found.value, found.step, found.time)))


def known_points(key: str, batches: Sequence[Columns]) -> set[tuple[int, int, str]]:
    """(step, time, value as text, so that NaN equals itself) of one metric's points."""
    found = points_of(key, batches)
    if found is None:
        return set()
    columns = (found.step.tolist(), found.time.tolist(), map(repr, found.value.tolist()))
    return set(zip(*columns, strict=True))


def in_steps(
    key: str, batches: Sequence[Columns], from_step: int = -(2**63), to_step: int = 2**63 - 1
) -> Points | None:
    """One metric's points of the steps `from_step` to `to_step` (inclusive) in order of (step, time, value), exact
    duplicates dropped. None when no batch has the metric.
    """
    found = _gathered(key, batches, from_step, to_step)
    if found is None or bool((found.step[1:] > found.step[:-1]).all()):
        return found
    return _distinct(found, np.lexsort((found.value, found.time, found.step)))


def _gathered(key: str, batches: Sequence[Columns], from_step: int, to_step: int) -> Points | None:
    steps, times, values = [], [], []
    for columns in batches:
        if key in columns.keys:
            if len(columns.keys) == 1 and columns.step.min() >= from_step and columns.step.max() <= to_step:
                steps.append(columns.step)
                times.append(columns.time)
                values.append(columns.value)
                continue
            chosen = columns.key == columns.keys.index(key)
            chosen &= (columns.step >= from_step) & (columns.step <= to_step)
            steps.append(columns.step[chosen])
            times.append(columns.time[chosen])
            values.append(columns.value[chosen])
    return Points(np.concatenate(steps), np.concatenate(times), np.concatenate(values)) if steps else None


def _distinct(points: Points, order: NDArray[np.int64]) -> Points:
    """The points in an order that puts equal ones side by side, each once."""
    step, time, value = points.step[order], points.time[order], points.value[order]
    fresh = np.ones(len(step), bool)
    fresh[1:] = (np.diff(step) != 0) | (np.diff(time) != 0) | _differ(value)
    return Points(step[fresh], time[fresh], value[fresh])


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
    rows = np.frombuffer(planes, np.uint8).reshape(size, count)
    used = [row for row in range(size) if rows[row].any()]
    if len(used) > size // 2:
        return np.ascontiguousarray(rows.T).reshape(-1).view(dtype)
    found: NDArray[Any] = np.zeros((count, size), np.uint8)  # most steps and times differ by little
    for row in used:
        found[:, row] = rows[row]
    return found.reshape(-1).view(dtype)
