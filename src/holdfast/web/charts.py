"""The one chart: what to draw, and its geometry as a still drawing.

A page gives a `Chart`; the template draws it as SVG on the server, and the same record, as JSON, lets the
browser make it live. Pure: no markup here, only numbers and texts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone

import msgspec

from holdfast.kernel.times import DAY_MS
from holdfast.web.wording import number_text, share_text

__all__ = [
    "Chart",
    "Drawing",
    "Level",
    "Mark",
    "Series",
    "Span",
    "Spark",
    "Tick",
    "draw",
    "pick_rows",
    "spark",
    "ticks_between",
    "value_text",
]

_HOUR_MS = 3_600_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TIME_STEPS = (
    *(60_000, 300_000, 900_000, _HOUR_MS, 3 * _HOUR_MS, 6 * _HOUR_MS, 12 * _HOUR_MS),
    *(DAY_MS, 2 * DAY_MS, 7 * DAY_MS, 14 * DAY_MS),
)
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120)
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 22, 26
_LARGEST, _SMALLEST = 1e300, 1e-290  # beyond these an axis can't be divided into ticks
_Scale = Callable[[float], float]


class Series(msgspec.Struct, frozen=True):
    """One line: a value (or none) per x, with an optional interval; `weak` flags values on few labels."""

    label: str
    y: list[float | None]
    low: list[float | None] = []
    high: list[float | None] = []
    weak: list[bool] = []
    colour: int = 1
    """1 to 6, the place in the colour-blind-safe set."""
    dashed: bool = False
    dots: bool = False
    id: str = ""
    """Of a curve: its run."""
    x: list[float] = []
    """Of a curve: its own places."""


class Level(msgspec.Struct, frozen=True):
    """A horizontal reference with its interval."""

    label: str
    y: float
    low: float | None = None
    high: float | None = None


class Mark(msgspec.Struct, frozen=True):
    """Something that happened at x: `alert` or `deploy`."""

    x: float
    kind: str
    text: str


class Span(msgspec.Struct, frozen=True):
    """A stretch of x in which harm lasted."""

    start: float
    end: float


class Chart(msgspec.Struct, frozen=True):
    """Lines over time (x in ms UTC) or over steps."""

    id: str
    title: str
    """What the chart shows, for those who can't see it."""
    x: list[float]
    series: list[Series]
    unit: str = "number"
    """`share` (percent), `latency` (µs), `count` or `number`."""
    is_time: bool = True
    from_zero: bool = False
    level: Level | None = None
    marks: list[Mark] = []
    spans: list[Span] = []
    curves: str = ""
    """Of curves: the address where the browser asks for their points, at the detail that it can show."""
    x_label: str = ""
    names: list[str] = []
    """What each x is called where its number says too little, as a window by its days."""


class Tick(msgspec.Struct, frozen=True):
    at: float
    text: str


class Line(msgspec.Struct, frozen=True):
    label: str
    colour: int
    dashed: bool
    path: str
    band: str
    dots: list[tuple[float, float, bool, str]]
    """x, y, whether it rests on few labels, and its value in words."""


class DrawnMark(msgspec.Struct, frozen=True):
    x: float
    kind: str
    text: str
    anchor: str


class Drawing(msgspec.Struct, frozen=True):
    """A chart in pixels of a fixed view box."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    """Edges of the plot."""
    y_ticks: list[Tick]
    x_ticks: list[Tick]
    lines: list[Line]
    level_y: float | None
    level_box: tuple[float, float] | None
    """Top and height of the reference's interval."""
    spans: list[tuple[float, float]]
    """Left edge and width."""
    marks: list[DrawnMark]


class Spark(msgspec.Struct, frozen=True):
    """A sparkline in a box of 104 x 24."""

    path: str
    area: str
    last: tuple[float, float] | None


def value_text(value: float | None, unit: str) -> str:
    """A value in its unit, as axis and table show it."""
    if value is None or not math.isfinite(value):
        return "no value" if value is None else number_text(value)
    if unit == "share":
        return share_text(value)
    if unit == "latency":
        return f"{number_text(value, 3)} µs" if value < 1000 else f"{number_text(value / 1000, 3)} ms"
    return number_text(value)


