"""Compaction: the points of many small batches become few segments, one metric each, in order of their steps.

A chart then reads one metric's points alone, and like values that stand together take less room. A transaction takes in
some batches of one run: their points go into segments, and their blobs go away, both or neither. What was compacted
stays readable at every moment, by whoever reads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from holdfast.kernel.errors import IntegrityError
from holdfast.storage import Storage, Tx, lock
from holdfast.tracking.overviews import encode_overview
from holdfast.tracking.points import Columns, decode_points, distinct, joined, pack
from holdfast.tracking.store import metrics as metric_store
from holdfast.tracking.store import runs as run_store
from holdfast.tracking.store import segments as store

__all__ = ["SEGMENT_POINTS", "compact_metrics", "is_compaction_due"]

_LOG = logging.getLogger(__name__)
SEGMENT_POINTS = 65_536
"""A segment that has so many points is not written again."""
_OWN = 1_024
"""A metric with so many points has segments of its own; smaller ones of a run stand together."""
_MANY, _FEW = 256, 2
_QUIET_MS = 60_000
"""A run is compacted when it has `_MANY` batches, or when it has a few and none has come for a minute."""
_LARGER = 4
_BATCHES, _POINTS = 512, 2_000_000
"""The most that one transaction takes in."""
_RUNS = 100


def is_compaction_due(storage: Storage, now_ms: int) -> bool:
    """Whether there is something to compact."""
    return bool(storage.read(lambda tx: _due(tx, now_ms, 1)))


def compact_metrics(storage: Storage, now_ms: int, renew: Callable[[], None] = lambda: None) -> int:
    """Compact what is due; how many transactions it took.

    `renew` is called before each, to say that the work goes on; it ends when that raises. Any number may work at once.
    """
    done = 0
    while found := storage.read(lambda tx: _due(tx, now_ms, _RUNS)):
        for workspace, run_id in found:
            renew()
            try:
                storage.write(lambda tx, w=workspace, r=run_id: _compact_run(tx, w, r))  # type: ignore[misc]
            except IntegrityError as error:  # its blobs stay as they are, for the doctor to name
                fields = {"workspace": workspace, "run": run_id, "error": error.message}
                _LOG.error("a run can't be compacted", extra={"fields": fields})
                storage.write(lambda tx, w=workspace, r=run_id: store.leave_loose(tx, w, r))  # type: ignore[misc]
            done += 1
    return done


def _due(tx: Tx, now_ms: int, limit: int) -> list[tuple[str, str]]:
    return store.list_loose(tx, _MANY, _FEW, now_ms - _QUIET_MS, limit)


def _compact_run(tx: Tx, workspace: str, run_id: str) -> None:
    """Take in some batches of a run; while there are more, it stays due."""
    lock(tx, "run", workspace, run_id)
    state = run_store.state_of(tx, workspace, run_id)
    if state is None:
        return
    run_no = state.run_no
    after = store.compacted_to(tx, workspace, run_no)
    pending = metric_store.first_pending(tx, workspace, run_no)
    below = 2**63 - 1 if pending is None else pending
    batches = store.load_next(tx, workspace, run_no, after, below, _BATCHES + 1)
    taken_in, left = batches[:_BATCHES], len(batches) > _BATCHES
    if not taken_in:
        store.set_compacted(tx, workspace, run_no, after, after, 0)
        return
    columns, total = [], 0
    for number, (_, blob) in enumerate(taken_in, 1):
        columns.append(decode_points(blob))
        total += len(columns[-1].key)
        if total >= _POINTS and number < len(taken_in):
            taken_in, left = taken_in[:number], True
            break
    _merge(tx, workspace, run_no, distinct(joined(columns)))
    # How many exactly are left does not matter: there are some.
    store.set_compacted(tx, workspace, run_no, after, taken_in[-1][0], _FEW if left else 0)


def _merge(tx: Tx, workspace: str, run_no: int, fresh: Columns) -> None:
    """Put points into the segments of their run."""
    counts = np.bincount(fresh.key, minlength=len(fresh.keys)).tolist()
    known = store.list_segments(tx, workspace, run_no, ["", *fresh.keys])
    own = {key for _, key, _ in known if key}
    own |= {key for key, count in zip(fresh.keys, counts, strict=True) if count >= _OWN}
    arrived: dict[str, int] = {}
    for key, count in zip(fresh.keys, counts, strict=True):
        place = key if key in own else ""
        arrived[place] = arrived.get(place, 0) + count
    old = [number for place, count in arrived.items() for number in _to_merge(place, count, known)]
    blobs = store.load_blobs(tx, workspace, old)
    points = distinct(joined([*(decode_points(blob) for blob in blobs), fresh]))
    store.put_segments(tx, workspace, run_no, old, segments_of(points, own))


def _to_merge(place: str, arrived: int, known: Sequence[tuple[int, str, int]]) -> list[int]:
    """The segments of a key (empty: of the small ones) that are written anew with so many arriving points.

    Those that are not much larger: each point is written few times, however long a run becomes, and the segments of a
    metric stay few.
    """
    found: list[int] = []
    open_ones = sorted((points, number) for number, key, points in known if key == place)
    for points, number in open_ones:
        if points >= SEGMENT_POINTS or points > _LARGER * max(arrived, _OWN):
            break
        found.append(number)
        arrived += points
    return found


def segments_of(points: Columns, own: Collection[str]) -> list[store.Segment]:
    """Points in order of (key, step, time, value) as segments: those of `own`, and large metrics, by themselves."""
    edges = np.flatnonzero(np.diff(points.key.astype(np.int64))) + 1
    found: list[store.Segment] = []
    small: list[NDArray[np.int64]] = []
    for part in np.split(np.arange(len(points.key)), edges):
        key = points.keys[points.key[part[0]]]
        if len(part) >= _OWN or key in own:
            cuts = np.split(part, range(SEGMENT_POINTS, len(part), SEGMENT_POINTS))
            found += [(key, len(one), pack(_named(points, one)), _overview(points, one)) for one in cuts]
        else:
            small.append(part)
    mixed = np.concatenate(small) if small else np.empty(0, np.int64)
    for one in np.split(mixed, range(SEGMENT_POINTS, len(mixed), SEGMENT_POINTS)):
        if len(one):
            found.append(("", len(one), pack(_named(points, one)), None))
    return found


def _overview(points: Columns, at: NDArray[np.int64]) -> bytes:
    return encode_overview(points.step[at], points.time[at], points.value[at])


def _named(points: Columns, at: NDArray[np.int64]) -> Columns:
    """Some of the points, with the keys that they have alone."""
    used, key = np.unique(points.key[at], return_inverse=True)
    keys = [points.keys[number] for number in used.tolist()]
    return Columns(keys, key.astype(np.uint32), points.step[at], points.time[at], points.value[at])
