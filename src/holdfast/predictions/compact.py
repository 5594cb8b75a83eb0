"""Compaction: shipped segments and label batches into the endpoint's Delta tables, exactly once.

One pass takes the endpoint's lease, has a short-lived child append to Delta, then marks the rows and records the
changed event days in one transaction. Killed between the two, the next pass finds in the Delta log what is there
already and only marks it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import HoldfastError, error_from_wire
from holdfast.predictions import store
from holdfast.predictions.records import CompactRequest, CompactResult, LabelBatch, PendingBatch, Segment
from holdfast.predictions.service import Predictions
from holdfast.storage import Tx, leases, lock

__all__ = ["COMPACT_FOLDER", "compact_endpoint", "compact_pending", "compaction_lease", "run_child"]

COMPACT_FOLDER = "holdfast-compact-"
"""What the temporary folders begin with; a killed worker leaves one behind."""
_TTL_MS = 30_000
_RENEW_S = 10.0
_MOST_BYTES = 32 << 20
_MOST_SEGMENTS = 500
_MOST_BATCHES = 50
_MOST_OPEN = 64
_OPEN_MS = 90 * 86_400_000
_KEEP_MS = 86_400_000


class _Work(msgspec.Struct, frozen=True):
    segments: list[Segment]
    batches: list[LabelBatch]
    rematch: list[LabelBatch]
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


def compaction_lease(endpoint_id: str) -> str:
    """The name of the lease that whoever changes the endpoint's tables holds."""
    return f"compact:{endpoint_id}"


def compact_endpoint(
    predictions: Predictions, clock: Clock, workspace: str, endpoint_id: str, owner: str
) -> CompactResult | None:
    """Compact everything that waits at one endpoint; None when another worker is at it or nothing waits.

    Raises HoldfastError when the child failed; what waits then stays and may be tried again.
    """
    lease = leases.acquire(predictions.storage, compaction_lease(endpoint_id), owner, _TTL_MS, clock.now_ms())
    if lease is None:
        return None
    held = [lease]

    def renew() -> None:
        held[0] = leases.renew(predictions.storage, held[0], _TTL_MS, clock.now_ms())

    done: CompactResult | None = None
    try:
        while True:
            work = _collect(predictions, workspace, endpoint_id, clock.now_ms())
            if not work.segments and not work.batches:
                return done
            with tempfile.TemporaryDirectory(prefix=COMPACT_FOLDER) as folder:
                result = run_child(_request(predictions, endpoint_id, work, Path(folder)), renew)
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
        waiting = store.pending_segments(tx, workspace, endpoint_id, _MOST_SEGMENTS)
        size, segments = 0, list[Segment]()
        for segment in waiting:
            size += segment.size
            if segments and size > _MOST_BYTES:
                break
            segments.append(segment)
        batches = store.pending_batches(tx, workspace, endpoint_id, _MOST_BATCHES)
        rematch = (
            store.open_batches(tx, workspace, endpoint_id, now_ms - _OPEN_MS, _MOST_OPEN) if segments else []
        )
        is_everything = len(segments) == len(waiting) < _MOST_SEGMENTS and len(batches) < _MOST_BATCHES
        return _Work(segments, batches, rematch, is_everything)

    return predictions.storage.read(fn)


def _request(predictions: Predictions, endpoint_id: str, work: _Work, folder: Path) -> CompactRequest:
    """The child's request, with local copies of what it reads: it opens neither database nor object store."""

    def fetched(sha256: str) -> str:
        path = folder / sha256
        if not path.exists():
            with predictions.objects.open(sha256) as file:
                path.write_bytes(file.read())
        return str(path)

    def batch(b: LabelBatch) -> PendingBatch:
        return PendingBatch(b.seq, b.batch_id, fetched(b.sha256), b.received_at)

    segments = [fetched(segment.sha256) for segment in work.segments]
    return CompactRequest(
        *predictions.tables(endpoint_id),
        segments,
        [batch(one) for one in work.batches],
        [batch(one) for one in work.rematch],
    )


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
        predictions.objects.discard(segment.sha256)
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
