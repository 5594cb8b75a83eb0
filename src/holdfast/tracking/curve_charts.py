"""Charts of metrics on pages: one line for each run, in the colour that the run has everywhere."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from urllib.parse import urlencode

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.principal import Caller
from holdfast.tracking.curves import Curve, axis_of, load_curves
from holdfast.tracking.records import Run
from holdfast.tracking.service import Tracking
from holdfast.web.charts import Chart, Series
from holdfast.web.wording import plural

__all__ = ["axes_offered", "colour_of", "curve_chart", "read_axis"]

_COLOURS = 6
_MOST_AXES = 30
_LABELS = {"step": "Step", "time": "Time", "relative": "Seconds since the start"}


def colour_of(run_id: str) -> tuple[int, bool]:
    """The colour of a run's line, 1 to 6, and whether it is dashed: the same on every page."""
    place = zlib.crc32(run_id.encode()) % (2 * _COLOURS)
    return place % _COLOURS + 1, place >= _COLOURS


def read_axis(text: str) -> str:
    """The x axis that an address asks for; steps where it asks for none that there is."""
    try:
        return axis_of(text or "step")
    except InvalidInput:
        return "step"


def axes_offered(metrics: Sequence[str], chosen: str) -> list[tuple[str, str]]:
    """What a form offers as the x axis, as options."""
    options = list(_LABELS.items()) + [(f"metrics.{key}", f"Metric {key}") for key in metrics[:_MOST_AXES]]
    return options if chosen in dict(options) else [*options, (chosen, f"Metric {chosen[8:]}")]


def curve_chart(
    tracking: Tracking, caller: Caller, runs: Sequence[Run], key: str, x: str, *, points: int = 120
) -> Chart | None:
    """A metric of some runs, its still drawing with so many points a run; None where none of them has it on this axis."""
    named = {run.run_id: run.name for run in runs}
    found = load_curves(tracking, caller, list(named), key, x=x, points=points)
    curves = [curve for curve in found.curves if curve.x]
    if not curves:
        return None
    asked = {"runs": ",".join(curve.run_id for curve in curves), "key": key, "x": x}
    lines = plural(len(curves), "run") if len(runs) > 1 else plural(curves[0].count, "point")
    label = _LABELS.get(x, x.removeprefix("metrics."))
    return Chart(
        id=f"metric-{key}".translate({ord(c): "-" for c in " /.:"}),
        title=f"{key} over {label[:1].lower()}{label[1:]}, {lines}",
        x=[],
        series=[
            _series(curve, named[curve.run_id] if len(runs) > 1 else key, is_alone=len(runs) == 1)
            for curve in curves
        ],
        is_time=x == "time",
        x_label=label,
        curves=f"/api/v1/runs/curves?{urlencode(asked)}",
    )


def _series(curve: Curve, name: str, *, is_alone: bool) -> Series:
    colour, dashed = (1, False) if is_alone else colour_of(curve.run_id)
    is_band = any(low < high for low, high in zip(curve.low, curve.high, strict=True))
    return Series(
        label=name,
        y=list(curve.y),
        low=list(curve.low) if is_band else [],
        high=list(curve.high) if is_band else [],
        colour=colour,
        dashed=dashed,
        dots=is_alone and len(curve.x) < 40,
        id=curve.run_id,
        x=list(curve.x),
    )
