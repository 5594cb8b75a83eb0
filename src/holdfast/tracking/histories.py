"""A metric's history out of what a run has of it: overviews where they are fine enough, points where they are not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from holdfast.storage import Tx
from holdfast.tracking.overviews import BUCKET, Buckets, Overview, drawn, in_order, read_overview, singles
from holdfast.tracking.points import Columns, Points, decode_points, in_steps
from holdfast.tracking.records import MetricHistory
from holdfast.tracking.store import metrics as metric_store
from holdfast.tracking.store import segments

__all__ = ["load_history"]


def load_history(
    tx: Tx, workspace: str, run_no: int, key: str, most: int, from_step: int, to_step: int
) -> MetricHistory | None:
    """At most `most` points or buckets of a metric, of the steps `from_step` to `to_step` (inclusive); None when the
    run has no such metric.
    """
    compacted = [
        (number, read_overview(blob)) for number, blob in segments.load_overviews(tx, workspace, run_no, key)
    ]
    blobs = [
        *segments.load_mixed(tx, workspace, run_no),
        *metric_store.load_batches(tx, workspace, run_no),
    ]
    rest = [decode_points(blob) for blob in blobs]
    inside = [
        (number, one) for number, one in compacted if one.first_step <= to_step and one.last_step >= from_step
    ]
    points = in_steps(key, rest, from_step, to_step)
    if not compacted and points is None:
        return None
    count = sum(one.points for _, one in inside) + (0 if points is None else len(points.step))
    if count >= BUCKET * most and _are_apart([one for _, one in inside], points):
        # The segments at the edges of the steps asked for are read: their buckets would tell of others too.
        whole = [one.first_step >= from_step and one.last_step <= to_step for _, one in inside]
        cut = [number for (number, _), is_whole in zip(inside, whole, strict=True) if not is_whole]
        edges = in_steps(key, _read(tx, workspace, cut), from_step, to_step)
        parts = [one.buckets for (_, one), is_whole in zip(inside, whole, strict=True) if is_whole]
        parts += [_singles(some) for some in (points, edges) if some is not None]
        return drawn(key, in_order(parts), most)
    inside.sort(key=lambda one: one[1].first_step)
    columns = _read(tx, workspace, [number for number, _ in inside])
    found = in_steps(key, [*columns, *rest], from_step, to_step)
    if found is None:
        empty = np.empty(0, np.int64)
        found = Points(empty, empty, np.empty(0))
    return drawn(key, _singles(found), most)


def _singles(points: Points) -> Buckets:
    return singles(points.step, points.time, points.value)


def _read(tx: Tx, workspace: str, numbers: Sequence[int]) -> list[Columns]:
    """The points of segments, in their order."""
    return [decode_points(blob) for blob in segments.load_blobs(tx, workspace, numbers)]


def _are_apart(compacted: Sequence[Overview], points: Points | None) -> bool:
    """Whether no two segments, and no segment and other points, have steps in common: then no point comes twice."""
    ordered = sorted(compacted, key=lambda one: one.first_step)
    if any(one.last_step >= other.first_step for one, other in pairwise(ordered)):
        return False
    if points is None:
        return True
    at = [np.searchsorted(points.step, (one.first_step, one.last_step + 1)) for one in ordered]
    return all(first == last for first, last in at)
