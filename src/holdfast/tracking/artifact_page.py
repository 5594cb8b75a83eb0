"""The pages of a run's artifacts: its folders, and each file in the viewer of its kind."""

from __future__ import annotations

from urllib.parse import quote

from holdfast.chunks import TreeFile
from holdfast.kernel.errors import NotFound
from holdfast.tracking.artifact_folders import Entry
from holdfast.tracking.artifact_views import ArtifactViews
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.file_views import Crumb, Shelf, find_below, show_files
from holdfast.tracking.records import Experiment, Run
from holdfast.tracking.service import Tracking
from holdfast.web import Call, Page, Route

__all__ = ["artifact_address", "artifact_page", "download_address"]


def artifact_address(run_id: str, path: str = "") -> str:
    """The page of an artifact or a folder; without a path of all."""
    return f"/runs/{run_id}/artifacts" + (f"/{quote(path)}" if path else "")


def download_address(run_id: str, path: str) -> str:
    """Where an artifact's bytes are."""
    return f"/api/v1/runs/{run_id}/artifacts/{quote(path)}"


def artifact_page(experiments: Experiments, tracking: Tracking, views: ArtifactViews) -> list[Route]:
    """`/runs/{run_id}/artifacts` and everything below."""

    def show(call: Call) -> Page:
        run = tracking.get_run(call.caller, call.path["run_id"])
        experiment = experiments.get_experiment(call.caller, run.experiment_id)
        path = call.path.get("path", "").removesuffix("/")
        return show_files(call, _shelf(run, experiment), path, _find(call, tracking, run, path), views)

    read, page = "tracking:read", "/runs/{run_id}/artifacts"
    return [
        Route("GET", page, show, read, summary="A run's artifacts"),
        Route("GET", page + "/{path:path}", show, read, summary="An artifact or a folder"),
    ]


def _shelf(run: Run, experiment: Experiment) -> Shelf:
    return Shelf(
        word="Run",
        name=run.name,
        address=f"/runs/{run.run_id}",
        title="Artifacts",
        files=artifact_address(run.run_id),
        bytes=f"/api/v1/runs/{run.run_id}/artifacts",
        trail=(
            Crumb("Experiments", "/experiments"),
            Crumb(experiment.name, f"/experiments/{experiment.experiment_id}"),
            Crumb(run.name, f"/runs/{run.run_id}"),
        ),
        refresh=5 if run.status == "running" else 30,
        teach='holdfast.log_artifact("report.html")',
    )


def _find(call: Call, tracking: Tracking, run: Run, path: str) -> TreeFile | list[Entry]:
    """The file at a path, or what stands in the folder. Raises NotFound, and InvalidInput for what is no path."""
    if path:
        try:
            return tracking.artifacts.find(call.caller, run.run_id, path)
        except NotFound:
            found = find_below(tracking.artifacts.list(call.caller, run.run_id).items, path)
            if not found:
                raise
            return found
    return find_below(tracking.artifacts.list(call.caller, run.run_id).items, "")
