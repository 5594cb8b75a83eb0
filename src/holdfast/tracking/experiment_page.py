"""The page of an experiment: its runs as a table, filtered, sorted and paged by the address."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, urlencode

import msgspec

from holdfast.collaboration.panel import PanelOf
from holdfast.tracking.asked import Asked, read_asked
from holdfast.tracking.charts_tab import ChartsTab, build_charts, lines_asked
from holdfast.tracking.columns import RunColumn
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.group_table import GroupTable, build_groups, offered_groups
from holdfast.tracking.notes import view_note
from holdfast.tracking.plot_tabs import MOST_RUNS, PlotTab, build_parallel, build_scatter
from holdfast.tracking.query import Clause
from holdfast.tracking.records import Experiment, Run, RunColumns, View
from holdfast.tracking.run_table import RunTable, build_table, choose_columns, rows_per_page
from holdfast.tracking.service import Tracking
from holdfast.tracking.views import KEPT, Views
from holdfast.web import Call, Form, Page, Redirect, Route
from holdfast.web.forms import FORM_LIMIT, field
from holdfast.web.wording import plural

__all__ = ["experiment_page", "teach"]

_LOOKED_AT = 50
_MOST_OFFERED = 20
_KEPT = ("tab", "sort", "order", "columns", "metrics", "x", "axes", "smooth", "px", "py")


class Offer(msgspec.Struct, frozen=True):
    """A column that can be chosen."""

    text: str
    title: str
    is_chosen: bool


class Chooser(msgspec.Struct, frozen=True):
    """What the column chooser offers: of a metric last, least and greatest value, then params and tags."""

    metrics: list[tuple[str, list[Offer]]]
    others: list[tuple[str, list[Offer]]]
    text: str
    """The columns shown that no box stands for, as a list."""
    left_out: int


class ShownView(msgspec.Struct, frozen=True):
    """A saved view as a link."""

    view: View
    is_shown: bool
    is_own: bool


class ExperimentView(msgspec.Struct, frozen=True):
    """What the page of an experiment shows."""

    number: int
    name: str
    kind: str
    sentence: str
    total: int
    shown: str
    table: RunTable
    tab: str
    groups: GroupTable | None
    charts: ChartsTab | None
    plot: PlotTab | None
    group_options: list[tuple[str, str]]
    archived: int
    chooser: Chooser
    asked: Asked
    query: dict[str, str]
    kept: dict[str, str]
    """The part of the query that the filter form carries along."""
    filters: dict[str, str]
    """The part that the column chooser carries along."""
    teach: str
    export: str
    """The address of all matching runs as CSV, with the columns shown."""
    views: list[ShownView]
    here: str
    """The part of the address that a view keeps."""


def experiment_page(
    experiments: Experiments, tracking: Tracking, views: Views, panel_of: PanelOf
) -> list[Route]:
    """`/experiments/{experiment}`, and where the forms of its views go."""

    def show(call: Call) -> Page | Redirect:
        for box, names in (("column", "columns"), ("metric", "metrics")):
            boxes = parse_qs(call.raw_query).get(box, [])
            if boxes or call.query.get("choose") == names:
                return Redirect(_with_boxes(call, boxes, box, names))
        experiment = experiments.get_experiment(call.caller, call.path["experiment"])
        view = _view(call, experiment, tracking, views)
        context = {
            "view": view,
            "note": view_note(call, experiment.tags, f"/experiments/{experiment.experiment_id}/note"),
            "panel": panel_of(call, f"experiment:{experiment.experiment_id}"),
        }
        return Page("tracking/experiment.html", context, experiment.name)

    def save(call: Call) -> Redirect:
        number = experiments.get_experiment(call.caller, call.path["experiment"]).experiment_id
        saved = views.save_view(
            call.caller,
            number,
            field(call, "name"),
            field(call, "query"),
            is_shared=field(call, "shared") == "1",
        )
        return Redirect(f"/experiments/{number}?{saved.query}")

    def delete(call: Call) -> Redirect:
        return Redirect(f"/experiments/{views.delete_view(call.caller, call.path['view_id']).experiment_id}")

    read, write, page = "tracking:read", "tracking:write", "/experiments/{experiment}"
    return [
        Route("GET", page, show, read, summary="Runs of one"),
        Route("POST", page + "/views", save, write, Form, "Save a view, by a form", FORM_LIMIT),
        Route("POST", "/views/{view_id}/delete", delete, write, Form, "Delete a view, by a form"),
    ]


def teach(url: str, experiment: str) -> str:
    """The commands that make a first run."""
    name = shlex.quote(experiment)
    return f"export HOLDFAST_URL={url}\nholdfast run --experiment {name} -- python train.py"


def _with_boxes(call: Call, boxes: Sequence[str], box: str, names: str) -> str:
    """The page's address with the boxes and the text of a chooser as one list."""
    query = {key: value for key, value in call.query.items() if key not in (box, names, "choose", "page")}
    chosen = ",".join([*boxes, *filter(None, [call.query.get(names, "").strip()])])
    return "?" + urlencode(query | ({names: chosen} if chosen else {}))


