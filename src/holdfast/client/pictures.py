"""Runs as HTML and metrics as SVG, for notebooks: nothing to load, no script, everything escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.client.records import Comparison, Run

__all__ = ["comparison_html", "line_chart", "run_html"]

_COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 640, 240, 64, 24, 8
_SHOWN = 50
_SVG = 'xmlns="http://www.w3.org/2000/svg"'
Series = Mapping[str, tuple[Sequence[int], Sequence[float]]]


def run_html(run: Run, url: str = "") -> str:
    """A run with its params and metrics as HTML."""
    name = escape(run.name)
    title = f'<a href="{escape(url)}" target="_blank" rel="noopener">{name}</a>' if url else name
    rows = [(key, _number(m.last), _number(m.min), _number(m.max), str(m.last_step), f"{m.count:,}")
            for key, m in sorted(run.metrics.items())]  # fmt: skip
    tables = _table(("metric", "last", "min", "max", "step", "points"), rows)
    tables += _table(("param", "value"), sorted(run.params.items()))
    return f"<div><b>{title}</b> {escape(run.status)} <code>{escape(run.run_id)}</code>{tables}</div>"


def comparison_html(comparison: Comparison) -> str:
    """Runs side by side: what differs, the baseline marked by a star."""
    runs, at = comparison.runs, comparison.baseline
    head = [f"{run.name} *" if number == at else run.name for number, run in enumerate(runs)]
    shown = [row for row in comparison.rows if row.is_different]
    rows = [(f"{row.kind} {row.key}".strip(), *map(_cell, row.values)) for row in shown]
    same = len(comparison.rows) - len(shown)
    note = f"<p>{same} rows are the same in all.</p>" if same else ""
    return f"<div>{_table(('', *head), rows)}{note}</div>"


def line_chart(series: Series) -> str:
    """Metrics by step as an SVG of 640 x 240; values that are not finite are gaps."""
    points = {
        key: [(step, value if math.isfinite(value) else None) for step, value in zip(*both, strict=True)]
        for key, both in series.items()
    }
    finite = [(step, value) for line in points.values() for step, value in line if value is not None]
    if not finite:
        return f'<svg {_SVG} width="640" height="40"><text x="8" y="24">No points yet.</text></svg>'
    xs, ys = _range([step for step, _ in finite]), _range([value for _, value in finite])
    drawn = [_axes(xs, ys)]
    for at, (key, line) in enumerate(points.items()):
        colour = _COLOURS[at % len(_COLOURS)]
        drawn += [_line(part, xs, ys, colour) for part in _parts(line)]
        drawn.append(f'<text x="{_LEFT + 8}" y="{_TOP + 14 * (at + 1)}" fill="{colour}">{escape(key)}</text>')
    return (
        f'<svg {_SVG} width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="11" role="img">{"".join(drawn)}</svg>'
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = float(min(values)), float(max(values))
    if low == high:
        margin = abs(low) / 2 or 0.5
        return low - margin, high + margin
    return low, high


def _parts(line: Sequence[tuple[int, float | None]]) -> list[list[tuple[int, float]]]:
    """The stretches between gaps."""
    parts: list[list[tuple[int, float]]] = [[]]
    for step, value in line:
        if value is None:
            parts.append([])
        else:
            parts[-1].append((step, value))
    return [part for part in parts if part]


def _line(
    part: Sequence[tuple[int, float]], xs: tuple[float, float], ys: tuple[float, float], colour: str
) -> str:
    places = [(_x(step, xs), _y(value, ys)) for step, value in part]
    if len(places) == 1:
        return f'<circle cx="{places[0][0]:.1f}" cy="{places[0][1]:.1f}" r="2" fill="{colour}"/>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{path}"/>'


def _x(step: float, xs: tuple[float, float]) -> float:
    return _LEFT + (step / 1.0 - xs[0]) / (xs[1] - xs[0]) * (_WIDTH - _LEFT - 8)


def _y(value: float, ys: tuple[float, float]) -> float:
    # As shares of the greater one: the span of great doubles is infinite, half of the least one is 0.
    unit = max(abs(ys[0]), abs(ys[1]))
    share = (value / unit - ys[0] / unit) / (ys[1] / unit - ys[0] / unit)
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)


def _axes(xs: tuple[float, float], ys: tuple[float, float]) -> str:
    floor = _HEIGHT - _BOTTOM
    return (
        f'<path d="M{_LEFT} {_TOP}V{floor}H{_WIDTH - 8}" fill="none" stroke="#9ca3af"/>'
        f'<g fill="#6b7280"><text x="{_LEFT - 4}" y="{floor}" text-anchor="end">{_number(ys[0])}</text>'
        f'<text x="{_LEFT - 4}" y="{_TOP + 9}" text-anchor="end">{_number(ys[1])}</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{_number(xs[0])}</text>'
        f'<text x="{_WIDTH - 8}" y="{_HEIGHT - 8}" text-anchor="end">{_number(xs[1])}</text></g>'
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[:_SHOWN]
    )
    more = f"<p>and {len(rows) - _SHOWN} more</p>" if len(rows) > _SHOWN else ""
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: float | str | None) -> str:
    return value if isinstance(value, str) else _number(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
