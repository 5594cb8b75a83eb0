"""What the audit log holds of experiments, finished runs and logged models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.audit.recorded import Fact
from holdfast.audit.records import AuditEntry
from holdfast.storage import Tx
from holdfast.tracking.overviews import is_overview_of
from holdfast.tracking.points import decode_points, distinct, joined
from holdfast.tracking.seal import seal_of
from holdfast.tracking.store import experiments as experiment_store
from holdfast.tracking.store import metrics as metric_store
from holdfast.tracking.store import models as model_store
from holdfast.tracking.store import runs as run_store
from holdfast.tracking.store import segments
from holdfast.tracking.summaries import summarise

__all__ = ["RecordedRuns"]


class RecordedRuns:
    """Experiments by name; runs by the digest that seals them, made anew from their rows; models by theirs."""

    def by_log(self, entry: AuditEntry) -> Iterator[Fact]:
        """See `Recorded`."""
        name = f"{entry.workspace}/{entry.object.partition(':')[2]}"
        match entry.action:
            case "experiment.create" | "experiment.rename":
                yield f"the experiment {name}", repr((entry.after or {})["name"])
            case "run.finish":
                yield f"the run {name}", f"sealed under {entry.digest}"
            case "run.reopen" | "run.purge":
                yield f"the run {name}", None
            case "model.log":
                yield f"the logged model {name}", f"ready under {entry.digest}"

    def by_rows(self, tx: Tx) -> Iterator[Fact]:
        """See `Recorded`."""
        for workspace, number, name in experiment_store.all_experiments(tx):
            yield f"the experiment {workspace}/{number}", repr(name)
        for workspace, run_no, run_id, digest in run_store.all_sealed(tx):
            name = f"the run {workspace}/{run_id}"
            yield name, f"sealed under {digest}"
            run = run_store.find_run(tx, workspace, run_id)
            if run is None:
                yield name, "not to be found by its index"
                continue
            yield name, f"sealed under {seal_of(tx, workspace, run_no, run).digest}"
            points = _summaries(
                [
                    *metric_store.load_segments(tx, workspace, run_no),
                    *metric_store.load_batches(tx, workspace, run_no),
                ]
            )
            if points != {key: repr(summary) for key, summary in run.metrics.items()}:
                yield name, "summarised as its points are not"
            for blob, overview in segments.all_overviews(tx, workspace, run_no):
                all_ = decode_points(blob)
                if not is_overview_of(overview, all_.step, all_.time, all_.value):
                    yield name, "drawn as its points are not"
        for workspace, model_id, status, digest in model_store.all_logged(tx):
            yield f"the logged model {workspace}/{model_id}", f"{status} under {digest}"


def _summaries(blobs: Sequence[bytes]) -> dict[str, str]:
    """The summaries, as text since NaN equals nothing, that the points of all blobs give, by key."""
    points = distinct(joined([decode_points(blob) for blob in blobs]))
    return {key: repr(summary) for key, summary in summarise(points).items()}
