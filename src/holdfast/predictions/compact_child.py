"""The child of compaction: reads one CompactRequest from stdin, appends to Delta, writes a CompactResult to stdout.

It opens no database. Ends with 1 and an error in wire form when it fails.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import polars as pl

from holdfast.kernel.errors import HoldfastError, IntegrityError
from holdfast.predictions.feedback import LabelRows
from holdfast.predictions.frames import event_days, label_frame
from holdfast.predictions.records import (
    BatchOutcome,
    CompactRequest,
    CompactResult,
    PendingBatch,
    SegmentOutcome,
)
from holdfast.predictions.segments import Batch, Failure, Scan, scan
from holdfast.predictions.tables import append_labels, append_predictions, matched_events, merge_small_files

__all__ = ["compact", "main"]


def main() -> int:
    """Run one request; the exit code."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=CompactRequest)
    try:
        answer = msgspec.json.encode(compact(request))
        code = 0
    except HoldfastError as error:
        answer, code = msgspec.json.encode(error.to_wire()), 1
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
    return code


def compact(request: CompactRequest) -> CompactResult:
    """Append what the tables do not have; what they have counts as done. Safe to run again with the same request."""
    predictions, labels = request.predictions, request.labels
    scans = [scan(Path(path).read_bytes()) for path in request.segments]
    events = (
        append_predictions(predictions, scans) if scans else pl.Series("event_time", [], dtype=pl.Int64())
    )
    merge_small_files(predictions)
    frames = [_read_batch(batch) for batch in request.batches]
    append_labels(labels, [(batch.seq, frame) for batch, frame in zip(request.batches, frames, strict=True)])
    merge_small_files(labels)
    outcomes, touched = _match(predictions, request.batches, frames)
    again, _ = _match(predictions, request.rematch, [_read_batch(batch) for batch in request.rematch])
    return CompactResult(
        segments=[_outcome(found) for found in scans],
        batches=outcomes + again,
        days=event_days(pl.concat([events, *touched])),
    )


def _match(
    predictions: str, batches: Sequence[PendingBatch], frames: Sequence[pl.DataFrame]
) -> tuple[list[BatchOutcome], list[pl.Series]]:
    outcomes, touched = [], []
    for batch, frame in zip(batches, frames, strict=True):
        matched, times = matched_events(predictions, frame)
        outcomes.append(BatchOutcome(batch.seq, matched))
        touched.append(times)
    return outcomes, touched


def _read_batch(batch: PendingBatch) -> pl.DataFrame:
    try:
        rows = msgspec.msgpack.decode(Path(batch.path).read_bytes(), type=LabelRows)
    except msgspec.DecodeError as error:
        raise IntegrityError(f"The label batch {batch.batch_id} can't be read: {error}.") from error
    return label_frame(rows, batch.batch_id, batch.received_at)


def _outcome(found: Scan) -> SegmentOutcome:
    rows = sum(len(record.labels) for record in found.records if isinstance(record, Batch))
    failures = sum(isinstance(record, Failure) for record in found.records)
    damage = "; ".join(f"{d.length} bytes at {d.offset}: {d.reason}" for d in found.damages[:20])
    header = found.header
    return SegmentOutcome(header.replica, header.boot, header.seq, rows + failures, damage)


if __name__ == "__main__":
    sys.exit(main())
