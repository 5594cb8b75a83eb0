"""Metrics summarised: the last value, the extremes and the count of distinct points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from holdfast.tracking.points import Columns, distinct, joined, only
from holdfast.tracking.records import MetricSummary

__all__ = ["changed_summaries", "merge", "summarise"]


def summarise(columns: Columns) -> dict[str, MetricSummary]:
    """The summary of each key. `last` is the value at the greatest (step, time, value); every point counts."""
    if len(columns.key) == 0:
        return {}
    real = ~np.isnan(columns.value)
    # Among points of one step and time a real value counts as greater than NaN.
    order = np.lexsort((np.where(real, columns.value, 0), real, columns.time, columns.step, columns.key))
    key = columns.key[order]
    starts = np.flatnonzero(np.append(True, np.diff(key) != 0))
    ends = order[np.append(starts[1:], len(key)) - 1]
    values, real = columns.value[order], real[order]
    columnar = (
        key[starts],
        columns.value[ends],
        columns.step[ends],
        columns.time[ends],
        np.logical_or.reduceat(real, starts),
        np.minimum.reduceat(np.where(real, values, np.inf), starts),
        np.maximum.reduceat(np.where(real, values, -np.inf), starts),
        np.diff(np.append(starts, len(key))),
    )
    return {
        columns.keys[index]: MetricSummary(
            last, step, time, low if any_real else None, high if any_real else None, count
        )
        for index, last, step, time, any_real, low, high, count in zip(
            *(column.tolist() for column in columnar), strict=True
        )
    }


def merge(old: MetricSummary, new: MetricSummary) -> MetricSummary:
    """The summary of the points of two that have none in common."""
    newest = max(old, new, key=lambda one: (one.last_step, one.last_time, one.last == one.last, one.last))
    lows = [low for low in (old.min, new.min) if low is not None]
    highs = [high for high in (old.max, new.max) if high is not None]
    return MetricSummary(
        newest.last,
        newest.last_step,
        newest.last_time,
        min(lows, default=None),
        max(highs, default=None),
        old.count + new.count,
    )


def changed_summaries(
    old: Mapping[str, MetricSummary],
    batches: Sequence[Columns],
    load_earlier: Callable[[Sequence[str]], Sequence[Columns]],
) -> dict[str, MetricSummary]:
    """What summaries become when `batches` come to the points that `old` is of; keys that don't change are left out.

    Points that were there already count once. Only where new points don't come after the last one can there be such:
    then `load_earlier` gives the points, before these batches, of some keys (or of more), and they are summarised anew.
    """
    news = distinct(joined(batches))
    fresh = summarise(news)
    before = _not_after(old, news)
    if before:
        fresh |= summarise(distinct(only(before, joined([*load_earlier(before), news]))))
    anew = set(before)
    return {
        key: merge(old[key], one) if key in old and key not in anew else one for key, one in fresh.items()
    }


def _not_after(old: Mapping[str, MetricSummary], news: Columns) -> list[str]:
    """Keys of which a new point does not come after the last one; `news` is in order of (key, step, time)."""
    if len(news.key) == 0:
        return []
    starts = np.flatnonzero(np.append(True, np.diff(news.key) != 0))
    firsts = zip(
        news.key[starts].tolist(), news.step[starts].tolist(), news.time[starts].tolist(), strict=True
    )
    found = []
    for index, step, time in firsts:
        last = old.get(news.keys[index])
        if last is not None and (step, time) <= (last.last_step, last.last_time):
            found.append(news.keys[index])
    return found
