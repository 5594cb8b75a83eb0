"""Tracking's pages: experiments, an experiment's runs, a run."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from holdfast.chunks import TreeFile
from holdfast.collaboration.panel import PanelOf
from holdfast.kernel.paging import Items
from holdfast.kernel.principal import Caller
from holdfast.storage import Objects
from holdfast.tracking.artifact_folders import Entry, list_folder
from holdfast.tracking.artifact_page import artifact_page
from holdfast.tracking.artifact_views import ArtifactViews
from holdfast.tracking.change_page import change_page
from holdfast.tracking.changing import RunChanges
from holdfast.tracking.columns import duration_of
from holdfast.tracking.compare_page import compare_page
from holdfast.tracking.curve_charts import axes_offered, curve_chart, read_axis
from holdfast.tracking.experiment_page import experiment_page, teach
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.media_section import MediaSection, media_section
from holdfast.tracking.models import LoggedModels
from holdfast.tracking.notes import note_routes, view_note
from holdfast.tracking.records import Experiment, LoggedModel, MetricSummary, Run
from holdfast.tracking.run_table import RUN_KINDS
from holdfast.tracking.service import Tracking
from holdfast.tracking.views import Views
from holdfast.web import Call, Page, Route
from holdfast.web.charts import Chart
from holdfast.web.diffs import DiffLine, read_diff
from holdfast.web.wording import number_text, plural

__all__ = ["RegisteredVersion", "VersionsOf", "pages"]

_MOST_CHARTS = 12
_MOST_ENTRIES = 20
_MOST_HEADLINES = 6
_MOST_DIFF_LINES = 200
_TEXT_LIMIT = 200_000
_TAIL = 200


class RegisteredVersion(Protocol):
    """A model version, as far as a run's page names it."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def version(self) -> int:
        """The version's number."""


class VersionRef(msgspec.Struct, frozen=True):
    """A model version that came out of a run."""

    name: str
    version: int


VersionsOf = Callable[[Caller, str], Sequence[RegisteredVersion]]
"""The model versions of a run; the registry's answer, bound by the composition root."""


class Headline(msgspec.Struct, frozen=True):
    """A metric on top of a run's page."""

    key: str
    last: float
    note: str


class MetricRow(msgspec.Struct, frozen=True):
    """A row of a run's metrics table."""

    key: str
    last: float
    step: int
    low: float | None
    high: float | None
    count: int


class RunView(msgspec.Struct, frozen=True):
    """What the page of a run shows."""

    run: Run
    experiment: Experiment
    kind: str
    sentence: str
    duration_ms: int
    headline: list[Headline]
    metrics: list[MetricRow]
    charts: list[Chart]
    axes: list[tuple[str, str]]
    x: str
    query: dict[str, str]
    more_metrics: int
    artifacts: int
    entries: list[Entry]
    """What stands at the root of the artifacts, the first of it."""
    media: MediaSection
    models: list[LoggedModel]
    versions: list[VersionRef]
    command: str
    diff: list[DiffLine]
    diff_note: str
    log: str
    log_note: str


def pages(
    experiments: Experiments,
    tracking: Tracking,
    models: LoggedModels,
    objects: Objects,
    changes: RunChanges,
    views: Views,
    versions_of: VersionsOf,
    panel_of: PanelOf,
) -> list[Route]:
    """`/experiments`, `/experiments/{experiment}`, `/compare`, `/runs/{run_id}` and its artifacts."""
    artifact_views = ArtifactViews(objects)

    def show_experiments(call: Call) -> Page:
        listed = experiments.list_experiments(call.caller).items
        runs = sum(one.runs for one in listed)
        sentence = f"{plural(runs, 'run')} in {plural(len(listed), 'experiment')}."
        context = {"experiments": listed, "sentence": sentence, "teach": teach(call.url, "flights")}
        return Page("tracking/experiments.html", context, "Experiments")

    def show_run(call: Call) -> Page:
        run = tracking.get_run(call.caller, call.path["run_id"])
        experiment = experiments.get_experiment(call.caller, run.experiment_id)
        view = _run_view(call, run, experiment, tracking, models, objects, artifact_views, versions_of)
        context = {
            "view": view,
            "note": view_note(call, run.tags, f"/runs/{run.run_id}/note"),
            "panel": panel_of(call, f"run:{run.run_id}"),
        }
        return Page("tracking/run.html", context, f"Run {run.name}")

    return [
        Route("GET", "/experiments", show_experiments, "tracking:read", summary="Experiments"),
        *experiment_page(experiments, tracking, views, panel_of),
        *change_page(experiments, tracking, changes),
        *note_routes(experiments, changes),
        compare_page(tracking, objects),
        *artifact_page(experiments, tracking, artifact_views),
        Route("GET", "/runs/{run_id}", show_run, "tracking:read", summary="A run"),
    ]


