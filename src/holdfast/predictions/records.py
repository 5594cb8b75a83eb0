"""The nouns of predictions: the endpoint that is watched, what is logged for it, and the truth that comes later."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.kernel.principal import DEFAULT_WORKSPACE

__all__ = [
    "CLOCKS",
    "DAY_MS",
    "TASKS",
    "Backlog",
    "BatchOutcome",
    "Change",
    "CompactRequest",
    "CompactResult",
    "Deployed",
    "Endpoint",
    "Feedback",
    "FeedbackAnswer",
    "LabelBatch",
    "LogStatus",
    "MonitorFields",
    "PendingBatch",
    "Reference",
    "Segment",
    "SegmentName",
    "SegmentOutcome",
]

DAY_MS = 86_400_000
CLOCKS = ("wall", "event")
TASKS = ("binary", "multiclass", "regression")


class Reference(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rows that production is compared with.

    `source` is `model` (the rows that the model version carries), `file` (rows given with `monitor set`, stored
    as the object `sha256`) or `learning` (none yet: the first production rows will be).
    """

    source: str
    sha256: str = ""
    rows: int = 0


class Endpoint(msgspec.Struct, frozen=True):
    """A named place where predictions come from: served by holdfast, or external (only its predictions are ours).

    `version` and `deployable_digest` are what was asked for last; `live_version` is what answers now. `status` is
    `preparing`, `starting`, `live`, `failed` (see `message`) or, for an external endpoint, `external`.
    Labels and classes are canonical text (`predictions.labels`). Times are ms, UTC.
    """

    endpoint_id: str
    workspace_id: str
    name: str
    kind: str
    clock: str
    window: str
    task: str
    target: str
    positive: str | None
    classes: list[str]
    model: str
    version: int | None
    deployable_digest: str | None
    live_version: int | None
    status: str
    message: str
    signature: dict[str, Any] | None
    reference: Reference
    state: str
    created_at: int
    updated_at: int

    @property
    def model_name(self) -> str:
        """The endpoint's name in inference URLs."""
        return model_name(self.workspace_id, self.name)


def model_name(workspace: str, endpoint: str) -> str:
    """An endpoint's name in inference URLs: with its workspace unless that is `default`; no name has a dot of its own."""
    return endpoint if workspace == DEFAULT_WORKSPACE else f"{workspace}.{endpoint}"


class Deployed(msgspec.Struct, frozen=True):
    """What a deployment writes into its endpoint: the model version that was asked for and what it says of itself."""

    model: str
    version: int
    task: str = ""
    target: str = ""
    positive: str | None = None
    classes: list[str] = []
    signature: dict[str, Any] | None = None
    reference: Reference = Reference("learning")


class MonitorFields(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The fields of the endpoint record that people set; None leaves one as it is.

    `reference` is `{"columns": {name: [values]}}`, the target column among them.
    """

    clock: str | None = None
    window: str | None = None
    task: str | None = None
    target: str | None = None
    positive: str | int | bool | float | None = None
    reference: dict[str, Any] | None = None


class SegmentName(msgspec.Struct, frozen=True):
    """The name of a log segment, unique per endpoint: which replica, which start of it, which file in order."""

    endpoint_id: str
    replica: str
    boot: str
    seq: int

    @property
    def app_id(self) -> str:
        """The application id of this segment's commits in the Delta log."""
        return f"{self.replica}/{self.boot}"


class Segment(msgspec.Struct, frozen=True):
    """A shipped log segment: its name, the object that holds its bytes, and what compaction found in it."""

    name: SegmentName
    sha256: str
    size: int
    state: str
    """`pending` until it stands in the Delta table, then `compacted`; `dropped` when its object is deleted."""
    received_at: int
    rows: int = 0
    damage: str = ""
    """Records that could not be read (bad CRC), in words; empty when there are none."""


class SegmentOutcome(msgspec.Struct, frozen=True):
    """What compaction found in one segment."""

    replica: str
    boot: str
    seq: int
    rows: int
    damage: str = ""


class LabelBatch(msgspec.Struct, frozen=True):
    """An accepted delivery of true labels. `seq` counts from 1 per endpoint; `matched` is None before compaction."""

    batch_id: str
    endpoint_id: str
    seq: int
    sha256: str
    rows: int
    received_at: int
    state: str
    matched: int | None = None


class LogStatus(msgspec.Struct, frozen=True):
    """What an endpoint has logged. `labels_matched` have a prediction; the other labels wait for theirs."""

    rows: int
    """Rows in the prediction table, failed requests and repeats among them."""
    segments_waiting: int
    segments_damaged: int
    labels: int
    labels_matched: int
    label_batches_waiting: int


class Backlog(msgspec.Struct, frozen=True):
    """What waits for compaction at all endpoints of all workspaces. `oldest_at` (ms): when the oldest arrived."""

    segments: int
    segment_bytes: int
    label_batches: int
    oldest_at: int | None
    damaged: int
    """Segments that arrived damaged; their objects are kept as evidence."""


class Change(msgspec.Struct, frozen=True):
    """Event days (starts, ms UTC, both included) whose predictions or labels have changed."""

    change_id: int
    first_day: int
    last_day: int


class Feedback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """True labels as columns of one length: `label`, and `key` or `prediction_id`."""

    columns: dict[str, list[Any]]


class FeedbackAnswer(msgspec.Struct, frozen=True):
    """How many labels were accepted, and under which batch."""

    accepted: int
    batch_id: str


class PendingBatch(msgspec.Struct, frozen=True):
    """A label batch for the child: its number and id, the file of its object, when it was received (ms)."""

    seq: int
    batch_id: str
    path: str
    received_at: int


class CompactRequest(msgspec.Struct, frozen=True):
    """What the child is to append, in order: files of segments and of label batches, and batches to match again."""

    predictions: str
    labels: str
    segments: list[str]
    batches: list[PendingBatch]
    rematch: list[PendingBatch]


class BatchOutcome(msgspec.Struct, frozen=True):
    """How many rows of a label batch have a prediction."""

    seq: int
    matched: int


class CompactResult(msgspec.Struct, frozen=True):
    """What stands in the tables now, and the runs of event days that changed."""

    segments: list[SegmentOutcome]
    batches: list[BatchOutcome]
    days: list[tuple[int, int]]
