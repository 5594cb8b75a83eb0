"""One metric of several runs as curves over steps, time, or another metric, thinned so that no peak is lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.tracking.records import MetricHistory
from holdfast.tracking.service import Tracking

__all__ = ["MOST_CURVES", "Curve", "Curves", "axis_of", "load_curves"]

MOST_CURVES = 100
_READ_POINTS = 100_000
_INT64 = 2**63
_WORDS = ("step", "time", "relative")
Column = NDArray[Any]


class Curve(msgspec.Struct, frozen=True):
    """A run's part: `y` over `x` in ascending order of x. Where neighbours stand together as one point, `low` and `high`
    are their extremes, NaN left out; `y` is the last of them. `count`: how many points there are in all."""

    run_id: str
    count: int
    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]


class Curves(msgspec.Struct, frozen=True):
    """A metric of several runs. `x`: step; time (ms UTC); relative (seconds since the run's first point of the metric);
    or the name of the metric whose value at the step, or last before it, stands on the axis. Runs without the metric are
    left out."""

    key: str
    x: str
    curves: list[Curve]


def axis_of(text: str) -> str:
    """What a name of an x axis means: step, time, relative, or a metric. Raises InvalidInput for none."""
    if text.startswith("metrics.") and len(text) > len("metrics."):
        return text
    if text in _WORDS:
        return text
    raise InvalidInput(
        f"{text[:80]!r} is no axis for a chart.",
        hint="Use step, time, relative or metrics.KEY: metrics.epoch",
    )


def load_curves(
    tracking: Tracking,
    caller: Caller,
    run_ids: Sequence[str],
    key: str,
    *,
    x: str = "step",
    points: int = 500,
    start: float | None = None,
    end: float | None = None,
) -> Curves:
    """A metric of up to 100 runs, each with at most `points` points, between `start` and `end` on the axis (inclusive).

    Over anything but steps, a history of more than 100,000 points is read in buckets of neighbours. Raises NotFound for
    an unknown run, InvalidInput for a bad axis and too many runs.
    """
    x = axis_of(x)
    for name, edge in (("start", start), ("end", end)):
        if edge is not None and not math.isfinite(edge):
            raise InvalidInput(f"{name}={edge} is no place on an axis.")
    ids = list(dict.fromkeys(run_ids))
    if not 1 <= len(ids) <= MOST_CURVES:
        raise InvalidInput(f"{len(ids)} runs can't be drawn at once.", hint=f"Name 1 to {MOST_CURVES} runs.")
    found = (_curve(tracking, caller, run_id, key, x, points, start, end) for run_id in ids)
    return Curves(key, x, [curve for curve in found if curve is not None])


def _curve(
    tracking: Tracking,
    caller: Caller,
    run_id: str,
    key: str,
    x: str,
    points: int,
    start: float | None,
    end: float | None,
) -> Curve | None:
    if x == "step":
        history = _history(tracking, caller, run_id, key, points, start, end)
        return None if history is None else _made(run_id, history, np.array(history.steps, float), points)
    history = _history(tracking, caller, run_id, key, _READ_POINTS)
    if history is None:
        return None
    at = np.array(history.times, float)
    if x == "relative":
        at = (at - at.min(initial=np.inf)) / 1000
    elif x != "time":
        other = _history(tracking, caller, run_id, x.removeprefix("metrics."), _READ_POINTS)
        if other is None:
            return None
        at = _at_steps(np.array(history.steps), other)
    return _made(run_id, history, at, points, start, end)


def _history(
    tracking: Tracking,
    caller: Caller,
    run_id: str,
    key: str,
    points: int,
    start: float | None = None,
    end: float | None = None,
) -> MetricHistory | None:
    """A metric's history; None where the run has no such metric."""
    steps = (_step(start, -_INT64), _step(end, _INT64 - 1))
    try:
        return tracking.metrics.get_history(
            caller, run_id, key, points=max(2, points), from_step=steps[0], to_step=steps[1]
        )
    except NotFound:
        tracking.get_run(caller, run_id)  # NotFound for an unknown run
        return None


def _step(value: float | None, default: int) -> int:
    if value is None:
        return default
    return max(-_INT64, min(_INT64 - 1, int(value)))


def _at_steps(steps: Column, other: MetricHistory) -> Column:
    """The other metric's value at each step, or the last one before it; NaN where there is none yet."""
    known, values = np.array(other.steps), np.array(other.values, float)
    order = np.argsort(known, kind="stable")
    at = np.searchsorted(known[order], steps, side="right") - 1
    return (
        np.where(at < 0, np.nan, values[order][np.maximum(at, 0)])
        if len(known)
        else np.full(len(steps), np.nan)
    )


def _made(
    run_id: str,
    history: MetricHistory,
    at: Column,
    most: int,
    start: float | None = None,
    end: float | None = None,
) -> Curve:
    columns = [at, *(np.array(one, float) for one in (history.values, history.low, history.high))]
    kept = np.isfinite(at)
    if start is not None:
        kept &= at >= start
    if end is not None:
        kept &= at <= end
    order = np.flatnonzero(kept)[np.argsort(at[kept], kind="stable")]
    x, y, low, high = (column[order] for column in columns)
    if len(x) > most:
        starts = np.unique(np.linspace(0, len(x), most, endpoint=False).astype(np.int64))
        ends = np.append(starts[1:], len(x)) - 1
        # Extremes without NaN: where there is nothing but NaN, NaN again.
        low = np.fmin.reduceat(low, starts)
        high = np.fmax.reduceat(high, starts)
        x, y = x[ends], y[ends]
    return Curve(run_id, history.count, x.tolist(), y.tolist(), low.tolist(), high.tolist())
