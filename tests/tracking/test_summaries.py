"""Summaries say of all distinct points what they say, however the points came."""

from __future__ import annotations

import math
import threading

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.app.settling import Settler
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage
from holdfast.tracking.metrics import Metrics
from holdfast.tracking.records import Batch, MetricPoint, MetricSummary, Run
from holdfast.tracking.service import Tracking
from holdfast.tracking.store.metrics import list_pending

NAN = float("nan")
VALUES = st.sampled_from([0.0, -0.0, 1.0, 2.5, -3.0, NAN, math.inf, -math.inf])
POINTS = st.builds(
    MetricPoint, key=st.sampled_from("ab"), value=VALUES, step=st.integers(0, 3), time=st.integers(1, 3)
)


def expected(points: list[MetricPoint]) -> dict[str, str]:
    """The summaries, by the definition: of distinct points, real values greater than NaN."""
    found: dict[str, str] = {}
    for key in {one.key for one in points}:
        known = {(one.step, one.time, repr(one.value + 0.0)): one for one in points if one.key == key}
        last = max(known.values(), key=lambda p: (p.step, p.time, p.value == p.value, p.value))
        real = [float(one.value) for one in known.values() if one.value == one.value]
        summary = (float(last.value), last.step, last.time)
        found[key] = repr(
            MetricSummary(*summary, min(real, default=None), max(real, default=None), len(known))  # type: ignore[arg-type]
        )
    return found


def shown(run: Run) -> dict[str, str]:
    return {key: repr(summary) for key, summary in run.metrics.items()}


def log(tracking: Tracking, caller: Caller, run: Run, number: int, points: list[MetricPoint]) -> None:
    body = sha256_hex(msgspec.json.encode((number, [repr(one) for one in points])))
    tracking.metrics.log_batch(caller, run.run_id, Batch(points), body)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.lists(POINTS, min_size=1, max_size=6), st.booleans()), min_size=1, max_size=6))
def test_summaries_are_of_the_distinct_points(
    tracking: Tracking, caller: Caller, batches: list[tuple[list[MetricPoint], bool]]
) -> None:
    run = tracking.create_run(caller, experiment="e")
    known: list[MetricPoint] = []
    for number, (points, is_settled) in enumerate(batches):
        log(tracking, caller, run, number, points)
        known += points
        if is_settled:
            tracking.metrics.settle()
        # 0.0 and -0.0 are one value: either may be told.
        assert _unsigned(shown(tracking.get_run(caller, run.run_id))) == _unsigned(expected(known))
    tracking.metrics.settle()
    assert _unsigned(shown(tracking.get_run(caller, run.run_id))) == _unsigned(expected(known))


def _unsigned(summaries: dict[str, str]) -> dict[str, str]:
    return {key: text.replace("-0.0", "0.0") for key, text in summaries.items()}


def test_zero_of_either_sign_is_one_point(tracking: Tracking, caller: Caller) -> None:
    run = tracking.create_run(caller, experiment="e")
    log(tracking, caller, run, 0, [MetricPoint("a", zero, 0, 1) for zero in (0.0, -0.0, 0.0)])
    assert tracking.get_run(caller, run.run_id).metrics["a"].count == 1
    tracking.metrics.settle()
    assert tracking.get_run(caller, run.run_id).metrics["a"].count == 1


def test_many_batches_are_settled_in_parts(tracking: Tracking, caller: Caller) -> None:
    run = tracking.create_run(caller, experiment="e")
    for number in range(600):
        log(tracking, caller, run, number, [MetricPoint("loss", 1 / (number + 1), number, number + 1)])
    assert tracking.metrics.settle() == 1
    assert tracking.metrics.settle() == 0
    found = tracking.get_run(caller, run.run_id).metrics["loss"]
    assert found == MetricSummary(1 / 600, 599, 600, 1 / 600, 1.0, 600)


def test_only_one_workspace_is_settled_when_it_is_named(
    tracking: Tracking, make_caller: object, storage: Storage
) -> None:
    callers = [make_caller(workspace=name) for name in ("default", "other")]  # type: ignore[operator]
    for caller in callers:
        run = tracking.create_run(caller, experiment="e")
        log(tracking, caller, run, 0, [MetricPoint("loss", 1.0)])
    assert tracking.metrics.settle("other") == 1
    assert tracking.metrics.settle() == 1


def test_two_settle_at_once_and_nothing_counts_twice(
    tracking: Tracking, caller: Caller, storage: Storage
) -> None:
    runs = [tracking.create_run(caller, experiment="e") for _ in range(10)]
    for run in runs:
        for number in range(5):
            log(tracking, caller, run, number, [MetricPoint("loss", float(number), number)])
    threads = [threading.Thread(target=Metrics(storage).settle) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = [tracking.get_run(caller, run.run_id).metrics["loss"].count for run in runs]
    assert counts == [5] * 10


def test_the_server_settles_by_itself(tracking: Tracking, caller: Caller, storage: Storage) -> None:
    run = tracking.create_run(caller, experiment="e")
    log(tracking, caller, run, 0, [MetricPoint("loss", 1.0)])
    settler = Settler(tracking.metrics)
    settler.start()
    try:
        until = threading.Event()
        for _ in range(100):
            if tracking.metrics.settle("nothing here") == 0 and not _pending(storage):
                break
            until.wait(0.1)
        assert not _pending(storage)
    finally:
        settler.stop()


def _pending(storage: Storage) -> list[tuple[str, str]]:
    return storage.read(lambda tx: list_pending(tx, 10))


@pytest.mark.parametrize("again", [1, 2])
def test_a_retry_counts_once(tracking: Tracking, caller: Caller, again: int) -> None:
    run = tracking.create_run(caller, experiment="e")
    for _ in range(again + 1):
        log(tracking, caller, run, 7, [MetricPoint("loss", 0.5, 1, 2)])
        tracking.metrics.settle()
    assert tracking.get_run(caller, run.run_id).metrics["loss"].count == 1