def draw(chart: Chart, width: int = 960, height: int = 260) -> Drawing:
    """The chart's geometry in a view box of `width` x `height`."""
    left, right, top, bottom = _LEFT, width - _RIGHT, _TOP, height - _BOTTOM
    x_low, x_high = _x_range(chart)
    y_ticks = ticks_between(*_y_range(chart))
    y_low, y_high = y_ticks[0], y_ticks[-1]

    def at_x(x: float) -> float:
        return round(left + (x - x_low) / (x_high - x_low) * (right - left), 1)

    def at_y(y: float) -> float:
        return round(bottom - (y - y_low) / (y_high - y_low) * (bottom - top), 1)

    level = chart.level
    box = None
    if level and level.low is not None and level.high is not None:
        box = (at_y(level.high), max(1.0, at_y(level.low) - at_y(level.high)))
    return Drawing(
        width=width, height=height, left=left, right=right, top=top, bottom=bottom,
        y_ticks=[Tick(at_y(y), _tick_text(y, chart.unit, y_ticks[1] - y_ticks[0])) for y in y_ticks],
        x_ticks=[Tick(at_x(x), text) for x, text in _x_ticks(chart, x_low, x_high)],
        lines=[_line(chart, one, [at_x(x) for x in one.x or chart.x], at_y) for one in chart.series],
        level_y=at_y(level.y) if level else None,
        level_box=box,
        spans=[(at_x(s.start), max(2.0, at_x(min(s.end, x_high)) - at_x(s.start))) for s in chart.spans],
        marks=_marks(chart, at_x, width),
    )  # fmt: skip


def _marks(chart: Chart, at_x: _Scale, width: int) -> list[DrawnMark]:
    """Marks from left to right; a text stands on the side where it runs into nothing, or is left out."""
    marks = sorted(chart.marks, key=lambda mark: mark.x)
    places = [at_x(mark.x) for mark in marks]
    drawn: list[DrawnMark] = []
    free = 0.0
    for at, mark in enumerate(marks):
        x, reach = places[at], 6.5 * len(mark.text) + 16
        after = places[at + 1] if at + 1 < len(places) else float(width)
        if x + reach <= after:
            anchor, text, free = "start", mark.text, x + reach
        elif x - reach >= free:
            anchor, text, free = "end", mark.text, x + 6
        else:
            anchor, text, free = "start", "", max(free, x + 6)
        drawn.append(DrawnMark(x, mark.kind, text, anchor))
    return drawn


def pick_rows(chart: Chart, most: int = 50) -> list[int]:
    """Places of the points that the table of numbers shows: all, or `most` of them evenly spread."""
    count = len(chart.x)
    if count <= most:
        return list(range(count))
    return sorted({round(at * (count - 1) / (most - 1)) for at in range(most)})


def spark(values: Sequence[float | None], width: int = 104, height: int = 24) -> Spark:
    """A sparkline from zero to the largest value; gaps stay gaps."""
    known = [v for v in values if v is not None]
    if not known:
        return Spark("", "", None)
    top = max(known) or 1.0
    step = width / max(1, len(values) - 1)

    def at_y(value: float) -> float:
        return round(height - 2 - value / top * (height - 4), 1)

    points: list[tuple[float, float] | None] = [
        None if v is None else (round(min(i * step, width - 2), 1), at_y(v)) for i, v in enumerate(values)
    ]
    drawn = [p for p in points if p]
    area = f"M{drawn[0][0]} {height}" + "".join(f"L{x} {y}" for x, y in drawn) + f"L{drawn[-1][0]} {height}Z"
    return Spark(_path(points), area, drawn[-1])


