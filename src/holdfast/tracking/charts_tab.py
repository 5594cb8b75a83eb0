"""The charts of an experiment's runs: each metric as one chart, each run a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from holdfast.kernel.principal import Caller
from holdfast.tracking.curve_charts import axes_offered, colour_of, curve_chart, read_axis
from holdfast.tracking.records import Run
from holdfast.tracking.run_table import RUN_KINDS
from holdfast.tracking.service import Tracking
from holdfast.web.charts import Chart

__all__ = ["MOST_LINES", "ChartsTab", "build_charts", "lines_asked"]

MOST_LINES = 100
_LINES, _CHARTS, _MOST_CHARTS, _MOST_OFFERED = 20, 4, 12, 60
_STILL_POINTS = 60


class DrawnRun(msgspec.Struct, frozen=True):
    """A run in the legend that all charts share."""

    run: Run
    kind: str
    colour: int
    dashed: bool


class MetricBox(msgspec.Struct, frozen=True):
    """A metric that can be drawn."""

    key: str
    is_chosen: bool


class ChartsTab(msgspec.Struct, frozen=True):
    """What the tab shows. `charts` are (metric, chart), none where no run drawn has the metric."""

    runs: list[DrawnRun]
    charts: list[tuple[str, Chart | None]]
    sentence: str
    more: int
    """How many lines the next larger choice would draw; 0 where all are drawn."""
    axes: list[tuple[str, str]]
    x: str
    boxes: list[MetricBox]
    left_out: int


def build_charts(
    caller: Caller,
    tracking: Tracking,
    runs: Sequence[Run],
    matching: int,
    known: Sequence[str],
    query: Mapping[str, str],
) -> ChartsTab:
    """The charts that the address asks for (`metrics`, `x`), of these of the `matching` runs."""
    asked = [key for one in query.get("metrics", "").split(",") if (key := one.strip())]
    counts = Counter(key for run in runs for key, one in run.metrics.items() if one.count > 1)
    usual = sorted(counts, key=lambda key: (key.startswith("system/"), -counts[key], key))[:_CHARTS]
    keys = list(dict.fromkeys(asked))[:_MOST_CHARTS] or usual
    x = read_axis(query.get("x", ""))
    offered = list(dict.fromkeys([*keys, *known]))[:_MOST_OFFERED]
    order = "in the table's order" if query.get("sort") else "the newest first"
    sentence = (
        f"{len(runs):,} of {matching:,} runs, {order}" if matching > len(runs) else f"{len(runs):,} runs"
    )
    return ChartsTab(
        runs=[DrawnRun(run, RUN_KINDS[run.status], *colour_of(run.run_id)) for run in runs],
        charts=[(key, curve_chart(tracking, caller, runs, key, x, points=_STILL_POINTS)) for key in keys],
        sentence=sentence,
        more=min(MOST_LINES, matching) if matching > len(runs) and len(runs) < MOST_LINES else 0,
        axes=axes_offered(known, x),
        x=x,
        boxes=[MetricBox(key, key in keys) for key in sorted(offered)],
        left_out=max(0, len(known) - _MOST_OFFERED),
    )


def lines_asked(query: Mapping[str, str]) -> int:
    """How many runs the address asks to draw."""
    text = query.get("lines", "")
    return (
        max(1, min(MOST_LINES, int(text))) if text.isascii() and text.isdigit() and len(text) < 6 else _LINES
    )