def _view(call: Call, experiment: Experiment, tracking: Tracking, views: Views) -> ExperimentView:
    caller, query, asked = call.caller, dict(call.query), read_asked(call.query)
    number, archived = [experiment.experiment_id], query.get("archived") == "1"

    def find(offset: int, limit: int) -> list[Run]:
        return tracking.find_runs(
            caller, number, asked.where, asked.order, deleted=archived, offset=offset, limit=limit
        )

    first = find(0, _LOOKED_AT)
    columns = choose_columns(first, asked)
    per_page = rows_per_page(len(columns))
    offset = (asked.page - 1) * per_page
    runs = first[:per_page] if not offset else find(offset, per_page)
    total = tracking.count_runs(caller, number, [])
    matching = total
    if asked.where or archived:
        matching = tracking.count_runs(caller, number, asked.where, deleted=archived)
    known = tracking.list_columns(caller, number)
    tab = query.get("tab", "")
    charts = None
    if tab == "charts":
        lines = lines_asked(query)
        drawn = first[:lines] if lines <= _LOOKED_AT else find(0, lines)
        charts = build_charts(caller, tracking, drawn, matching, known.metrics, query)
    plot = None
    if tab in ("scatter", "parallel"):
        drawn = find(0, MOST_RUNS)
        plot = (
            build_scatter(drawn, matching, known, columns, query)
            if tab == "scatter"
            else build_parallel(drawn, matching, columns)
        )
    here = urlencode({name: query[name] for name in KEPT if query.get(name)})
    kind, sentence = _sentence(call, experiment, tracking, total)
    return ExperimentView(
        number=number[0],
        name=experiment.name,
        kind=kind,
        sentence=sentence,
        total=total,
        shown=f"{matching:,} archived"
        if archived
        else f"{matching:,} of {total:,}"
        if asked.where
        else f"{total:,}",
        table=build_table(runs, columns, matching, asked, caller.time_ms),
        tab=tab if charts or plot else "",
        charts=charts,
        plot=plot,
        groups=build_groups(call, tracking, number[0], asked.where, columns, archived=archived)
        if query.get("group") and not (charts or plot)
        else None,
        group_options=_group_options(known, query.get("group", "")),
        archived=tracking.count_runs(caller, number, [], deleted=True),
        chooser=_chooser(known, columns),
        asked=asked,
        query=query,
        kept=_part(query, _KEPT),
        filters=_part(query, tuple(name for name in KEPT if name != "columns")),
        teach=teach(call.url, experiment.name),
        export=_export(experiment, asked, columns, archived=archived),
        views=[
            ShownView(one, one.query == here, one.owner_id == caller.principal.id)
            for one in views.list_views(caller, number[0]).items
        ],
        here=here,
    )


def _group_options(known: RunColumns, chosen: str) -> list[tuple[str, str]]:
    options = [("", "Nothing"), *offered_groups(known)]
    return options if not chosen or chosen in dict(options) else [*options, (chosen, chosen)]


def _export(experiment: Experiment, asked: Asked, columns: Sequence[RunColumn], *, archived: bool) -> str:
    """All that matches; what the page's own fields ask for is written as a filter."""
    query = {"experiment": str(experiment.experiment_id), "columns": ",".join(one.text for one in columns)}
    query |= {"filter": text} if (text := asked.filter_text) else {}
    query |= {"order": f"{asked.sort} {'DESC' if asked.descending else 'ASC'}"} if asked.order else {}
    query |= {"deleted": "true"} if archived else {}
    return f"/api/v1/runs/export?{urlencode(query)}"


def _part(query: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: query[name] for name in names if query.get(name)}


def _chooser(known: RunColumns, chosen: Sequence[RunColumn]) -> Chooser:
    def offer(entity: str, key: str) -> Offer:
        column = RunColumn(entity, key)
        return Offer(column.text, column.title, column in chosen)

    entities = ("metric", "min", "max")
    metrics = [(key, [offer(entity, key) for entity in entities]) for key in known.metrics[:_MOST_OFFERED]]
    kinds = (("Params", "param", known.params), ("Tags", "tag", known.tags))
    others = [
        (name, [offer(kind, key) for key in keys[:_MOST_OFFERED]]) for name, kind, keys in kinds if keys
    ]
    boxes = {one.text for _, offers in [*metrics, *others] for one in offers}
    left = sum(max(0, len(keys) - _MOST_OFFERED) for keys in (known.metrics, known.params, known.tags))
    return Chooser(metrics, others, ",".join(one.text for one in chosen if one.text not in boxes), left)


def _sentence(call: Call, experiment: Experiment, tracking: Tracking, total: int) -> tuple[str, str]:
    if not total:
        return "neutral", "No run yet."
    number = [experiment.experiment_id]

    def count(status: str) -> int:
        return tracking.count_runs(call.caller, number, [Clause("attribute", "status", "=", status)])

    parts = [plural(total, "run")]
    parts += [f"{found:,} {status}" for status in ("running", "failed") if (found := count(status))]
    newest = tracking.find_runs(call.caller, number, [], [], limit=1)
    if not newest:
        return "neutral", ", ".join(parts) + "."
    words = {"running": "is running", "scheduled": "is scheduled", "killed": "was killed"}
    state = words.get(newest[0].status, newest[0].status)
    kind = "attention" if newest[0].status == "failed" else "neutral"
    return kind, f"{', '.join(parts)}; the last, {newest[0].name}, {state}."