def _line(chart: Chart, series: Series, xs: list[float], at_y: _Scale) -> Line:
    points = [
        (x, at_y(y)) if y is not None and abs(y) < _LARGEST else None
        for x, y in zip(xs, series.y, strict=True)
    ]
    band = ""
    if series.low and series.high:
        edges = [
            (x, at_y(h), at_y(w))
            for x, w, h in zip(xs, series.low, series.high, strict=True)
            if w is not None and h is not None and abs(w) < _LARGEST and abs(h) < _LARGEST
        ]
        if edges:
            there = "L".join(f"{x} {high}" for x, high, _ in edges)
            back = "L".join(f"{x} {low}" for x, _, low in reversed(edges))
            band = f"M{there}L{back}Z"
    weak = series.weak or [False] * len(xs)
    lone = len([p for p in points if p]) == 1
    dots = [
        (p[0], p[1], w, value_text(y, chart.unit))
        for p, w, y in zip(points, weak, series.y, strict=True)
        if p and (series.dots or w or lone)
    ]
    return Line(series.label, series.colour, series.dashed, _path(points), band, dots)


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    parts: list[str] = []
    pen = "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        parts.append(f"{pen}{point[0]} {point[1]}")
        pen = "L"
    return "".join(parts)


def _x_range(chart: Chart) -> tuple[float, float]:
    xs = [*chart.x, *(m.x for m in chart.marks), *(x for one in chart.series for x in one.x)]
    if not xs:
        return 0.0, 1.0
    low, high = min(xs), max(xs)
    if low == high:
        pad = DAY_MS if chart.is_time else 1.0
        return low - pad, high + pad
    return low, high


def _y_range(chart: Chart) -> tuple[float, float]:
    parts = [part for series in chart.series for part in (series.y, series.low, series.high)]
    values = [value for part in parts for value in part if value is not None and abs(value) < _LARGEST]
    if chart.level:
        values += [v for v in (chart.level.y, chart.level.low, chart.level.high) if v is not None]
    if chart.from_zero:
        values.append(0.0)
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    apart = _apart(low, high)
    return (low if chart.from_zero and low == 0 else apart[0]), apart[1]


def _apart(low: float, high: float) -> tuple[float, float]:
    """A range that can be divided: around a number that stands alone."""
    if high - low > max(abs(low), abs(high), _SMALLEST) * 1e-9:
        return low, high
    pad = max(abs(low) * 0.1, _SMALLEST) if low else 1.0
    return low - pad, high + pad


def ticks_between(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from below `low` to above `high`, about so many steps; of one number, around it."""
    low, high = _apart(low, high)
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, max(last, first + 1) + 1)]


def _tick_text(value: float, unit: str, step: float) -> str:
    if unit == "share":
        return share_text(value, 0 if step >= 0.00999 else 1)
    if unit == "latency" and value:
        return value_text(value, unit)
    return number_text(value, 3)


def _x_ticks(chart: Chart, low: float, high: float) -> list[tuple[float, str]]:
    if not chart.is_time:
        return [(x, number_text(x, 6)) for x in ticks_between(low, high, 8) if low <= x <= high]
    reach = high - low
    if reach > 70 * DAY_MS:
        return _month_ticks(low, high)
    step = next((s for s in _TIME_STEPS if reach / s <= 9), _TIME_STEPS[-1])
    origin = 4 * DAY_MS if step % (7 * DAY_MS) == 0 else 0
    first = math.ceil((low - origin) / step) * step + origin
    return [(x, _time_text(x, step)) for x in range(int(first), int(high) + 1, step)]


def _month_ticks(low: float, high: float) -> list[tuple[float, str]]:
    start = _EPOCH + timedelta(milliseconds=low)
    months = (high - low) / (30.44 * DAY_MS)
    step = next((s for s in _MONTH_STEPS if months / s <= 13), _MONTH_STEPS[-1])
    index = math.ceil((start.year * 12 + start.month - 1) / step) * step
    ticks: list[tuple[float, str]] = []
    while True:
        moment = datetime(index // 12, index % 12 + 1, 1, tzinfo=timezone.utc)
        at = (moment - _EPOCH) / timedelta(milliseconds=1)
        if at > high:
            return ticks
        if at >= low:
            ticks.append((at, f"{moment:%b %Y}" if not ticks or moment.month == 1 else f"{moment:%b}"))
        index += step


def _time_text(ms: float, step: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=ms)
    if step >= DAY_MS or (moment.hour == 0 and moment.minute == 0):
        return f"{moment.day} {moment:%b}"
    return f"{moment:%H:%M}"
