"""Tracking over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from holdfast.chunks import BUNDLE_LIMIT, TreeFile
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.paging import Items, PageQuery
from holdfast.storage import Objects
from holdfast.tracking.artifacts import ARTIFACT_LIMIT
from holdfast.tracking.changing import RunChanges
from holdfast.tracking.experiments import DEFAULT_EXPERIMENT, Experiments
from holdfast.tracking.models import FILE_LIMIT, LoggedModels
from holdfast.tracking.purging import Purged, Purging
from holdfast.tracking.records import (
    Batch,
    Experiment,
    LoggedModel,
    MetricHistory,
    Recipe,
    Run,
    RunStatus,
    UploadedBundle,
)
from holdfast.tracking.search_routes import search_routes
from holdfast.tracking.service import Tracking
from holdfast.tracking.view_routes import view_routes
from holdfast.tracking.views import Views
from holdfast.web import Call, Route, Upload
from holdfast.web.files import DownloadQuery, send_file

__all__ = ["routes"]

Step = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class CreateExperiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /experiments."""

    name: str


class CreateRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /runs."""

    experiment: str = DEFAULT_EXPERIMENT
    name: str = ""
    user: str = ""
    recipe: Recipe | None = None
    run_id: str | None = None
    start_time: int | None = None


class FinishRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /runs/{run_id}/finish."""

    status: RunStatus = "finished"
    end_time: int | None = None
    exit_code: int | None = None


class CreateModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /logged-models."""

    name: str
    run_id: str | None = None
    model_id: str | None = None


class RunQuery(PageQuery, frozen=True):
    """The runs of an experiment; without one, all."""

    experiment: str = ""


class PointsQuery(msgspec.Struct, frozen=True):
    """How many points of a metric, from which step to which."""

    points: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1000
    from_step: Step = -(2**63)
    to_step: Step = 2**63 - 1


class PurgeRuns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /runs/purge."""

    older_than_days: int
    is_dry: bool = False


def routes(
    experiments: Experiments,
    tracking: Tracking,
    models: LoggedModels,
    objects: Objects,
    purging: Purging,
    changes: RunChanges,
    views: Views,
) -> list[Route]:
    """The routes of experiments, runs, artifacts and logged models."""
    return [
        *_experiments(experiments),
        *search_routes(experiments, tracking, objects),
        *view_routes(views, changes),
        *_runs(tracking),
        _purge(purging),
        *_artifacts(tracking, objects),
        *_models(models, objects),
    ]


def _experiments(experiments: Experiments) -> list[Route]:
    def create(call: Call) -> Experiment:
        return experiments.create_experiment(call.caller, call.body.name)

    def listing(call: Call) -> Items[Experiment]:
        return experiments.list_experiments(call.caller)

    def get(call: Call) -> Experiment:
        return experiments.get_experiment(call.caller, call.path["experiment"])

    base = "/api/v1/experiments"
    return [
        Route(
            "POST",
            base,
            create,
            "tracking:write",
            CreateExperiment,
            "Create an experiment",
            result=Experiment,
        ),
        Route("GET", base, listing, "tracking:read", summary="List experiments", result=Items[Experiment]),
        Route(
            "GET",
            base + "/{experiment}",
            get,
            "tracking:read",
            summary="Read an experiment",
            result=Experiment,
        ),
    ]


def _purge(purging: Purging) -> Route:
    def purge(call: Call) -> Purged:
        body: PurgeRuns = call.body
        return purging.purge_runs(call.caller, older_than_days=body.older_than_days, is_dry=body.is_dry)

    path, summary = "/api/v1/runs/purge", "Take deleted runs away for good"
    return Route("POST", path, purge, "tracking:purge", PurgeRuns, summary, result=Purged)


