"""Many runs as one drawing: points over two columns, or a line for each run across several axes.

Geometry alone, in pixels of a fixed view box; the template writes it as SVG, and `plots.js` lets it be read and brushed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from holdfast.tracking.columns import RunColumn, value_of
from holdfast.tracking.curve_charts import colour_of
from holdfast.tracking.records import Run
from holdfast.web.charts import Tick, ticks_between
from holdfast.web.wording import number_text

__all__ = ["Axis", "ParallelPlot", "PlotRun", "ScatterPlot", "draw_parallel", "draw_scatter", "read_axis_of"]

WIDTH = 1100
_SCATTER_HEIGHT, _PARALLEL_HEIGHT = 460, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 20, 44
_MOST_TEXTS, _SHADES = 30, 5
_PARALLEL_TOP, _PARALLEL_SIDE = 34, 70


class Axis(msgspec.Struct, frozen=True):
    """A column as an axis. `share`: per run its place from 0 to 1, None for no value; `ticks` have places as shares."""

    text: str
    label: str
    title: str
    is_number: bool
    share: list[float | None]
    ticks: list[Tick]
    values: list[float | str | None]
    low: float
    high: float
    """Of numbers: what shares 0 and 1 stand for."""


class PlotRun(msgspec.Struct, frozen=True):
    """A run in a plot, for those who point at it."""

    id: str
    name: str
    x: list[float]
    y: list[float]


class ScatterPlot(msgspec.Struct, frozen=True):
    """A point for each run that has both values."""

    width: int
    height: int
    x: Axis
    y: Axis
    left: int
    right: int
    top: int
    bottom: int
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    dots: list[tuple[float, float, int]]
    """x, y, colour."""
    runs: list[PlotRun]
    left_out: int
    """Runs that lack one of the values."""


class ParallelPlot(msgspec.Struct, frozen=True):
    """A line for each run across the axes; `shades` are 1 (least) to 5 by the last number column, 0 without a value."""

    width: int
    height: int
    top: int
    bottom: int
    axes: list[Axis]
    places: list[float]
    """Where each axis stands."""
    paths: list[str]
    shades: list[int]
    runs: list[PlotRun]
    shaded_by: str


def read_axis_of(runs: Sequence[Run], column: RunColumn) -> Axis | None:
    """A column as an axis: of numbers where every value is one, else of texts; None where no run has a finite value, or
    where more than 30 texts differ."""
    values = [value_of(run, column) for run in runs]
    numbers = [_number(value) for value in values]
    known = [number for value, number in zip(values, numbers, strict=True) if value is not None]
    if not known:
        return None
    if all(number is not None for number in known):
        finite = [number for number in numbers if number is not None and math.isfinite(number)]
        return None if not finite else _number_axis(column, numbers, finite)
    texts = sorted({str(value) for value in values if value is not None})
    if len(texts) > _MOST_TEXTS:
        return None
    step = 1 / max(1, len(texts) - 1) if len(texts) > 1 else 0.0
    place = {text: (at * step if len(texts) > 1 else 0.5) for at, text in enumerate(texts)}
    return Axis(
        column.text,
        column.label,
        column.title,
        False,
        [None if value is None else place[str(value)] for value in values],
        [Tick(at, _short(text)) for text, at in place.items()],
        [None if value is None else str(value) for value in values],
        0.0,
        1.0,
    )


def _number_axis(column: RunColumn, numbers: Sequence[float | None], finite: Sequence[float]) -> Axis:
    ticks = ticks_between(min(finite), max(finite))
    low, high = ticks[0], ticks[-1]
    shares = [
        (number - low) / (high - low) if number is not None and math.isfinite(number) else None
        for number in numbers
    ]
    return Axis(
        column.text,
        column.label,
        column.title,
        True,
        shares,
        [Tick((tick - low) / (high - low), number_text(tick, 3)) for tick in ticks],
        [None if number is None or not math.isfinite(number) else number for number in numbers],
        low,
        high,
    )


def _number(value: float | str | None) -> float | None:
    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _short(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:15]}…"


def draw_scatter(runs: Sequence[Run], x: Axis, y: Axis) -> ScatterPlot:
    """The runs that have both values as points."""
    left, right, top, bottom = _LEFT, WIDTH - _RIGHT, _TOP, _SCATTER_HEIGHT - _BOTTOM
    dots, named = [], []
    for run, across, up in zip(runs, x.share, y.share, strict=True):
        if across is None or up is None:
            continue
        place = (round(left + across * (right - left), 1), round(bottom - up * (bottom - top), 1))
        dots.append((*place, colour_of(run.run_id)[0]))
        named.append(PlotRun(run.run_id, run.name, [place[0]], [place[1]]))
    return ScatterPlot(
        WIDTH, _SCATTER_HEIGHT, x, y, left, right, top, bottom,
        [Tick(round(left + one.at * (right - left), 1), one.text) for one in x.ticks],
        [Tick(round(bottom - one.at * (bottom - top), 1), one.text) for one in y.ticks],
        dots, named, len(runs) - len(dots),
    )  # fmt: skip


def draw_parallel(runs: Sequence[Run], axes: Sequence[Axis]) -> ParallelPlot:
    """The runs as lines; an axis on which a run has no value is passed by, so that its line goes on at the next."""
    top, bottom = _PARALLEL_TOP, _PARALLEL_HEIGHT - 20
    gap = (WIDTH - 2 * _PARALLEL_SIDE) / max(1, len(axes) - 1)
    places = [round(_PARALLEL_SIDE + at * gap, 1) for at in range(len(axes))]
    shading = next((one for one in reversed(axes) if one.is_number), None)
    paths, shades, named = [], [], []
    for at, run in enumerate(runs):
        points = [
            (place, round(bottom - share * (bottom - top), 1))
            for place, one in zip(places, axes, strict=True)
            if (share := one.share[at]) is not None
        ]
        paths.append("M" + "L".join(f"{x} {y}" for x, y in points) if points else "")
        share = None if shading is None else shading.share[at]
        shades.append(0 if share is None else min(_SHADES, 1 + int(share * _SHADES)))
        named.append(PlotRun(run.run_id, run.name, [x for x, _ in points], [y for _, y in points]))
    return ParallelPlot(
        WIDTH, _PARALLEL_HEIGHT, top, bottom, list(axes), places, paths, shades, named,
        "" if shading is None else shading.label,
    )  # fmt: skip
