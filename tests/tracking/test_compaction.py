"""Compacted points are the same points, at every moment, for every reader."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from sqlalchemy import func, select

from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.principal import Caller
from holdfast.storage import ALL_WORKSPACES, Storage
from holdfast.tracking import compaction
from holdfast.tracking.compaction import SEGMENT_POINTS, compact_metrics, is_compaction_due
from holdfast.tracking.records import Batch, MetricPoint
from holdfast.tracking.service import Tracking
from holdfast.tracking.store.tables import batches, loose, segments

LATER = 2**50


def log(tracking: Tracking, caller: Caller, run_id: str, points: list[MetricPoint]) -> None:
    body = sha256_hex(msgspec.json.encode([repr(one) for one in points]))
    tracking.metrics.log_batch(caller, run_id, Batch(points), body)


def shown(tracking: Tracking, caller: Caller, run_id: str, keys: str) -> dict[str, list[str]]:
    """What readers see: every point of each key, the summaries, and a chart."""
    found = {}
    for key in keys:
        points = tracking.metrics.get_points(caller, run_id, key)
        assert points is not None
        rows = zip(points.step.tolist(), points.time.tolist(), points.value.tolist(), strict=True)
        chart = tracking.metrics.get_history(caller, run_id, key, points=50)
        found[key] = [*map(repr, rows), repr(tracking.get_run(caller, run_id).metrics[key]), repr(chart)]
    return found


def rows_of(storage: Storage) -> tuple[int, int, int]:
    """Batches that have their points, segments, and runs that have something to compact."""
    counts = [
        select(func.count()).select_from(batches).where(func.length(batches.c.blob) > 0),
        select(func.count()).select_from(segments),
        select(func.count()).select_from(loose),
    ]
    with_all = [query.execution_options(**ALL_WORKSPACES) for query in counts]
    found = storage.read(lambda tx: [tx.execute(query).scalar_one() for query in with_all])
    return found[0], found[1], found[2]


@pytest.fixture
def random_points() -> Callable[[int], list[MetricPoint]]:
    chance = random.Random(7)

    def make(count: int) -> list[MetricPoint]:
        values = (chance.random(), math.nan, math.inf, -math.inf, 0.0)
        return [
            MetricPoint(
                chance.choice("abc"), chance.choice(values), chance.randrange(50), chance.randrange(3)
            )
            for _ in range(count)
        ]

    return make


def test_points_are_the_same_before_and_after(
    tracking: Tracking, caller: Caller, storage: Storage, random_points: Callable[[int], list[MetricPoint]]
) -> None:
    run_id = tracking.create_run(caller, experiment="e").run_id
    for round_ in range(6):
        for _ in range(round_ + 2):
            log(tracking, caller, run_id, random_points(40))
        before = shown(tracking, caller, run_id, "abc")
        if round_ % 2:
            tracking.metrics.settle()
        compact_metrics(storage, LATER)
        assert shown(tracking, caller, run_id, "abc") == before
    tracking.metrics.settle()
    compact_metrics(storage, LATER)
    assert shown(tracking, caller, run_id, "abc") == before
    assert rows_of(storage) == (0, 1, 0)  # three small metrics, together


def test_a_large_metric_has_segments_of_its_own(
    tracking: Tracking, caller: Caller, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_BATCHES", 20)
    run_id = tracking.create_run(caller, experiment="e").run_id
    total = SEGMENT_POINTS + 20_000
    for start in range(0, total, 900):
        points = [
            MetricPoint("big", math.sin(step), step, step) for step in range(start, min(start + 900, total))
        ]
        log(tracking, caller, run_id, [*points, MetricPoint("small", start, start, start)])
    tracking.metrics.settle()
    compact_metrics(storage, LATER)
    kept = storage.read(
        lambda tx: tx.execute(
            select(segments.c.key, segments.c.points).where(segments.c.workspace_id == caller.workspace)
        ).all()
    )
    assert sum(points for key, points in kept if key == "big") == total
    assert [points for key, points in kept if key == ""] == [96]
    assert 2 <= len(kept) <= 6
    points = tracking.metrics.get_points(caller, run_id, "big")
    assert points is not None
    assert points.step.tolist() == list(range(total))
    assert np.array_equal(points.value, np.array([math.sin(step) for step in range(total)]))


def test_only_what_is_due_is_compacted(tracking: Tracking, caller: Caller, storage: Storage) -> None:
    one, two = (tracking.create_run(caller, experiment="e").run_id for _ in range(2))
    log(tracking, caller, one, [MetricPoint("a", 1.0, 1, 1)])
    for step in range(3):
        log(tracking, caller, two, [MetricPoint("a", 1.0, step, 1)])
    assert not is_compaction_due(storage, LATER)  # not yet in the summaries
    tracking.metrics.settle()
    assert not is_compaction_due(storage, caller.time_ms)  # another may follow at once
    assert is_compaction_due(storage, caller.time_ms + 60_001)
    assert compact_metrics(storage, caller.time_ms + 60_001) == 1
    assert rows_of(storage) == (1, 1, 1)  # a single batch is as good as a segment


def test_a_retry_of_a_compacted_batch_changes_nothing(
    tracking: Tracking, caller: Caller, storage: Storage
) -> None:
    run_id = tracking.create_run(caller, experiment="e").run_id
    bodies = [[MetricPoint("a", float(step), step, 1)] for step in range(4)]
    for points in bodies:
        log(tracking, caller, run_id, points)
    tracking.metrics.settle()
    compact_metrics(storage, LATER)
    for points in bodies:
        log(tracking, caller, run_id, points)
    tracking.metrics.settle()
    assert rows_of(storage) == (0, 1, 0)
    assert tracking.get_run(caller, run_id).metrics["a"].count == 4


def test_a_finished_run_keeps_its_seal(tracking: Tracking, caller: Caller, storage: Storage) -> None:
    run_id = tracking.create_run(caller, experiment="e").run_id
    for step in range(4):
        log(tracking, caller, run_id, [MetricPoint("a", float(step), step, 1)])
    digest = tracking.finish_run(caller, run_id, "finished").digest
    tracking.metrics.settle()
    compact_metrics(storage, LATER)
    assert rows_of(storage) == (0, 1, 0)
    assert tracking.get_run(caller, run_id).digest == digest


def test_a_damaged_batch_is_left_and_others_go_on(
    tracking: Tracking, caller: Caller, storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = (tracking.create_run(caller, experiment="e").run_id for _ in range(2))
    for run_id in (bad, good):
        for step in range(3):
            log(tracking, caller, run_id, [MetricPoint("a", float(step), step, 1)])
    tracking.metrics.settle()
    own = batches.c.workspace_id == caller.workspace
    first = select(func.min(batches.c.batch_id)).where(own).scalar_subquery()
    storage.write(
        lambda tx: tx.execute(
            batches.update().where(own, batches.c.batch_id == first).values(blob=b"damaged")
        )
    )
    compact_metrics(storage, LATER)
    assert rows_of(storage) == (3, 1, 0)
    assert [record.getMessage() for record in caplog.records] == ["a run can't be compacted"]


@pytest.mark.parametrize("tail", ["none", "later", "among"])
@pytest.mark.parametrize(
    ("first", "last"), [(-(2**63), 2**63 - 1), (10_100, 90_050), (50_000, 50_010), (-9, -1)]
)
def test_a_chart_of_many_points_is_honest(
    tracking: Tracking, caller: Caller, storage: Storage, tail: str, first: int, last: int
) -> None:
    """Counts, ends and extremes are those of the points, whether overviews are used or not."""
    run_id = tracking.create_run(caller, experiment="e").run_id
    chance = np.random.default_rng(3)
    values = chance.normal(size=100_000)
    values[[7, 55_555, 99_999]] = [math.nan, 50.0, -50.0]
    steps = np.arange(100_000)
    if tail == "among":  # a point comes late, when its neighbours are compacted, and one comes again
        steps = steps[steps != 60_000]

    def send(some: list[int]) -> None:
        log(tracking, caller, run_id, [MetricPoint("a", float(values[step]), step, step) for step in some])

    kept = steps[:95_000] if tail == "later" else steps
    for start in range(0, len(kept), 1000):
        send(kept[start : start + 1000].tolist())
    tracking.metrics.settle()
    compact_metrics(storage, LATER)
    if tail != "none":
        send([60_000, 60_001] if tail == "among" else list(range(95_000, 96_000)))
        steps = np.arange(100_000) if tail == "among" else np.arange(96_000)
    inside = steps[(steps >= first) & (steps <= last)]
    shown = tracking.metrics.get_history(caller, run_id, "a", points=40, from_step=first, to_step=last)
    assert shown.count == len(inside)
    assert len(shown.steps) == min(40, len(inside))
    if len(inside):
        real = values[inside][~np.isnan(values[inside])]
        assert (min(shown.low), max(shown.high)) == (real.min(), real.max())
        assert shown.steps == sorted(set(shown.steps)) and shown.steps[-1] == inside[-1]
        assert shown.values[-1] == values[inside[-1]]
