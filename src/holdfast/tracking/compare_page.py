"""The page that shows runs side by side: few as columns, many as rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from urllib.parse import parse_qs, urlencode

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.storage import Objects
from holdfast.tracking.comparing import ComparedRow, Comparison, compare_runs, read_changes
from holdfast.tracking.curve_charts import axes_offered, curve_chart, read_axis
from holdfast.tracking.records import Run
from holdfast.tracking.run_table import RUN_KINDS
from holdfast.tracking.service import Tracking
from holdfast.web import Call, Page, Route
from holdfast.web.charts import Chart
from holdfast.web.diffs import DiffLine, read_diff
from holdfast.web.wording import number_text, plural

__all__ = ["compare_page"]

_MOST_SIDE_BY_SIDE = 8
_MOST_COLUMNS, _MOST_ROWS = 40, 400
_MOST_LINES, _MOST_CHARTS = 20, 6
_MOST_DIFFS, _MOST_LINES_SHOWN = 3, 200
_WORDS = {
    "run": "Run", "metric": "Metric, last", "min": "Metric, least", "max": "Metric, greatest", "param": "Param",
    "tag": "Tag", "data": "Data set", "code": "Code", "package": "Package",
}  # fmt: skip


class Cell(msgspec.Struct, frozen=True):
    """A value as it is shown, its difference to the baseline, and the value in full."""

    text: str | None
    delta: str
    full: str
    is_number: bool
    is_other: bool
    """Whether it differs from the baseline's."""


class Line(msgspec.Struct, frozen=True):
    """One thing that is compared."""

    kind: str
    key: str
    label: str
    """Both in short, as the head of a column."""
    cells: list[Cell]


class Head(msgspec.Struct, frozen=True):
    """A run as it heads its column or row."""

    run_id: str
    name: str
    status: str
    kind: str
    start_time: int
    is_baseline: bool


class Changes(msgspec.Struct, frozen=True):
    """What a run's code had beyond its commit."""

    name: str
    commit: str
    lines: list[DiffLine]
    left_out: int


class CompareView(msgspec.Struct, frozen=True):
    """What the page shows. `lines` are empty where nothing differs."""

    heads: list[Head]
    baseline: str
    lines: list[Line]
    sentence: str
    is_wide: bool
    shows_all: bool
    other: str
    """The address that shows everything, or what differs alone."""
    command: str
    left_out: int
    charts: list[tuple[str, Chart]]
    axes: list[tuple[str, str]]
    x: str
    changes: list[Changes]
    """Of few runs, where they differ in code."""
    asked: list[tuple[str, str]]
    """The runs and the baseline of the address, as fields."""


def compare_page(tracking: Tracking, objects: Objects) -> Route:
    """`/compare?run=...&run=...`."""

    def show(call: Call) -> Page:
        asked = parse_qs(call.raw_query)
        left = set(asked.get("without", []))
        run_ids = [one for one in dict.fromkeys(asked.get("run", [])) if one not in left]
        if len(run_ids) < 2:
            raise InvalidInput(
                f"{plural(len(run_ids), 'run')} can't be compared.",
                hint="Mark two or more runs in the table of an experiment, and compare those.",
            )
        shows_all = asked.get("all") == ["1"]
        # What was pinned before holds until another run is, or it is dropped.
        pinned = [one for one in (*asked.get("baseline", []), *asked.get("pinned", [])) if one not in left]
        baseline = pinned[0] if pinned else ""
        found = compare_runs(tracking, objects, call.caller, run_ids, baseline, all_rows=shows_all)
        return Page(
            "tracking/compare.html",
            {"view": _view(call, tracking, objects, found, shows_all=shows_all)},
            "Compare runs",
        )

    return Route("GET", "/compare", show, "tracking:read", summary="Runs side by side")


