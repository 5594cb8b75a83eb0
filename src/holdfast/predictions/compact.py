"""Compaction: shipped segments and label batches into the endpoint's Delta tables, exactly once.

One pass takes the endpoint's lease, has a short-lived child append to Delta, then marks the rows and records the
changed event days in one transaction. Killed between the two, the next pass finds in the Delta log what is there
already and only marks it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial

import msgspec

from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import HoldfastError, error_from_wire
from holdfast.predictions import store
from holdfast.predictions.records import CompactRequest, CompactResult, LabelBatch, PendingBatch
from holdfast.predictions.service import Predictions
from holdfast.storage import Tx, leases, lock

__all__ = ["compact_endpoint", "compact_pending", "run_child"]

_TTL_MS = 30_000
_RENEW_S = 10.0
_MOST_BYTES = 32 << 20
_MOST_SEGMENTS = 500
_MOST_BATCHES = 50
_MOST_OPEN = 64
_OPEN_MS = 90 * 86_400_000
_KEEP_MS = 86_400_000


class _Work(msgspec.Struct, frozen=True):
    request: CompactRequest
    is_everything: bool


def compact_pending(predictions: Predictions, clock: Clock, owner: str) -> int:
    """Compact every endpoint that waits; how many were. One that fails does not hold up the others: its error is
    raised after them.
    """
    count, failed = 0, list[HoldfastError]()
    for workspace, endpoint_id in predictions.pending_endpoints():
        try:
            count += compact_endpoint(predictions, clock, workspace, endpoint_id, owner) is not None
        except HoldfastError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return count


def compact_endpoint(
    predictions: Predictions, clock: Clock, workspace: str, endpoint_id: str, owner: str
) -> CompactResult | None:
    """Compact everything that waits at one endpoint; None when another worker is at it or nothing waits.

    Raises HoldfastError when the child failed; what waits then stays and may be tried again.
    """
    lease = leases.acquire(predictions.storage, f"compact:{endpoint_id}", owner, _TTL_MS, clock.now_ms())
    if lease is None:
        return None
    held = [lease]

    def renew() -> None:
        held[0] = leases.renew(predictions.storage, held[0], _TTL_MS, clock.now_ms())

    done: CompactResult | None = None
    try:
        while True:
            work = _collect(predictions, workspace, endpoint_id, clock.now_ms())
            if not work.request.segments and not work.request.batches:
                return done
            result = run_child(work.request, renew)
            marking = partial(_mark, held[0], workspace, endpoint_id, result)
            predictions.storage.write(marking)
            done = _merge(done, result)
            if work.is_everything:
                _drop_old(predictions, workspace, endpoint_id, clock.now_ms() - _KEEP_MS)
                return done
    finally:
        leases.release(predictions.storage, held[0])


def _collect(predictions: Predictions, workspace: str, endpoint_id: str, now_ms: int) -> _Work:
    """The next piece of work, bounded in bytes so that the child's memory is."""

    def fn(tx: Tx) -> _Work:
        segments = store.pending_segments(tx, workspace, endpoint_id, _MOST_SEGMENTS)
        size, files = 0, list[str]()
        for segment in segments:
            size += segment.size
            if files and size > _MOST_BYTES:
                break
            files.append(str(predictions.objects.path(segment.sha256)))
        batches = store.pending_batches(tx, workspace, endpoint_id, _MOST_BATCHES)
        rematch = (
            store.open_batches(tx, workspace, endpoint_id, now_ms - _OPEN_MS, _MOST_OPEN) if files else []
        )
        tables = predictions.tables(endpoint_id)
        request = CompactRequest(
            str(tables[0]),
            str(tables[1]),
            files,
            [
                PendingBatch(b.seq, b.batch_id, str(predictions.objects.path(b.sha256)), b.received_at)
                for b in batches
            ],
            [
                PendingBatch(b.seq, b.batch_id, str(predictions.objects.path(b.sha256)), b.received_at)
                for b in rematch
            ],
        )
        return _Work(request, len(files) == len(segments) < _MOST_SEGMENTS and len(batches) < _MOST_BATCHES)

    return predictions.storage.read(fn)


def _pending(predictions: Predictions, batch: LabelBatch) -> PendingBatch:
    path = str(predictions.objects.path(batch.sha256))
    return PendingBatch(batch.seq, batch.batch_id, path, batch.received_at)


def _mark(lease: leases.Lease, workspace: str, endpoint_id: str, result: CompactResult, tx: Tx) -> None:
    leases.check(tx, lease)
    lock(tx, "log", workspace, endpoint_id)
    for segment in result.segments:
        store.mark_segment(tx, workspace, endpoint_id, segment)
    for batch in result.batches:
        store.mark_batch(tx, workspace, endpoint_id, batch.seq, batch.matched)
    store.insert_change(tx, workspace, endpoint_id, result.days)


def _merge(before: CompactResult | None, result: CompactResult) -> CompactResult:
    if before is None:
        return result
    return CompactResult(
        before.segments + result.segments, before.batches + result.batches, before.days + result.days
    )


def _drop_old(predictions: Predictions, workspace: str, endpoint_id: str, before: int) -> None:
    """Delete the objects of segments that have been in the table for a day; damaged ones stay as evidence.

    A day, because Delta files reach the disk by the operating system's own pace.
    """
    old = predictions.storage.read(
        lambda tx: store.old_segments(tx, workspace, endpoint_id, before, _MOST_SEGMENTS)
    )
    for segment in old:
        predictions.objects.delete(segment.sha256)
    if old:
        names = [segment.name for segment in old]
        predictions.storage.write(lambda tx: store.mark_dropped(tx, workspace, names))


def run_child(request: CompactRequest, renew: Callable[[], None]) -> CompactResult:
    """Have a child process do the work, calling `renew` while it runs; the child dies when `renew` raises."""
    command = [sys.executable, "-m", "holdfast.predictions.compact_child"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    pending: bytes | None = msgspec.json.encode(request)
    try:
        while True:
            try:
                out, err = child.communicate(pending, timeout=_RENEW_S)
                break
            except subprocess.TimeoutExpired:
                pending = None
                renew()
    except BaseException:
        child.kill()
        child.communicate()
        raise
    if child.returncode == 0:
        return msgspec.json.decode(out, type=CompactResult)
    raise _child_error(child.returncode, out, err)


def _child_error(code: int, out: bytes, err: bytes) -> HoldfastError:
    try:
        return error_from_wire(msgspec.json.decode(out, type=dict))
    except msgspec.DecodeError:
        tail = err.decode("utf-8", "replace").strip()[-500:]
        return HoldfastError(f"Compaction ended with code {code}: {tail or 'no output'}.")
