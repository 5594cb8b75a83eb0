"""Finding runs by clauses and orders."""

from __future__ import annotations

import pytest

from holdfast.kernel.principal import Caller
from holdfast.tracking.query import RUNS, parse_filter, parse_order
from holdfast.tracking.records import Batch, MetricPoint, Run, RunColumns
from holdfast.tracking.service import Tracking


def names(
    tracking: Tracking, caller: Caller, experiment: int, where: str = "", order: tuple[str, ...] = ()
) -> list[str]:
    clauses, orders = parse_filter(where, RUNS), parse_order(order, RUNS)
    found = tracking.find_runs(caller, [experiment], clauses, orders)
    assert tracking.count_runs(caller, [experiment], clauses) == len(found)
    return [run.name for run in found]


@pytest.fixture
def experiment(tracking: Tracking, caller: Caller) -> int:
    """Three runs: `up` ends at its best, `down` is best in its middle, `bare` has no metric."""
    runs: dict[str, Run] = {}
    for at, (name, values) in enumerate({"up": [0.1, 0.5, 0.8], "down": [0.2, 0.9, 0.3], "bare": []}.items()):
        run = runs[name] = tracking.create_run(caller, experiment="e", name=name, start_time=1000 + at)
        points = [MetricPoint("acc", value, step) for step, value in enumerate(values)]
        tracking.metrics.log_batch(
            caller, run.run_id, Batch(points, {"lr": f"0.{at}"}, {"by": name}), f"{at}" * 64
        )
    tracking.finish_run(caller, runs["up"].run_id, "finished", end_time=61_000)
    return runs["up"].experiment_id


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("metrics.acc > 0.5", ["up"]),
        ("max.acc > 0.85", ["down"]),
        ("min.acc < 0.15 AND max.acc = 0.8", ["up"]),
        ("count.acc >= 3", ["down", "up"]),
        ("status = 'finished'", ["up"]),
        ("status IN ('running', 'failed')", ["bare", "down"]),
        ("duration > 50000", ["up"]),
        ("params.lr = '0.1' AND tags.by = 'down'", ["down"]),
        ("name LIKE '%a%'", ["bare"]),
        ("metrics.none > 0", []),
    ],
)
def test_clauses(tracking: Tracking, caller: Caller, experiment: int, where: str, found: list[str]) -> None:
    assert names(tracking, caller, experiment, where) == found


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("metrics.acc DESC", ["up", "down", "bare"]),
        ("max.acc DESC", ["down", "up", "bare"]),
        ("min.acc", ["up", "down", "bare"]),
        ("duration", ["up", "bare", "down"]),
        ("params.lr DESC", ["bare", "down", "up"]),
    ],
)
def test_orders(tracking: Tracking, caller: Caller, experiment: int, order: str, found: list[str]) -> None:
    assert names(tracking, caller, experiment, order=(order,)) == found


def test_columns_to_choose_from(tracking: Tracking, caller: Caller, experiment: int) -> None:
    tracking.create_run(caller, experiment="another", tags={"elsewhere": "1"})
    assert tracking.list_columns(caller, [experiment]) == RunColumns(["acc"], ["lr"], ["by"])
