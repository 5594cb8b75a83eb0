"""Which inputs moved: the heat map over windows, and one input's values beside the reference."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from holdfast.kernel.times import parse_time
from holdfast.monitoring.records import FeatureShape, MonitorReport, WindowReport
from holdfast.overview.health import drift_level, drift_word
from holdfast.web.wording import moment, number_text, share_text, span_text

__all__ = ["HeatLine", "ShapeView", "build_heads", "build_heat", "build_shape", "latest_rows"]


class HeatCell(msgspec.Struct, frozen=True):
    """Drift of one input in one window."""

    level: int | None
    text: str


class HeatLine(msgspec.Struct, frozen=True):
    """One input over the windows."""

    feature: str
    cells: list[HeatCell]


class ShapeRow(msgspec.Struct, frozen=True):
    """One cell of a distribution: shares of the reference's and the window's rows."""

    label: str
    reference: float
    window: float


class ShapeView(msgspec.Struct, frozen=True):
    """One input in a window beside the reference. `top` is the largest share, the length of a whole bar."""

    feature: str
    start: int
    end: int
    rows: list[ShapeRow]
    top: float


def build_shape(shape: FeatureShape, window: WindowReport) -> ShapeView:
    """A distribution without the cells that are empty on both sides."""
    rows = [
        ShapeRow(label, reference, now)
        for label, reference, now in zip(shape.labels, shape.reference, shape.window, strict=True)
        if reference > 0 or now > 0
    ]
    top = max((max(row.reference, row.window) for row in rows), default=1.0)
    return ShapeView(shape.feature, parse_time(window.start), parse_time(window.end), rows, top)


def latest_rows(report: MonitorReport, at: int | None = None) -> WindowReport | None:
    """The newest window with rows that holds the time `at`, or of all."""
    held = [w for w in report.windows if w.rows]
    if at is not None:
        held = [w for w in held if parse_time(w.start) <= at < parse_time(w.end)]
    return held[-1] if held else None


def build_heat(windows: Sequence[WindowReport]) -> list[HeatLine]:
    features: dict[str, float] = {}
    for window in windows:
        for name, drift in window.drift.items():
            features[name] = features.get(name, 0.0) + (drift.psi if drift.drifted else 0.0)
    order = sorted(features, key=lambda name: -features[name])
    return [HeatLine(name, [_cell(window, name) for window in windows]) for name in order]


def _cell(window: WindowReport, name: str) -> HeatCell:
    drift = window.drift.get(name)
    when = span_text(parse_time(window.start), parse_time(window.end))
    if drift is None:
        return HeatCell(None, f"{name}, {when}: no rows")
    level = drift_level(drift)
    parts = [f"{name}, {when}: {drift_word(level)}, PSI {number_text(drift.psi, 3)}"]
    if drift.mean is not None and drift.reference_mean is not None:
        parts.append(f"mean {number_text(drift.mean, 3)}, reference {number_text(drift.reference_mean, 3)}")
    if drift.missing > 0.0005 or drift.reference_missing > 0.0005:
        parts.append(f"missing {share_text(drift.missing)}, reference {share_text(drift.reference_missing)}")
    if drift.unseen > 0.0005:
        parts.append(f"values never seen {share_text(drift.unseen)}")
    return HeatCell(level, "; ".join(parts))


def build_heads(windows: Sequence[WindowReport]) -> list[tuple[str, int]]:
    """A label over the first window of each month (of each year, for many windows), and each window's start."""
    heads: list[tuple[str, int]] = []
    by = "%Y" if len(windows) > 120 else "%b %Y"
    before, year, since = "", "", 9
    for window in windows:
        begin = parse_time(window.start)
        start = moment(begin)
        name = start.strftime(by)
        since += 1
        if name == before or since < 3:
            heads.append(("", begin))
            continue
        heads.append((name if start.strftime("%Y") != year else start.strftime("%b"), begin))
        before, year, since = name, start.strftime("%Y"), 0
    return heads