def _view(
    call: Call, tracking: Tracking, objects: Objects, found: Comparison, *, shows_all: bool
) -> CompareView:
    ids = [run.run_id for run in found.runs]
    own = ids[found.baseline]
    is_wide = len(ids) > _MOST_SIDE_BY_SIDE
    most = _MOST_COLUMNS if is_wide else _MOST_ROWS
    # A row of its own begins with the run's status.
    rows = [row for row in found.rows if not is_wide or (row.kind, row.key) != ("run", "status")]
    differing = sum(row.is_different for row in found.rows)
    x = read_axis(call.query.get("x", ""))
    runs = [tracking.get_run(call.caller, run_id) for run_id in ids[:_MOST_LINES]]
    charts = _charts(call, tracking, runs, x)
    what = plural(differing, "thing differs", "things differ")
    return CompareView(
        heads=[
            Head(
                run.run_id,
                run.name,
                run.status,
                RUN_KINDS[run.status],
                run.start_time,
                at == found.baseline,
            )
            for at, run in enumerate(found.runs)
        ],
        baseline=own,
        lines=[_line(row, found.baseline) for row in rows[:most]],
        sentence=f"{plural(len(ids), 'run')}; {what}.",
        is_wide=is_wide,
        shows_all=shows_all,
        other=_address(ids, own, shows_all=not shows_all),
        command=f"holdfast runs compare --md --baseline {own} {' '.join(ids)}" if len(ids) <= 20 else "",
        left_out=max(0, len(rows) - most),
        charts=charts,
        axes=axes_offered(sorted({key for run in runs for key in run.metrics}), x),
        x=x,
        changes=_changes(call, tracking, objects, runs) if len(ids) <= _MOST_DIFFS else [],
        asked=_fields(ids, own, shows_all=shows_all),
    )


def _changes(call: Call, tracking: Tracking, objects: Objects, runs: Sequence[Run]) -> list[Changes]:
    """The runs' uncommitted changes beside each other; none where their code is the same."""
    texts = [read_changes(tracking, objects, call.caller, run) for run in runs]
    commits = [run.recipe.git_commit if run.recipe else "" for run in runs]
    if not any(texts) or len(set(zip(commits, texts, strict=True))) == 1:
        return []
    return [
        Changes(
            run.name, commit, read_diff(text, _MOST_LINES_SHOWN), max(0, text.count("\n") - _MOST_LINES_SHOWN)
        )
        for run, commit, text in zip(runs, commits, texts, strict=True)
    ]


def _charts(call: Call, tracking: Tracking, runs: Sequence[Run], x: str) -> list[tuple[str, Chart]]:
    """The metrics that most of the runs have a history of, one line a run."""
    counts = Counter(key for run in runs for key, one in run.metrics.items() if one.count > 1)
    keys = sorted(counts, key=lambda key: (key.startswith("system/"), -counts[key], key))[:_MOST_CHARTS]
    drawn = ((key, curve_chart(tracking, call.caller, runs, key, x, points=60)) for key in keys)
    return [(key, chart) for key, chart in drawn if chart is not None]


def _address(ids: Sequence[str], baseline: str, *, shows_all: bool) -> str:
    return f"/compare?{urlencode(_fields(ids, baseline, shows_all=shows_all))}"


def _fields(ids: Sequence[str], baseline: str, *, shows_all: bool) -> list[tuple[str, str]]:
    fields = [("run", one) for one in ids]
    fields += [("baseline", baseline)] if baseline else []
    return fields + ([("all", "1")] if shows_all else [])


def _line(row: ComparedRow, baseline: int) -> Line:
    own = repr(row.values[baseline])
    cells = []
    for value, delta in zip(row.values, row.deltas, strict=True):
        is_number = isinstance(value, (int, float))
        text = None if value is None else number_text(float(value)) if is_number else str(value)
        shown = "" if not delta else f"{'+' if delta > 0 else '−'}{number_text(abs(delta), 3)}"
        cells.append(Cell(text, shown, "" if value is None else str(value), is_number, repr(value) != own))
    label = f"{row.key} {row.kind}" if row.kind in ("min", "max") else row.key
    return Line(_WORDS[row.kind], row.key, label, cells)
