"""What is logged to a run, and its metrics: a batch is durable as one blob, and its summaries follow a moment later."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from holdfast.identity.service import require
from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage, Tx, lock
from holdfast.tracking.batches import check_batch
from holdfast.tracking.held import hold_run, model_number, run_number, unseal
from holdfast.tracking.histories import load_history
from holdfast.tracking.points import (
    Columns,
    Points,
    decode_points,
    encode_points,
    known_points,
    points_of,
)
from holdfast.tracking.records import Batch, MetricHistory, MetricPoint, ModelMetric
from holdfast.tracking.store import attributes, changes, segments
from holdfast.tracking.store import metrics as metric_store
from holdfast.tracking.store import models as model_store
from holdfast.tracking.store import runs as run_store
from holdfast.tracking.summaries import changed_summaries

__all__ = ["Metrics"]

_INT64 = 2**63
_AT_ONCE, _RUNS_AT_ONCE = 256, 100
"""Batches, and runs, that are summarised in one transaction, and between two looks at what there is."""


class Metrics:
    """Batches, summaries and histories over the metadata database.

    A batch is kept with a note that its run's summaries lack it. Whoever reads a run takes the missing batches into
    account; `settle` brings the rows up to date, so that runs can be searched by them.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.arrived = threading.Event()
        """Set when a batch has come, for whoever settles in the background."""

    def log_batch(
        self,
        caller: Caller,
        run_id: str,
        batch: Batch,
        body_sha256: str,
        *,
        of_models: Mapping[str, Sequence[ModelMetric]] | None = None,
    ) -> None:
        """Write metrics, params and tags of a run, all or nothing; `of_models`: metrics of logged models beside it.

        A body with metrics that was accepted for this run before (same SHA-256) changes nothing, so retries are
        safe. Params are written once: another value for a key raises InvalidInput, the same value again is fine.
        """
        require(caller, "tracking:write")
        check_batch(batch)
        points = batch.metrics
        if of_models:
            points = self._new_points(caller, run_id, points)
        _, blob = encode_points(points, caller.time_ms)
        workspace = caller.workspace

        def fn(tx: Tx) -> None:
            state = hold_run(tx, caller, run_id)
            if points and metric_store.has_batch(tx, workspace, state.run_no, body_sha256):
                return
            for model_id, measured in (of_models or {}).items():
                model_store.add_metrics(tx, workspace, model_number(tx, caller, model_id), measured)
            params = _new_params(tx, caller, run_id, state.run_no, batch.params)
            tags = _new_tags(tx, caller, state.run_no, batch.tags)
            if not (points or params or tags):
                return
            unseal(tx, caller, run_id, state)
            for kind, values in (("params", params), ("tags", tags)):
                if values:
                    attributes.upsert_values(tx, workspace, state.run_no, kind, values)
            if points:
                metric_store.insert_batch(
                    tx, workspace, state.run_no, body_sha256, caller.time_ms, len(points), blob
                )

        self._storage.write(fn)
        if points:
            self.arrived.set()

    def _new_points(self, caller: Caller, run_id: str, points: Sequence[MetricPoint]) -> list[MetricPoint]:
        """The points that the run has not yet: clients log a metric again when they learn what model it is of."""
        batches = self._read_points(caller, run_id)
        known = {key: known_points(key, batches) for key in {point.key for point in points}}
        return [one for one in points if (one.step, one.time, repr(float(one.value))) not in known[one.key]]

    def settle(self, workspace: str = "") -> int:
        """Bring the summaries of one workspace, or of all, up to date; how many runs were behind.

        Each transaction takes in some batches of one run, under the run's lock: it may be interrupted anywhere, and
        several processes may do it at once.
        """
        done: set[tuple[str, str]] = set()
        while found := self._storage.read(lambda tx: metric_store.list_pending(tx, _RUNS_AT_ONCE, workspace)):
            for one in found:
                self._storage.write(lambda tx, one=one: _settle_run(tx, *one))  # type: ignore[misc]
            done.update(found)
        return len(done)

    def get_points(self, caller: Caller, run_id: str, key: str) -> Points | None:
        """Every point of a metric in order of (time, step, value), exact duplicates dropped; None when there is no
        such run or metric.
        """
        require(caller, "tracking:read")
        return points_of(key, self._read_points(caller, run_id, key))

    def get_history(
        self,
        caller: Caller,
        run_id: str,
        key: str,
        *,
        points: int = 1000,
        from_step: int = -_INT64,
        to_step: int = _INT64 - 1,
    ) -> MetricHistory:
        """A metric's points, at most `points`, of the steps `from_step` to `to_step` (inclusive).

        Raises NotFound for an unknown run or metric.
        """
        require(caller, "tracking:read")
        if not 2 <= points <= 100_000:
            raise InvalidInput(f"points={points} is not from 2 to 100000.")

        found = self._storage.read(
            lambda tx: load_history(
                tx, caller.workspace, run_number(tx, caller, run_id), key, points, from_step, to_step
            )
        )
        if found is None:
            raise NotFound(f"The run {run_id} has no metric {key[:250]!r}.")
        return found

    def _read_points(self, caller: Caller, run_id: str, key: str | None = None) -> list[Columns]:
        def fn(tx: Tx) -> list[bytes]:
            state = run_store.state_of(tx, caller.workspace, run_id)
            return [] if state is None else _load_points(tx, caller.workspace, state.run_no, key)

        return [decode_points(blob) for blob in self._storage.read(fn)]


