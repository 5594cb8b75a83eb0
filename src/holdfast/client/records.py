"""What the server's answers hold, as the client gives them: frozen records with the field names of the HTTP
API.

Fields that a newer server adds are ignored. Times are milliseconds since the epoch, UTC.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

__all__ = [
    "Artifact",
    "AuditEntry",
    "AuditReport",
    "Damage",
    "Endpoint",
    "Experiment",
    "LoggedModel",
    "MetricHistory",
    "MetricSummary",
    "ModelVersion",
    "Predictions",
    "RegisteredModel",
    "Run",
    "ServingStatus",
]


class Experiment(msgspec.Struct, frozen=True):
    """A named group of runs."""

    experiment_id: int
    name: str
    created_at: int = 0
    runs: int = 0
    last_run_at: int | None = None


class MetricSummary(msgspec.Struct, frozen=True):
    """One metric of a run in one row: `last` is the value at the greatest step; min and max leave NaN out."""

    last: float | str | None
    last_step: int
    last_time: int
    min: float | str | None
    max: float | str | None
    count: int

    def __post_init__(self) -> None:
        last = math.nan if self.last is None else float(self.last)
        msgspec.structs.force_setattr(self, "last", last)
        for name in ("min", "max"):
            value = getattr(self, name)
            msgspec.structs.force_setattr(self, name, None if value is None else float(value))


class Run(msgspec.Struct, frozen=True):
    """One tracked run. `status` is running, finished, failed or killed; `digest` seals what a finished run
    holds.
    """

    run_id: str
    experiment_id: int
    name: str
    status: str
    start_time: int
    end_time: int | None = None
    user: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: dict[str, MetricSummary] = {}
    recipe: dict[str, Any] | None = None
    exit_code: int | None = None
    digest: str | None = None


class MetricHistory(msgspec.Struct, frozen=True):
    """The points of one metric in step order; `low` and `high` bound each point where `count` was reduced."""

    key: str
    count: int
    steps: list[int]
    times: list[int]
    values: list[float | str | None]
    low: list[float | str | None] = []
    high: list[float | str | None] = []


class Artifact(msgspec.Struct, frozen=True):
    """One file of a run: path, SHA-256 (hex), size in bytes."""

    path: str
    sha256: str
    size: int


class LoggedModel(msgspec.Struct, frozen=True):
    """A model that a run logged. `digest` names its files once `status` is ready."""

    model_id: str
    status: str
    run_id: str | None = None
    experiment_id: int | None = None
    name: str = ""
    created_at: int = 0
    digest: str | None = None
    registered_version: int | None = None
    """The version that `log_model(register=...)` made of it."""


class ModelVersion(msgspec.Struct, frozen=True):
    """A numbered, sealed version of a registered model. `status` is that of its deployable: pending, ready,
    failed.
    """

    name: str
    version: int
    model_id: str = ""
    run_id: str = ""
    digest: str = ""
    deployable_digest: str | None = None
    status: str = ""
    runtime: str | None = None
    message: str = ""
    created_at: int = 0
    signature: dict[str, Any] | None = None


class RegisteredModel(msgspec.Struct, frozen=True):
    """A registered model with its aliases (alias to version number) and versions, oldest first."""

    name: str
    aliases: dict[str, int] = {}
    versions: list[ModelVersion] = []
    created_at: int = 0


class Endpoint(msgspec.Struct, frozen=True):
    """A named place where predictions come from.

    `version` is what was asked for last, `live_version` what answers now. `status` is preparing, starting,
    live, failed (see `message`) or, for an external endpoint, external.
    """

    name: str
    endpoint_id: str = ""
    kind: str = ""
    clock: str = ""
    window: str = ""
    task: str = ""
    target: str = ""
    positive: str | None = None
    classes: list[str] = []
    model: str = ""
    version: int | None = None
    deployable_digest: str | None = None
    live_version: int | None = None
    status: str = ""
    message: str = ""
    signature: dict[str, Any] | None = None
    reference: dict[str, Any] | None = None
    created_at: int = 0
    updated_at: int = 0


class Predictions(msgspec.Struct, frozen=True):
    """The answer to one predict call, row by row: prediction ids, labels and, of a classifier,
    probabilities.
    """

    prediction_ids: list[str]
    labels: list[Any]
    probabilities: list[list[float]] | None
    version: str


class ServingStatus(msgspec.Struct, frozen=True):
    """Where inference answers and which replicas are known."""

    inference_url: str | None = None
    replicas: list[dict[str, Any]] = []


class AuditEntry(msgspec.Struct, frozen=True):
    """One entry of the audit log. `leaf` is what the tree holds, `leaf_hash` (hex) its hash."""

    index: int
    time_ms: int
    action: str
    object: str
    actor: str = ""
    actor_name: str = ""
    auth: str = ""
    workspace: str = ""
    digest: str | None = None
    request_id: str = ""
    reason: str = ""
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    leaf: dict[str, Any] = {}
    leaf_hash: str = ""


class Damage(msgspec.Struct, frozen=True):
    """One damaged entry of the audit log: its index (-1: the tree as a whole) and what is wrong with it."""

    index: int
    problem: str


class AuditReport(msgspec.Struct, frozen=True):
    """The result of verifying the audit log: its size, its root hash (hex) and what is damaged."""

    ok: bool
    size: int
    root: str
    damaged: list[Damage] = []
