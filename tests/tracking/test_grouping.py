"""Runs in groups, by the API, the page and brute force."""

from __future__ import annotations

import math
import re
import statistics
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.ids import new_id
from holdfast.kernel.principal import Caller
from holdfast.tracking.columns import parse_columns
from holdfast.tracking.grouping import RunGroup, arrange_groups
from holdfast.tracking.query import RUNS, parse_filter
from holdfast.tracking.records import Batch, MetricPoint
from holdfast.tracking.service import Tracking
from tests.conftest import Http

HTML = {"Accept": "text/html"}
VALUES = st.one_of(
    st.none(), st.sampled_from([0.0, -1.5, 1e-300, math.nan, math.inf]), st.floats(-1e6, 1e6, width=32)
)
RUN = st.tuples(st.sampled_from([None, "2", "10", "a"]), st.sampled_from([None, "x", "y"]), VALUES)


def group(tracking: Tracking, caller: Caller, experiment: int, by: str, **asked: Any) -> list[RunGroup]:
    found = tracking.group_runs(
        caller,
        [experiment],
        parse_filter(asked.pop("filter", ""), RUNS),
        parse_columns(by),
        parse_columns("metrics.m"),
    )
    order = {"sort": None, "descending": False, "offset": 0, "limit": 1000} | asked
    return arrange_groups(found, **order)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=st.lists(RUN, max_size=25))
def test_groups_are_those_of_brute_force(tracking: Tracking, caller: Caller, runs: list[Any]) -> None:
    name = new_id()
    number = tracking.create_run(caller, experiment=name, name="bare").experiment_id
    expected: dict[tuple[str | None, ...], list[float]] = defaultdict(list)
    sizes: dict[tuple[str | None, ...], int] = defaultdict(int, {(None, None): 1})
    for depth, team, value in runs:
        run = tracking.create_run(caller, experiment=name)
        points = [] if value is None else [MetricPoint("m", value, 0)]
        batch = Batch(points, {"depth": depth} if depth else {}, {"team": team} if team else {})
        tracking.metrics.log_batch(caller, run.run_id, batch, new_id())
        sizes[depth, team] += 1
        if value is not None and math.isfinite(value):
            expected[depth, team].append(value)
    found = group(tracking, caller, number, "params.depth,tags.team")
    assert {tuple(one.values): one.runs for one in found} == sizes
    for one in found:
        (figures,), values = one.figures, expected[tuple(one.values)]
        assert figures.count == len(values)
        if values:
            assert figures.mean == pytest.approx(statistics.fmean(values), abs=1e-9)
            assert (figures.min, figures.max) == (min(values), max(values))
        assert (figures.sd is None) == (len(values) < 2)
        if figures.sd is not None:
            assert figures.sd == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-9)


def test_spread_far_from_zero_keeps_its_places(tracking: Tracking, caller: Caller) -> None:
    for value in (1e9 + 1, 1e9 + 2, 1e9 + 3):
        run = tracking.create_run(caller, experiment="far")
        tracking.metrics.log_batch(caller, run.run_id, Batch([MetricPoint("m", value, 0)]), new_id())
    assert group(tracking, caller, run.experiment_id, "status")[0].figures[0].sd == 1.0


@pytest.fixture
def filled(http: Http) -> Http:
    for at in range(60):
        body = {"experiment": "e", "name": f"run-{at:02}"}
        run = http.post("/api/v1/runs", json=body).json()["run_id"]
        params = {"depth": str(2 * (at % 6))} if at % 6 else {}
        points = [{"key": "loss", "value": at % 6 + at / 100, "step": 0}]
        http.post(f"/api/v1/runs/{run}/batch", json={"metrics": points, "params": params})
    return http


def test_groups_by_the_api_sort_and_page(filled: Http) -> None:
    address = "/api/v1/runs/groups?experiment=e&by=params.depth"
    found = filled.get(address).json()
    assert (found["by"], found["columns"], found["total"]) == (["params.depth"], ["metrics.loss"], 6)
    assert [one["values"] for one in found["groups"]] == [["2"], ["4"], ["6"], ["8"], ["10"], [None]]
    down = filled.get(address + "&order=metrics.loss DESC&limit=2&offset=1").json()["groups"]
    assert [one["values"] for one in down] == [["8"], ["6"]]
    few = filled.get(address + "&filter=metrics.loss > 5&order=runs").json()["groups"]
    assert [(one["values"], one["runs"]) for one in few] == [(["10"], 10)]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "by"),
        ("by=params.a,params.b,params.c,params.d", "4 columns"),
        ("by=metrics.loss", "'metrics.loss'"),
        ("by=start_time", "'start_time'"),
        ("by=params.depth&columns=params.depth", "'params.depth' has no mean"),
        ("by=params.depth&order=params.x", "'params.x'"),
        ("by=loss !!", "!!"),
    ],
)
def test_what_can_not_be_grouped_is_named(filled: Http, query: str, told: str) -> None:
    answer = filled.get(f"/api/v1/runs/groups?experiment=e&{query}")
    assert answer.status_code == 400
    assert told in answer.text


def test_the_page_shows_groups_and_leads_to_their_runs(filled: Http) -> None:
    page = filled.get("/experiments/e?group=params.depth&sort=metrics.loss&order=desc", headers=HTML)
    assert "60 runs in 6 groups" in page.text and "±" in page.text
    links = re.findall(r'class="open" href="([^"]*)">([^<]*)</a>', page.text)
    assert [text for _, text in links] == ["10", "8", "6", "4", "2", "none"]
    for link, _ in links:
        runs = filled.get("/experiments/e" + link.replace("&amp;", "&"), headers=HTML).text
        assert "10 of 60" in runs
    wrong = filled.get("/experiments/e?group=metrics.loss", headers=HTML)
    assert wrong.status_code == 200 and "can&#39;t be grouped" in wrong.text


def test_too_many_groups_are_refused(
    tracking: Tracking, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.tracking.grouping.MOST_GROUPS", 2)
    for at in range(3):
        run = tracking.create_run(caller, experiment="many", name=f"n{at}")
    with pytest.raises(InvalidInput, match="3 groups, more than 2"):
        group(tracking, caller, run.experiment_id, "name")


def test_a_viewer_may_group_and_not_change(
    tracking: Tracking, caller: Caller, make_caller: Callable[..., Caller]
) -> None:
    run = tracking.create_run(caller, experiment="v")
    assert group(tracking, make_caller("viewer"), run.experiment_id, "user")[0].values == [
        caller.principal.name
    ]
