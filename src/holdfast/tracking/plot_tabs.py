"""The tabs of an experiment's page that draw all its runs at once: scatter and parallel coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.tracking.columns import RunColumn, parse_columns
from holdfast.tracking.plots import (
    Axis,
    ParallelPlot,
    ScatterPlot,
    draw_parallel,
    draw_scatter,
    read_axis_of,
)
from holdfast.tracking.records import Run, RunColumns

__all__ = ["MOST_RUNS", "PlotTab", "build_parallel", "build_scatter"]

MOST_RUNS = 1000
_MOST_AXES, _MOST_OFFERED = 10, 40


class PlotTab(msgspec.Struct, frozen=True):
    """What a tab shows: one of the plots, or why there is none."""

    sentence: str
    problem: str = ""
    scatter: ScatterPlot | None = None
    parallel: ParallelPlot | None = None
    options: list[tuple[str, str]] = []
    """What an axis can show."""
    skipped: list[str] = []
    """Columns asked for that are no axis here."""


def build_scatter(
    runs: Sequence[Run],
    matching: int,
    known: RunColumns,
    columns: Sequence[RunColumn],
    query: Mapping[str, str],
) -> PlotTab:
    """A point for each run by two columns: `px` and `py` of the address, else a param and a metric of the table."""
    telling = [one for one in columns if _tells(runs, one)]
    numbers = [one for one in telling if one.is_number]
    fallback_y = numbers[0] if numbers else RunColumn("attribute", "duration")
    others = [one for one in telling if one.entity == "param"] + numbers[1:]
    fallback_x = others[0] if others else RunColumn("attribute", "start_time")
    sentence, options = _sentence(len(runs), matching), _options(known)
    try:
        asked = [
            _one(query.get(name, ""), fallback) for name, fallback in (("px", fallback_x), ("py", fallback_y))
        ]
    except InvalidInput as error:
        return PlotTab(sentence, f"{error.message} {error.hint}".strip(), options=options)
    axes = [read_axis_of(runs, one) for one in asked]
    options += [(one.text, one.title) for one in asked if one.text not in dict(options)]
    if axes[0] is None or axes[1] is None:
        lacking = asked[0] if axes[0] is None else asked[1]
        return PlotTab(
            sentence,
            f"{lacking.title} is no axis here: no run has a value, or too many texts differ.",
            options=options,
        )
    return PlotTab(sentence, scatter=draw_scatter(runs, axes[0], axes[1]), options=options)


def build_parallel(runs: Sequence[Run], matching: int, columns: Sequence[RunColumn]) -> PlotTab:
    """A line for each run across the table's columns, params before metrics, at most 10."""
    ordered = sorted(columns, key=lambda one: one.is_number)
    found: list[Axis] = []
    skipped = []
    for column in ordered:
        axis = read_axis_of(runs, column)
        if axis is None or len(found) == _MOST_AXES:
            skipped.append(column.text)
        else:
            found.append(axis)
    sentence = _sentence(len(runs), matching)
    if len(found) < 2:
        return PlotTab(sentence, "There are fewer than two columns with values to draw.", skipped=skipped)
    return PlotTab(sentence, parallel=draw_parallel(runs, found), skipped=skipped)


def _tells(runs: Sequence[Run], column: RunColumn) -> bool:
    """Whether runs differ in it as numbers."""
    axis = read_axis_of(runs, column)
    return (
        axis is not None and axis.is_number and len({share for share in axis.share if share is not None}) > 1
    )


def _one(text: str, fallback: RunColumn) -> RunColumn:
    if not text:
        return fallback
    columns = parse_columns(text)
    if len(columns) != 1:
        raise InvalidInput(f"{text[:80]!r} is not one column.", hint="Name one: metrics.loss")
    return columns[0]


def _sentence(drawn: int, matching: int) -> str:
    return f"{drawn:,} of {matching:,} runs" if matching > drawn else f"{drawn:,} runs"


def _options(known: RunColumns) -> list[tuple[str, str]]:
    columns = [RunColumn("param", key) for key in known.params[:_MOST_OFFERED]]
    columns += [RunColumn("metric", key) for key in known.metrics[:_MOST_OFFERED]]
    columns += [RunColumn("min", key) for key in known.metrics[:_MOST_OFFERED]]
    columns += [RunColumn("max", key) for key in known.metrics[:_MOST_OFFERED]]
    columns += [RunColumn("attribute", "start_time"), RunColumn("attribute", "duration")]
    return [(one.text, one.title[:1].upper() + one.title[1:]) for one in columns]