def _run_view(
    call: Call,
    run: Run,
    experiment: Experiment,
    tracking: Tracking,
    models: LoggedModels,
    objects: Objects,
    views: ArtifactViews,
    versions_of: VersionsOf,
) -> RunView:
    caller = call.caller
    drawn = [key for key in sorted(run.metrics) if run.metrics[key].count > 1]
    artifacts: Items[TreeFile] = tracking.artifacts.list(caller, run.run_id)
    by_path = {file.path: file for file in artifacts.items}
    logged = models.list_models(caller, run.run_id)
    versions = [VersionRef(one.name, one.version) for one in versions_of(caller, run.run_id)]
    recipe, x = run.recipe, read_axis(call.query.get("x", ""))
    diff = by_path.get(recipe.git_diff_artifact) if recipe and recipe.git_diff_artifact else None
    log = next((file for path, file in by_path.items() if path.endswith(("output.log", "output.txt"))), None)
    output = _read_text(objects, log).splitlines() if log else []
    changes = _read_text(objects, diff) if diff else ""
    lines = changes.count("\n")
    return RunView(
        run=run,
        experiment=experiment,
        kind=RUN_KINDS[run.status],
        sentence=_run_sentence(run, len(artifacts.items), len(logged), versions),
        duration_ms=duration_of(run, caller.time_ms),
        headline=[_headline(key, run.metrics[key]) for key in sorted(run.metrics)[:_MOST_HEADLINES]],
        metrics=[_metric_row(key, summary) for key, summary in sorted(run.metrics.items())],
        charts=[
            chart for key in drawn[:_MOST_CHARTS] if (chart := curve_chart(tracking, caller, [run], key, x))
        ],
        axes=axes_offered(sorted(run.metrics), x),
        x=x,
        query=dict(call.query),
        more_metrics=max(0, len(drawn) - _MOST_CHARTS),
        artifacts=len(artifacts.items),
        entries=list_folder(artifacts.items, "")[:_MOST_ENTRIES],
        media=media_section(run, artifacts.items, call.query, views),
        models=logged,
        versions=versions,
        command=shlex.join(recipe.command) if recipe else "",
        diff=read_diff(changes, _MOST_DIFF_LINES),
        diff_note=f"the first {_MOST_DIFF_LINES} of {lines:,} lines; the artifact has them all"
        if lines > _MOST_DIFF_LINES
        else "what the code had beyond the commit",
        log="\n".join(output[-_TAIL:]),
        log_note=f"the last {_TAIL} of {len(output):,} lines" if len(output) > _TAIL else "",
    )


def _run_sentence(run: Run, artifacts: int, logged: int, versions: Sequence[VersionRef]) -> str:
    state = {
        "running": "It is running",
        "finished": "It finished",
        "failed": "It failed" + (f" with exit code {run.exit_code}" if run.exit_code else ""),
        "killed": "It was stopped before its end",
    }[run.status]
    figures = [f"{key} {number_text(run.metrics[key].last)}" for key in sorted(run.metrics)[:3]]
    told = f" with {', '.join(figures)}" if figures else ""
    if versions:
        names = " and ".join(f"{one.name} version {one.version}" for one in versions)
        return f"{state}{told}; its model is {names}."
    left = f"it logged {plural(logged, 'model')}" if logged else f"it left {plural(artifacts, 'artifact')}"
    return f"{state}{told}; {left}."


def _headline(key: str, summary: MetricSummary) -> Headline:
    if summary.count == 1:
        return Headline(key, summary.last, "one point")
    low = number_text(summary.min) if summary.min is not None else "NaN"
    high = number_text(summary.max) if summary.max is not None else "NaN"
    return Headline(key, summary.last, f"{low} to {high}, at step {summary.last_step:,}")


def _metric_row(key: str, summary: MetricSummary) -> MetricRow:
    return MetricRow(key, summary.last, summary.last_step, summary.min, summary.max, summary.count)


def _read_text(objects: Objects, file: TreeFile) -> str:
    """The start of a text artifact; of a long log its end."""
    with objects.open(file.sha256) as stream:
        if file.size > _TEXT_LIMIT:
            stream.seek(file.size - _TEXT_LIMIT)
        return stream.read(_TEXT_LIMIT).decode(errors="replace")
