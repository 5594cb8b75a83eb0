"""Our records as MLflow's entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.mlflow_api.wire import number_of
from holdfast.registry.records import ModelVersion, RegisteredModel
from holdfast.tracking.points import Points
from holdfast.tracking.records import Experiment, LoggedModel, ModelMetric, Run, RunLinks

__all__ = [
    "MODEL_STATUS",
    "RUN_NAME_TAG",
    "RUN_STATUS",
    "artifact_root",
    "experiment_entity",
    "logged_model_entity",
    "model_root",
    "registered_model_entity",
    "run_entity",
    "run_info",
    "run_root",
    "version_entity",
]

RUN_STATUS = {
    "running": "RUNNING",
    "scheduled": "SCHEDULED",
    "finished": "FINISHED",
    "failed": "FAILED",
    "killed": "KILLED",
}
MODEL_STATUS = {
    "pending": "LOGGED_MODEL_PENDING",
    "ready": "LOGGED_MODEL_READY",
    "failed": "LOGGED_MODEL_UPLOAD_FAILED",
}
RUN_NAME_TAG = "mlflow.runName"
_PROXY = "mlflow-artifacts:/"


def artifact_root(experiment_id: int, location: str) -> str:
    """Where an experiment's artifacts are for clients: with us, unless it was made with a location of its own."""
    return location.rstrip("/") if location else f"{_PROXY}{experiment_id}"


def run_root(run: Run, location: str) -> str:
    """Where a run's artifacts are."""
    return f"{artifact_root(run.experiment_id, location)}/{run.run_id}/artifacts"


def model_root(model: LoggedModel, location: str) -> str:
    """Where a logged model's files are."""
    return f"{artifact_root(model.experiment_id or 0, location)}/models/{model.model_id}/artifacts"


def pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags or params as MLflow has them."""
    return [{"key": key, "value": value} for key, value in values.items()]


def _stage(deleted_at: int | None) -> str:
    return "active" if deleted_at is None else "deleted"


def experiment_entity(found: Experiment) -> dict[str, Any]:
    """Experiment."""
    return {
        "experiment_id": str(found.experiment_id),
        "name": found.name,
        "artifact_location": artifact_root(found.experiment_id, found.location),
        "lifecycle_stage": _stage(found.deleted_at),
        "last_update_time": found.updated_at,
        "creation_time": found.created_at,
        "tags": pairs(found.tags) or None,
    }


def run_info(run: Run, location: str) -> dict[str, Any]:
    """RunInfo."""
    return {
        "run_id": run.run_id,
        "run_uuid": run.run_id,
        "run_name": run.name,
        "experiment_id": str(run.experiment_id),
        "user_id": run.user,
        "status": RUN_STATUS[run.status],
        "start_time": run.start_time,
        "end_time": run.end_time,
        "artifact_uri": run_root(run, location),
        "lifecycle_stage": _stage(run.deleted_at),
    }


def run_entity(run: Run, location: str) -> dict[str, Any]:
    """Run."""
    metrics = [
        {
            "key": key,
            "value": number_of(one.last),
            "timestamp": one.last_time,
            "step": one.last_step,
        }
        for key, one in run.metrics.items()
    ]
    tags = {**run.tags, RUN_NAME_TAG: run.name}
    return {
        "info": run_info(run, location),
        "data": {"metrics": metrics or None, "params": pairs(run.params) or None, "tags": pairs(tags)},
        "inputs": _inputs(run.links),
        "outputs": {
            "model_outputs": [{"model_id": link.model_id, "step": link.step} for link in run.links.models_out]
            or None
        },
    }


def _inputs(links: RunLinks) -> dict[str, Any]:
    datasets = [
        {
            "tags": pairs(one.tags) or None,
            "dataset": {
                "name": one.dataset.name,
                "digest": one.dataset.digest,
                "source_type": one.dataset.source_type,
                "source": one.dataset.source,
                "schema": one.dataset.schema or None,
                "profile": one.dataset.profile or None,
            },
        }
        for one in links.datasets
    ]
    models = [{"model_id": link.model_id} for link in links.models_in]
    return {"dataset_inputs": datasets or None, "model_inputs": models or None}


def metric_entities(key: str, points: Points, start: int, end: int) -> list[dict[str, Any]]:
    """Metrics: the points from `start` up to, not with, `end`."""
    part = (points.value[start:end], points.time[start:end], points.step[start:end])
    return [
        {"key": key, "value": number_of(value), "timestamp": time, "step": step}
        for value, time, step in zip(*(column.tolist() for column in part), strict=True)
    ]


def logged_model_entity(
    found: LoggedModel, location: str, registrations: Sequence[tuple[str, int]] = ()
) -> dict[str, Any]:
    """LoggedModel; `registrations`: (name, version) of what was registered from it."""
    return {
        "info": {
            "model_id": found.model_id,
            "experiment_id": str(found.experiment_id or 0),
            "name": found.name,
            "creation_timestamp_ms": found.created_at,
            "last_updated_timestamp_ms": found.updated_at,
            "artifact_uri": model_root(found, location),
            "status": MODEL_STATUS[found.status],
            "model_type": found.type or None,
            "source_run_id": found.run_id,
            "tags": pairs(found.tags) or None,
            "registrations": [{"name": name, "version": str(version)} for name, version in registrations]
            or None,
        },
        "data": {
            "params": pairs(found.params) or None,
            "metrics": [_model_metric(one, found.model_id) for one in found.metrics] or None,
        },
    }


def _model_metric(one: ModelMetric, model_id: str) -> dict[str, Any]:
    return {
        "key": one.key,
        "value": number_of(one.value),
        "timestamp": one.time,
        "step": one.step,
        "model_id": model_id,
        "run_id": one.run_id,
        "dataset_name": one.dataset_name or None,
        "dataset_digest": one.dataset_digest or None,
    }


def registered_model_entity(found: RegisteredModel) -> dict[str, Any]:
    """RegisteredModel, with the newest version of each stage."""
    return {
        "name": found.name,
        "creation_timestamp": found.created_at,
        "last_updated_timestamp": found.updated_at,
        "description": found.note or None,
        "latest_versions": [version_entity(one) for one in latest_versions(found)] or None,
        "tags": pairs(found.tags) or None,
        "aliases": [{"alias": one.alias, "version": str(one.version)} for one in found.aliases] or None,
    }


def latest_versions(found: RegisteredModel, stages: Sequence[str] = ()) -> list[ModelVersion]:
    """The newest version of each stage, or of the stages named."""
    newest: dict[str, ModelVersion] = {}
    for version in found.versions:  # the newest first
        newest.setdefault(version.stage, version)
    return [one for stage, one in newest.items() if not stages or stage in stages]


def version_entity(found: ModelVersion) -> dict[str, Any]:
    """ModelVersion."""
    return {
        "name": found.name,
        "version": str(found.version),
        "creation_timestamp": found.created_at,
        "last_updated_timestamp": found.updated_at,
        "user_id": found.created_by,
        "current_stage": found.stage,
        "description": found.note or None,
        "source": found.source,
        "run_id": found.run_id or None,
        "status": "READY",
        "run_link": found.link or None,
        "model_id": found.model_id or None,
        "tags": pairs(found.tags) or None,
        "aliases": found.aliases or None,
    }