def _load_points(tx: Tx, workspace: str, run_no: int, key: str | None = None) -> list[bytes]:
    """The blobs in which a run's points are, or those of one metric (and others)."""
    return [
        *metric_store.load_segments(tx, workspace, run_no, key),
        *metric_store.load_batches(tx, workspace, run_no),
    ]


def _settle_run(tx: Tx, workspace: str, run_id: str) -> None:
    lock(tx, "run", workspace, run_id)
    state = run_store.state_of(tx, workspace, run_id)
    first = None if state is None else metric_store.first_pending(tx, workspace, state.run_no)
    if state is None or first is None:
        return  # another process has done it
    batches = metric_store.next_batches(tx, workspace, state.run_no, first, _AT_ONCE + 1)
    taken = [decode_points(blob) for _, _, blob in batches[:_AT_ONCE]]
    old = attributes.load_summaries(tx, workspace, [state.run_no]).get(state.run_no, {})

    def load_earlier(_keys: Sequence[str]) -> list[Columns]:
        blobs = metric_store.load_segments(tx, workspace, state.run_no)
        blobs += metric_store.load_batches(tx, workspace, state.run_no, below=first)
        return [decode_points(blob) for blob in blobs]

    changed = changed_summaries(old, taken, load_earlier)
    ids = attributes.key_ids(tx, workspace, changed)
    metric_store.put_summaries(tx, workspace, state.run_no, ids, changed, old)
    metric_store.set_pending(
        tx, workspace, state.run_no, batches[_AT_ONCE][0] if len(batches) > _AT_ONCE else None
    )
    segments.note_loose(tx, workspace, state.run_no, len(taken), batches[len(taken) - 1][1])
    changes.touch(tx, workspace, state.run_no)


def _new_params(
    tx: Tx, caller: Caller, run_id: str, run_no: int, params: Mapping[str, str]
) -> dict[str, str]:
    """The params that the run has not yet. Raises InvalidInput when one has another value."""
    existing = attributes.load_values(tx, caller.workspace, run_no, "params") if params else {}
    for key, value in params.items():
        if existing.get(key, value) != value:
            raise InvalidInput(
                f"The param {key!r} of the run {run_id} is {existing[key][:80]!r} already and can't become {value[:80]!r}.",
                hint="Params are written once; log a metric or a tag, or start another run.",
                details={"param": key, "value": existing[key], "asked": value},
            )
    return {key: value for key, value in params.items() if key not in existing}


def _new_tags(tx: Tx, caller: Caller, run_no: int, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that the run has not yet, or with another value."""
    existing = attributes.load_values(tx, caller.workspace, run_no, "tags") if tags else {}
    return {key: value for key, value in tags.items() if existing.get(key) != value}