def _runs(tracking: Tracking) -> list[Route]:
    def create(call: Call) -> Run:
        body: CreateRun = call.body
        return tracking.create_run(
            call.caller,
            experiment=body.experiment,
            name=body.name,
            recipe=body.recipe,
            user=body.user,
            run_id=body.run_id,
            start_time=body.start_time,
        )

    def listing(call: Call) -> Items[Run]:
        asked: RunQuery = call.params
        return tracking.list_runs(
            call.caller,
            experiment=asked.experiment or None,
            limit=asked.limit,
            page_token=asked.page_token,
        )

    def get(call: Call) -> Run:
        return tracking.get_run(call.caller, call.path["run_id"])

    def batch(call: Call) -> dict[str, Any]:
        tracking.metrics.log_batch(call.caller, call.path["run_id"], call.body, sha256_hex(call.raw))
        return {}

    def finish(call: Call) -> Run:
        body: FinishRun = call.body
        return tracking.finish_run(
            call.caller, call.path["run_id"], body.status, end_time=body.end_time, exit_code=body.exit_code
        )

    def recipe(call: Call) -> dict[str, Any]:
        tracking.update_recipe(call.caller, call.path["run_id"], call.body)
        return {}

    def history(call: Call) -> MetricHistory:
        asked: PointsQuery = call.params
        return tracking.metrics.get_history(
            call.caller,
            call.path["run_id"],
            call.path["key"],
            points=max(2, asked.points),
            from_step=asked.from_step,
            to_step=asked.to_step,
        )

    base = "/api/v1/runs"
    one = base + "/{run_id}"
    return [
        Route("POST", base, create, "tracking:write", CreateRun, "Start a run", result=Run),
        Route("GET", base, listing, "tracking:read", summary="List runs, newest first", result=Items[Run],
              query=RunQuery),
        Route("GET", one, get, "tracking:read", summary="Read a run", result=Run),
        Route("POST", one + "/batch", batch, "tracking:write", Batch, "Log metrics, params and tags"),
        Route("POST", one + "/finish", finish, "tracking:write", FinishRun, "End a run", result=Run),
        Route("PUT", one + "/recipe", recipe, "tracking:write", Recipe, "Set a running run's recipe"),
        Route(
            "GET", one + "/metrics/{key:path}", history, "tracking:read", summary="A metric's points",
            result=MetricHistory, query=PointsQuery,
        ),
    ]  # fmt: skip


def _artifacts(tracking: Tracking, objects: Objects) -> list[Route]:
    def listing(call: Call) -> Items[TreeFile]:
        return tracking.artifacts.list(call.caller, call.path["run_id"])

    def put(call: Call) -> TreeFile:
        return tracking.artifacts.put(call.caller, call.path["run_id"], call.path["path"], call.blocks)

    def put_bundle(call: Call) -> UploadedBundle:
        return tracking.artifacts.put_bundle(call.caller, call.path["run_id"], call.blocks)

    def get(call: Call) -> Any:
        file = tracking.artifacts.find(call.caller, call.path["run_id"], call.path["path"])
        asked: DownloadQuery = call.params
        return send_file(
            objects,
            file,
            presigned=asked.presigned,
            byte_range=call.headers.get("range", ""),
            shown=asked.show,
        )

    def delete(call: Call) -> dict[str, Any]:
        tracking.artifacts.delete(call.caller, call.path["run_id"], call.path["path"])
        return {}

    base = "/api/v1/runs/{run_id}/artifacts"
    one = base + "/{path:path}"
    return [
        Route(
            "GET", base, listing, "tracking:read", summary="List a run's artifacts", result=Items[TreeFile]
        ),
        Route(
            "PUT", one, put, "tracking:write", Upload, "Store an artifact", ARTIFACT_LIMIT, result=TreeFile
        ),
        Route(
            "POST",
            "/api/v1/runs/{run_id}/artifact-bundles",
            put_bundle,
            "tracking:write",
            Upload,
            "Store many artifacts, synced once",
            BUNDLE_LIMIT,
            at_once=4,
            result=UploadedBundle,
        ),
        Route("GET", one, get, "tracking:read", summary="Download an artifact", query=DownloadQuery),
        Route("DELETE", one, delete, "tracking:write", summary="Delete an artifact of a run"),
    ]


def _models(models: LoggedModels, objects: Objects) -> list[Route]:
    def create(call: Call) -> LoggedModel:
        body: CreateModel = call.body
        return models.create_model(call.caller, name=body.name, run_id=body.run_id, model_id=body.model_id)

    def get(call: Call) -> LoggedModel:
        return models.get_model(call.caller, call.path["model_id"])

    def put(call: Call) -> TreeFile:
        return models.put_file(call.caller, call.path["model_id"], call.path["path"], call.blocks)

    def listing(call: Call) -> Items[TreeFile]:
        return models.list_files(call.caller, call.path["model_id"])

    def download(call: Call) -> Any:
        return send_file(objects, models.find_file(call.caller, call.path["model_id"], call.path["path"]))

    def finalize(call: Call) -> LoggedModel:
        return models.finalize_model(call.caller, call.path["model_id"])

    base = "/api/v1/logged-models"
    one = base + "/{model_id}"
    return [
        Route(
            "POST", base, create, "tracking:write", CreateModel, "Create a logged model", result=LoggedModel
        ),
        Route("GET", one, get, "tracking:read", summary="Read a logged model", result=LoggedModel),
        Route(
            "GET",
            one + "/files",
            listing,
            "tracking:read",
            summary="List a model's files",
            result=Items[TreeFile],
        ),
        Route(
            "PUT",
            one + "/files/{path:path}",
            put,
            "tracking:write",
            Upload,
            "Store a model's file",
            FILE_LIMIT,
            result=TreeFile,
        ),
        Route(
            "GET", one + "/files/{path:path}", download, "tracking:read", summary="Download a model's file"
        ),
        Route(
            "POST",
            one + "/finalize",
            finalize,
            "tracking:write",
            summary="Seal a logged model",
            result=LoggedModel,
        ),
    ]
