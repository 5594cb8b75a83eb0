"""Runs in groups: those that share the values of some params, tags or attributes, with what their metrics average to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from holdfast.kernel.errors import InvalidInput
from holdfast.tracking.columns import RunColumn

__all__ = ["Gathered", "GroupFigures", "RunGroup", "RunGroups", "arrange_groups", "check_keys", "gather"]

MOST_KEYS, MOST_GROUPS = 3, 100_000
_ATTRIBUTES = ("name", "user", "status")
Codes = NDArray[np.int64]


class GroupFigures(msgspec.Struct, frozen=True):
    """What a group's runs have of one metric, of those whose value is finite: how many these are, their mean, the
    standard deviation of the sample (None below two), the least and the greatest."""

    count: int
    mean: float | None
    sd: float | None
    min: float | None
    max: float | None


class RunGroup(msgspec.Struct, frozen=True):
    """Runs that share `values` (None: they have none), in the order of the keys; `figures` in that of the columns."""

    values: list[str | None]
    runs: int
    figures: list[GroupFigures]


class RunGroups(msgspec.Struct, frozen=True):
    """One page of the groups; `total` is how many there are."""

    by: list[str]
    columns: list[str]
    total: int
    groups: list[RunGroup]


class Gathered(msgspec.Struct, frozen=True):
    """The groups as columns: per key each group's value, the number of runs, per metric its figures."""

    values: list[list[str | None]]
    runs: list[int]
    figures: list[list[GroupFigures]]


def check_keys(by: Sequence[RunColumn], columns: Sequence[RunColumn]) -> None:
    """Raises InvalidInput unless runs can be grouped by these, and have figures in the columns."""
    if not 1 <= len(by) <= MOST_KEYS:
        raise InvalidInput(
            f"Runs can't be grouped by {len(by)} columns.", hint=f"Name 1 to {MOST_KEYS}: params.depth,user"
        )
    for one in by:
        if one.entity not in ("param", "tag") and not (one.entity == "attribute" and one.key in _ATTRIBUTES):
            raise InvalidInput(
                f"Runs can't be grouped by {one.text[:80]!r}.",
                hint="Group them by params, tags, name, user or status: params.depth",
            )
    for one in columns:
        if one.entity not in ("metric", "min", "max", "count"):
            raise InvalidInput(
                f"{one.text[:80]!r} has no mean.", hint="Name metrics: metrics.loss, min.loss, max.auc."
            )


def gather(
    codes: Sequence[Codes],
    text_of: Sequence[Callable[[int], str]],
    numbers: Sequence[NDArray[np.float64]],
    runs: int,
) -> Gathered:
    """The groups of `runs` runs. `codes`: per key each run's code, -1 for no value; `numbers`: per metric each run's
    value, NaN for none. Raises InvalidInput beyond 100,000 groups."""
    group_of: Codes = np.zeros(runs, np.int64)
    for column in codes:
        # Numbered anew at each key, so that the product of two stays small.
        _, pair = np.unique(group_of * (int(column.max(initial=-1)) + 2) + column + 1, return_inverse=True)
        group_of = pair.reshape(-1).astype(np.int64)
    count = int(group_of.max(initial=-1)) + 1
    if count > MOST_GROUPS:
        raise InvalidInput(
            f"There are {count:,} groups, more than {MOST_GROUPS:,}.",
            hint="Group by what fewer runs differ in.",
        )
    first: Codes = np.zeros(count, np.int64)
    first[group_of[::-1]] = np.arange(runs)[::-1]
    values = [
        [None if code < 0 else text(code) for code in column[first].tolist()]
        for column, text in zip(codes, text_of, strict=True)
    ]
    sizes = np.bincount(group_of, minlength=count)
    return Gathered(values, sizes.tolist(), [_figures(one, group_of, count) for one in numbers])


def _figures(values: NDArray[np.float64], group_of: Codes, count: int) -> list[GroupFigures]:
    known = np.isfinite(values)
    values, group_of = values[known], group_of[known]
    sizes = np.bincount(group_of, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        means = np.bincount(group_of, values, count) / sizes
        # From the differences to the mean: sums of squares lose all places where the mean is far from 0.
        squares = np.bincount(group_of, (values - means[group_of]) ** 2, count)
        spreads = np.sqrt(squares / (sizes - 1))
    least, greatest = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(least, group_of, values)
    np.maximum.at(greatest, group_of, values)
    columns = (sizes, means, spreads, least, greatest)
    return [
        GroupFigures(size, *map(_finite, (mean, spread if size > 1 else math.nan, low, high)))
        for size, mean, spread, low, high in zip(*(one.tolist() for one in columns), strict=True)
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def arrange_groups(
    found: Gathered, *, sort: int | None, descending: bool, offset: int, limit: int
) -> list[RunGroup]:
    """One page of the groups: by the mean of the metric at place `sort`, by their size for -1, else (None) by their
    values, numbers as numbers. What has no value comes last in both directions."""
    order = sorted(range(len(found.runs)), key=lambda at: [_value_key(column[at]) for column in found.values])
    if sort is None:
        order = order[::-1] if descending else order
    elif sort < 0:
        order.sort(key=lambda at: found.runs[at], reverse=descending)
    else:
        means = [one.mean for one in found.figures[sort]]
        sign = -1 if descending else 1
        order.sort(key=lambda at: (means[at] is None, sign * (means[at] or 0.0)))
    return [
        RunGroup(
            [column[at] for column in found.values], found.runs[at], [column[at] for column in found.figures]
        )
        for at in order[offset : offset + limit]
    ]


def _value_key(text: str | None) -> tuple[int, float, str]:
    """Numbers first and by size, then other texts, then none."""
    if text is None:
        return 2, 0.0, ""
    try:
        number = float(text)
    except ValueError:
        return 1, 0.0, text
    return (1, 0.0, text) if math.isnan(number) else (0, number, text)
