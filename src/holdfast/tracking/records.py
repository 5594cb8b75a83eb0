"""The nouns of tracking."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "Batch",
    "DatasetInput",
    "Experiment",
    "LoggedDataset",
    "LoggedModel",
    "MetricHistory",
    "MetricPoint",
    "MetricSummary",
    "ModelLink",
    "ModelMetric",
    "ModelStatus",
    "Recipe",
    "Run",
    "RunColumns",
    "RunLinks",
    "RunStatus",
    "Span",
    "Trace",
    "TraceState",
    "UploadedBundle",
    "View",
]

RunStatus = Literal["running", "scheduled", "finished", "failed", "killed"]
ModelStatus = Literal["pending", "ready", "failed"]
TraceState = Literal["STATE_UNSPECIFIED", "IN_PROGRESS", "OK", "ERROR"]


class Experiment(msgspec.Struct, frozen=True):
    """A named group of runs; its id is an integer of the deployment.

    `location`: where clients of MLflow's protocol put its runs' artifacts, when that is not this server.
    """

    experiment_id: int
    name: str
    created_at: int
    runs: int = 0
    last_run_at: int | None = None
    updated_at: int = 0
    deleted_at: int | None = None
    location: str = ""
    tags: dict[str, str] = {}


class Recipe(msgspec.Struct, frozen=True):
    """How a run came about: what is needed to replay it."""

    command: list[str] = []
    cwd: str = ""
    git_commit: str = ""
    git_dirty: bool = False
    git_diff_artifact: str = ""
    python: str = ""
    packages_artifact: str = ""
    started_by: str = ""


class MetricPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One point of a metric. `time` is ms UTC; NaN and infinities travel as 'NaN', 'Infinity', '-Infinity'."""

    key: str
    value: float | Literal["NaN", "Infinity", "-Infinity"]
    step: int = 0
    time: int | None = None


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one request logs to a run. Params and tags are texts."""

    metrics: list[MetricPoint] = []
    params: dict[str, str] = {}
    tags: dict[str, str] = {}


class MetricSummary(msgspec.Struct, frozen=True):
    """A metric in one row: `last` is the value at the greatest (step, time, value); min and max leave NaN out."""

    last: float
    last_step: int
    last_time: int
    min: float | None
    max: float | None
    count: int


class LoggedDataset(msgspec.Struct, frozen=True):
    """A data set as a client describes it; name and digest identify it within an experiment."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""


class DatasetInput(msgspec.Struct, frozen=True):
    """A data set that a run used, with tags of this use; the tag `mlflow.data.context` is its context."""

    dataset: LoggedDataset
    tags: dict[str, str] = {}


class ModelLink(msgspec.Struct, frozen=True):
    """A logged model that a run used, or that it put out at a step."""

    model_id: str
    step: int = 0


class RunLinks(msgspec.Struct, frozen=True):
    """What a run used and what it put out."""

    datasets: list[DatasetInput] = []
    models_in: list[ModelLink] = []
    models_out: list[ModelLink] = []


class Run(msgspec.Struct, frozen=True):
    """One tracked run."""

    run_id: str
    experiment_id: int
    name: str
    status: RunStatus
    start_time: int
    end_time: int | None
    user: str
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, MetricSummary]
    recipe: Recipe | None
    exit_code: int | None
    digest: str | None
    """Seals params, metrics and artifacts of a finished run; None while it runs or after a later write."""
    deleted_at: int | None = None
    """When it was deleted; it can be restored until it is purged."""
    links: RunLinks = RunLinks()


class RunColumns(msgspec.Struct, frozen=True):
    """What a table of runs has to choose columns from: names, in order."""

    metrics: list[str]
    params: list[str]
    tags: list[str]


class ModelMetric(msgspec.Struct, frozen=True):
    """A metric of a logged model, measured by a run, on a data set where that is known."""

    key: str
    value: float
    time: int
    step: int
    run_id: str
    dataset_name: str = ""
    dataset_digest: str = ""


class MetricHistory(msgspec.Struct, frozen=True):
    """A metric's points in order of (step, time). Above the asked number of points each stands for a bucket of
    neighbours: `values` is the bucket's last value, `low` and `high` its extremes."""

    key: str
    count: int
    steps: list[int]
    times: list[int]
    values: list[float]
    low: list[float]
    high: list[float]


class UploadedBundle(msgspec.Struct, frozen=True):
    """What a bundle of artifacts held."""

    files: int
    size: int


class LoggedModel(msgspec.Struct, frozen=True):
    """A model that a run logged: a tree of files, sealed by its digest once `status` is ready."""

    model_id: str
    run_id: str | None
    experiment_id: int | None
    name: str
    status: ModelStatus
    created_at: int
    digest: str | None
    type: str = ""
    updated_at: int = 0
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[ModelMetric] = []


class Span(msgspec.Struct, frozen=True):
    """One step of an LLM trace. Ids are hexadecimal, times ns UTC; a step that has not ended has no end.

    `content` is the whole span as OpenTelemetry's JSON: what is answered, and searched for text.
    """

    span_id: str
    parent_id: str
    name: str
    type: str
    status: str
    start_ns: int
    end_ns: int | None
    content: str


class Trace(msgspec.Struct, frozen=True):
    """An LLM trace: what one request to an application went through. `start_time` is ms UTC, `duration` ms."""

    trace_id: str
    experiment_id: int
    state: TraceState
    start_time: int
    duration: int | None = None
    client_request_id: str | None = None
    request: str | None = None
    """The first characters of what was asked; `response` of what was answered."""
    response: str | None = None
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    assessments: dict[str, dict[str, Any]] = {}
    """What people and programs said of it, by id, in the words of the protocol that it came by."""


class View(msgspec.Struct, frozen=True):
    """What an experiment's page shows, by a name: `query` is the part of its address after `?`.

    A shared view is for everyone in the workspace, another one for its owner alone. `updated_at`: ms UTC.
    """

    view_id: str
    experiment_id: int
    name: str
    query: str
    is_shared: bool
    owner_id: str
    owner: str
    updated_at: int
