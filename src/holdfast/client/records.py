"""What the server's answers hold, as the client gives them: frozen records with the field names of the HTTP
API.

Fields that a newer server adds are ignored. Times are milliseconds since the epoch, UTC.
"""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.client.pictures import comparison_html, run_html

__all__ = [
    "Activity",
    "Alias",
    "AliasChange",
    "Artifact",
    "AuditEntry",
    "AuditReport",
    "Channel",
    "Comment",
    "ComparedRow",
    "ComparedRun",
    "Comparison",
    "Damage",
    "DoctorReport",
    "Endpoint",
    "Experiment",
    "Finding",
    "Hit",
    "LoggedModel",
    "MetricHistory",
    "MetricSummary",
    "ModelVersion",
    "Notification",
    "Predictions",
    "RegisteredModel",
    "Run",
    "RunGroup",
    "RunGroups",
    "SearchAnswer",
    "ServingStatus",
    "Thread",
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

    last: float
    last_step: int
    last_time: int
    min: float | None
    max: float | None
    count: int


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

    def _repr_html_(self) -> str:
        return run_html(self)


class MetricHistory(msgspec.Struct, frozen=True):
    """The points of one metric in step order; `low` and `high` bound each point where `count` was reduced."""

    key: str
    count: int
    steps: list[int]
    times: list[int]
    values: list[float]
    low: list[float] = []
    high: list[float] = []


class Artifact(msgspec.Struct, frozen=True):
    """One file of a run: path, SHA-256 (hex), size in bytes."""

    path: str
    sha256: str
    size: int


class ComparedRun(msgspec.Struct, frozen=True):
    """A run as it heads its column of a comparison. Times are ms UTC."""

    run_id: str
    name: str
    experiment_id: int
    status: str
    start_time: int
    end_time: int | None = None


class ComparedRow(msgspec.Struct, frozen=True):
    """One thing and what each run has of it; None for nothing. `kind`: run, metric, min, max, param, tag, data, code or
    package.

    `deltas` are the differences to the baseline's number, where both are numbers.
    """

    kind: str
    key: str
    values: list[float | str | None]
    deltas: list[float | None]
    is_different: bool


class Comparison(msgspec.Struct, frozen=True):
    """Several runs side by side; `baseline` is the place of the one that others are measured by."""

    runs: list[ComparedRun]
    baseline: int
    rows: list[ComparedRow]

    def _repr_html_(self) -> str:
        return comparison_html(self)


class GroupFigures(msgspec.Struct, frozen=True):
    """What a group's runs have of one metric, of those whose value is finite; `sd` is that of the sample, None below two."""

    count: int
    mean: float | None
    sd: float | None
    min: float | None
    max: float | None


class RunGroup(msgspec.Struct, frozen=True):
    """Runs that share `values` (None: they have none); `figures` in the order of the columns."""

    values: list[str | None]
    runs: int
    figures: list[GroupFigures]


class RunGroups(msgspec.Struct, frozen=True):
    """Groups of runs; `total` is how many there are in all."""

    by: list[str]
    columns: list[str]
    total: int
    groups: list[RunGroup]


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
    """One version of a registered model, counted from 1.

    `digest` names its files, `deployable_digest` what is served; None until `status` (pending, ready, failed)
    is ready. `description` is its holdfast-model.json. `message` says why it failed or is not served from
    ONNX.
    """

    name: str
    version: int
    version_id: str = ""
    model_id: str = ""
    run_id: str | None = None
    digest: str = ""
    created_at: int = 0
    created_by: str = ""
    description: dict[str, Any] | None = None
    status: str = ""
    deployable_digest: str | None = None
    runtime: str | None = None
    parity: dict[str, Any] | None = None
    message: str = ""
    prepared_at: int | None = None
    aliases: list[str] = []


class Alias(msgspec.Struct, frozen=True):
    """What an alias names now, since when (ms, UTC) and by whom."""

    alias: str
    version: int
    since: int
    by: str


class AliasChange(msgspec.Struct, frozen=True):
    """One move of an alias; `version` is None where it was deleted."""

    alias: str
    version: int | None
    time: int
    by: str


class RegisteredModel(msgspec.Struct, frozen=True):
    """A named model with its aliases and versions, the newest version first."""

    name: str
    created_at: int = 0
    aliases: list[Alias] = []
    versions: list[ModelVersion] = []


class Endpoint(msgspec.Struct, frozen=True):
    """A named place where predictions come from.

    `version` is what was asked for last, `live_version` what answers now. `status` is preparing, starting,
    live, failed (see `message`) or, for an external endpoint, external.
    """

    name: str
    workspace_id: str = "default"
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

    @property
    def model_name(self) -> str:
        """The endpoint's name in inference URLs."""
        return self.name if self.workspace_id == "default" else f"{self.workspace_id}.{self.name}"


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


class Finding(msgspec.Struct, frozen=True):
    """One thing that the doctor looked at: `state` is ok, attention or bad; `advice` says what to do."""

    check: str
    state: str
    message: str
    advice: str = ""


class DoctorReport(msgspec.Struct, frozen=True):
    """Everything that the doctor looked at; `ok` while nothing is bad."""

    ok: bool
    findings: list[Finding]


class Comment(msgspec.Struct, frozen=True):
    """A comment on an object, in Markdown; a deleted one has no body. `mentions` are names with principal
    ids.
    """

    comment_id: str
    object: str
    body: str
    author: str = ""
    author_id: str = ""
    parent_id: str | None = None
    mentions: dict[str, str] = {}
    created_at: int = 0
    edited_at: int | None = None
    deleted_at: int | None = None
    deleted_by: str = ""


class Thread(msgspec.Struct, frozen=True):
    """A comment with the answers to it, oldest first."""

    comment: Comment
    replies: list[Comment] = []


class Activity(msgspec.Struct, frozen=True):
    """Something that happened, in words; `index` is its audit entry, `count` how many equal ones stand in a
    row.
    """

    index: int
    time_ms: int
    sentence: str
    actor: str = ""
    action: str = ""
    object: str = ""
    address: str = ""
    count: int = 1
    thread: Thread | None = None


class Notification(msgspec.Struct, frozen=True):
    """News for oneself, named by the audit entry that it tells of; `kind` is mention, reply, alert or
    change.
    """

    event: int
    kind: str
    text: str
    object: str = ""
    actor: str = ""
    address: str = ""
    created_at: int = 0
    read_at: int | None = None


class Channel(msgspec.Struct, frozen=True):
    """A way out for events, without its secrets. `state` is active, or paused after repeated failure."""

    name: str
    kind: str
    target: str
    state: str = "active"
    match: dict[str, Any] = {}
    failures: int = 0
    message: str = ""
    created_at: int = 0
    created_by: str = ""


class Hit(msgspec.Struct, frozen=True):
    """One thing that a search found, with the address of its page on the server. `fit` is 4 for the very name,
    3 for its beginning, 2 for beginnings of words in it, 1 for parts of words, 0 when something else about it
    has the words.
    """

    kind: str
    name: str
    address: str
    context: str = ""
    fit: int = 0
    time: int | None = None


class SearchAnswer(msgspec.Struct, frozen=True):
    """What a search found, the best first; `notes` tell what was not looked at, `is_cut` whether there is more."""

    query: str
    items: list[Hit]
    notes: list[str] = []
    is_cut: bool = False
