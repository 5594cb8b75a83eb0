"""The index of runs answers as its rows would, whatever changes between searches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.kernel.ids import new_id
from holdfast.kernel.principal import Caller
from holdfast.storage import Objects, Storage
from holdfast.tracking.index import RunIndexes
from holdfast.tracking.query import RUNS, Clause, Order, parse_filter, parse_order
from holdfast.tracking.records import Batch, MetricPoint, Run
from holdfast.tracking.service import Tracking
from holdfast.tracking.value_columns import top

FILTERS = [
    "",
    "metrics.m > 0",
    "metrics.m != 1",
    "min.m <= 0 AND max.m >= 1",
    "count.m = 2",
    "params.p = 'a'",
    "params.p != 'a'",
    "params.p LIKE '%b%'",
    "params.p IS NULL",
    "params.p IS NOT NULL",
    "tags.t ILIKE 'X%'",
    "status = 'finished'",
    "status != 'running'",
    "name LIKE 'r1%'",
    "end_time > 0",
    "end_time != 5",
    "duration >= 0",
    "start_time <= 1002",
    "metrics.none > 0",
    "params.p = 'nowhere'",
]
ORDERS: list[tuple[str, ...]] = [
    (),
    ("metrics.m",),
    ("metrics.m DESC",),
    ("max.m DESC", "params.p"),
    ("params.p DESC", "metrics.m"),
    ("tags.t",),
    ("name DESC",),
    ("status", "start_time"),
    ("end_time DESC",),
    ("duration",),
    ("run_id DESC",),
]


def value_of(run: Run, entity: str, key: str) -> Any:
    """What a run has there; None when it has nothing."""
    if entity == "attribute":
        duration = None if run.end_time is None else run.end_time - run.start_time
        return duration if key == "duration" else getattr(run, key)
    if entity in ("param", "tag"):
        return (run.params if entity == "param" else run.tags).get(key)
    if key not in run.metrics:
        return None
    value = getattr(run.metrics[key], "last" if entity == "metric" else entity)
    return math.nan if value is None else value


def holds(run: Run, clause: Clause) -> bool:
    value, wanted = value_of(run, clause.entity, clause.key), clause.value
    match clause.operator:
        case "IS NULL":
            return value is None
        case "IS NOT NULL":
            return value is not None
        case "!=":
            is_time = clause.entity == "attribute"
            return is_time if value is None else value != wanted
    if value is None:
        return False
    match clause.operator:
        case "LIKE" | "ILIKE":
            text, pattern = str(value), str(wanted)
            if clause.operator == "ILIKE":
                text, pattern = text.lower(), pattern.lower()
            inner = pattern.strip("%")
            if pattern.startswith("%"):
                return inner in text
            return text.startswith(inner)
        case "=":
            return bool(value == wanted)
        case ">":
            return bool(value > wanted)
        case ">=":
            return bool(value >= wanted)
        case "<=":
            return bool(value <= wanted)
    raise AssertionError(clause.operator)


def ordered(runs: Sequence[Run], orders: Sequence[Order]) -> list[Run]:
    found = sorted(runs, key=lambda run: run.run_id)
    found.sort(key=lambda run: -run.start_time)
    for one in reversed(orders):

        def rank(run: Run, one: Order = one) -> int:
            value = value_of(run, one.entity, one.key)
            return 2 if value is None else int(isinstance(value, float) and math.isnan(value))

        known = [run for run in found if rank(run) == 0]
        known.sort(key=lambda run: value_of(run, one.entity, one.key), reverse=one.descending)
        if one.descending:  # a reversed sort keeps the order of equals
            pass
        found = known + [run for run in found if rank(run) == 1] + [run for run in found if rank(run) == 2]
    return found


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 11),
        st.sampled_from(["metric", "param", "tag", "untag", "finish", "rename", "delete", "restore"]),
        st.sampled_from([0.0, 1.0, 2.0, -1.0, math.nan]),
        st.sampled_from(["a", "b", "ab", "x", "X"]),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CHANGES, min_size=1, max_size=3), st.data())
def test_a_search_is_what_its_rows_say(
    tracking: Tracking, caller: Caller, rounds: list[Any], data: st.DataObject
) -> None:
    experiment, runs = new_id(), []
    for at, changes in enumerate(rounds):
        for number in range(4):
            start = 1000 + data.draw(st.integers(0, 3))
            runs.append(
                tracking.create_run(caller, experiment=experiment, name=f"r{at}{number}", start_time=start)
            )
        for number, what, value, text in changes:
            change(tracking, caller, runs[number % len(runs)], what, value, text)
        stored = [tracking.get_run(caller, run.run_id) for run in runs]
        where = parse_filter(data.draw(st.sampled_from(FILTERS)), RUNS)
        order = parse_order(data.draw(st.sampled_from(ORDERS)), RUNS)
        for deleted in (False, True, None):
            matching = [
                run
                for run in stored
                if all(holds(run, clause) for clause in where)
                and (deleted is None or (run.deleted_at is not None) == deleted)
            ]
            experiments = [runs[0].experiment_id]
            found = tracking.find_runs(caller, experiments, where, order, deleted=deleted, limit=5)
            assert [run.name for run in found] == [run.name for run in ordered(matching, order)[:5]]
            assert tracking.count_runs(caller, experiments, where, deleted=deleted) == len(matching)


def change(tracking: Tracking, caller: Caller, run: Run, what: str, value: float, text: str) -> None:
    run = tracking.get_run(caller, run.run_id)
    if what == "restore":
        tracking.restore_run(caller, run.run_id)
    if run.deleted_at is not None:
        return
    match what:
        case "metric":
            step = run.metrics["m"].count if "m" in run.metrics else 0
            batch = Batch([MetricPoint("m", value, step)])
            tracking.metrics.log_batch(caller, run.run_id, batch, new_id())
        case "param" if "p" not in run.params:
            tracking.metrics.log_batch(caller, run.run_id, Batch(params={"p": text}), new_id())
        case "tag":
            tracking.metrics.log_batch(caller, run.run_id, Batch(tags={"t": text}), new_id())
        case "untag" if "t" in run.tags:
            tracking.delete_tag(caller, run.run_id, "t")
        case "finish":
            tracking.finish_run(caller, run.run_id, "finished", end_time=run.start_time + int(value == 1.0))
        case "rename":
            tracking.update_run(caller, run.run_id, name=text + run.name[-1])
        case "delete":
            tracking.delete_run(caller, run.run_id)


def test_what_another_process_changed_is_found(
    tracking: Tracking, caller: Caller, storage: Storage, objects: Objects
) -> None:
    other = Tracking(storage, objects)
    run = tracking.create_run(caller, experiment="e", tags={"t": "one"})
    where = parse_filter("tags.t = 'two'", RUNS)
    assert tracking.count_runs(caller, [run.experiment_id], where) == 0
    other.metrics.log_batch(caller, run.run_id, Batch(tags={"t": "two"}), "0" * 64)
    assert tracking.count_runs(caller, [run.experiment_id], where) == 1
    other.create_run(caller, experiment="e", tags={"t": "two"})
    assert tracking.count_runs(caller, [run.experiment_id], where) == 2


def test_columns_give_way_and_come_back(
    tracking: Tracking, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "_indexes", RunIndexes(limit=1))
    runs = [
        tracking.create_run(caller, experiment="e", tags={f"t{at % 3}": "x", "n": str(at)}) for at in range(9)
    ]
    for _ in range(2):
        for key in ("t0", "t1", "t2"):
            where = parse_filter(f"tags.{key} = 'x'", RUNS)
            assert tracking.count_runs(caller, [runs[0].experiment_id], where) == 3


def test_workspaces_are_apart(tracking: Tracking, make_caller: Callable[..., Caller]) -> None:
    here, there = make_caller(), make_caller(workspace="other")
    run = tracking.create_run(here, experiment="e")
    assert tracking.count_runs(there, [run.experiment_id], []) == 0
    assert tracking.count_runs(here, [run.experiment_id], []) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=60), st.integers(1, 70))
def test_the_first_of_many(rows: list[tuple[int, int]], most: int) -> None:
    many = rows * 200  # beyond what is simply sorted
    first, second = (np.array(column) for column in zip(*many, strict=True))
    found = top(np.arange(len(many)), [first.__getitem__, second.__getitem__], most)
    assert [many[at] for at in found.tolist()] == sorted(many)[:most]
