"""Curves of runs: over steps, time and metrics, thinned without losing a peak; the tabs that draw them."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.principal import Caller
from holdfast.tracking.columns import parse_columns
from holdfast.tracking.curve_charts import colour_of
from holdfast.tracking.curves import load_curves
from holdfast.tracking.plots import draw_parallel, draw_scatter, read_axis_of
from holdfast.tracking.records import Batch, MetricPoint, Run
from holdfast.tracking.service import Tracking
from tests.conftest import Http

HTML = {"Accept": "text/html"}
START = 1_760_000_000_000


def log(tracking: Tracking, caller: Caller, *points: tuple[str, float, int, int], **params: str) -> Run:
    run = tracking.create_run(caller, experiment="e")
    for at in range(0, len(points), 1000):
        batch = Batch([MetricPoint(*one) for one in points[at : at + 1000]], params if not at else {})
        tracking.metrics.log_batch(caller, run.run_id, batch, new_id())
    return tracking.get_run(caller, run.run_id)


VALUE = st.one_of(st.just(math.nan), st.floats(-100, 100, width=32))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(VALUE, min_size=1, max_size=300),
    x=st.sampled_from(["step", "time", "relative", "metrics.epoch"]),
)
def test_no_peak_is_lost(tracking: Tracking, caller: Caller, values: list[float], x: str) -> None:
    points = [("m", value, at, START + 500 * at) for at, value in enumerate(values)]
    run = log(
        tracking, caller, *points, *(("epoch", float(at // 7), at, START) for at in range(0, len(values), 7))
    )
    (curve,) = load_curves(tracking, caller, [run.run_id], "m", x=x, points=20).curves
    assert curve.count == len(values) and len(curve.x) <= 20 and curve.x == sorted(curve.x)
    known = [value for value in values if not math.isnan(value)]
    drawn_low, drawn_high = ([one for one in part if not math.isnan(one)] for part in (curve.low, curve.high))
    if known:
        assert (min(drawn_low), max(drawn_high)) == (min(known), max(known))
    else:
        assert not drawn_low and not drawn_high
    last = {
        "step": len(values) - 1,
        "time": START + 500 * (len(values) - 1),
        "relative": (len(values) - 1) / 2,
    }
    assert curve.x[-1] == last.get(x, (len(values) - 1) // 7)


def test_a_part_is_drawn_in_full(tracking: Tracking, caller: Caller) -> None:
    run = log(tracking, caller, *(("m", float(at), at, START + 1000 * at) for at in range(2000)))
    for x, start, end in (
        ("step", 100, 109),
        ("time", START + 100_000, START + 109_000),
        ("relative", 100, 109),
    ):
        (curve,) = load_curves(
            tracking, caller, [run.run_id], "m", x=x, points=50, start=start, end=end
        ).curves
        assert curve.y == [float(at) for at in range(100, 110)], x


def test_runs_without_the_metric_or_the_axis_are_left_out(tracking: Tracking, caller: Caller) -> None:
    both = log(tracking, caller, ("m", 1.0, 5, START), ("epoch", 2.0, 6, START), ("m", 3.0, 7, START))
    bare = log(tracking, caller, ("n", 1.0, 5, START))
    found = load_curves(tracking, caller, [bare.run_id, both.run_id], "m", x="metrics.epoch")
    assert [(one.run_id, one.x, one.y) for one in found.curves] == [(both.run_id, [2.0], [3.0])]
    assert load_curves(tracking, caller, [both.run_id], "m", x="metrics.none").curves == []


def test_bad_questions_are_named(tracking: Tracking, caller: Caller) -> None:
    run = log(tracking, caller, ("m", 1.0, 1, START)).run_id
    with pytest.raises(NotFound):
        load_curves(tracking, caller, [run, "f" * 32], "m")
    asked: list[tuple[dict[str, Any], str]] = [
        ({"x": "colour"}, "'colour'"),
        ({"x": "metrics."}, "metrics."),
        ({"start": math.nan}, "start=nan"),
        ({"end": math.inf}, "end=inf"),
    ]
    for bad, told in asked:
        with pytest.raises(InvalidInput, match=re.escape(told)):
            load_curves(tracking, caller, [run], "m", **bad)
    for count in (0, 101):
        with pytest.raises(InvalidInput, match=f"{count} runs"):
            load_curves(tracking, caller, [f"{at:032x}" for at in range(count)], "m")


@pytest.fixture
def runs(http: Http) -> list[str]:
    """30 runs with a history, one without; the losses of odd ones hold NaN."""
    made = []
    for at in range(31):
        run = http.post("/api/v1/runs", json={"experiment": "e", "name": f"run-{at:02}"}).json()["run_id"]
        points = [
            {"key": "loss", "value": "NaN" if at % 2 and step == 3 else at / 10 + step, "step": step}
            for step in range(50 if at < 30 else 0)
        ]
        body = {"metrics": points, "params": {"depth": str(at % 5), "kind": "ab"[at % 2]}}
        assert http.post(f"/api/v1/runs/{run}/batch", json=body).status_code == 200
        made.append(run)
    return made


def records(page: str) -> list[dict[str, Any]]:
    return [json.loads(one) for one in re.findall(r'<script type="application/json">(.*?)</script>', page)]


def test_the_charts_tab_draws_a_line_a_run(http: Http, runs: list[str]) -> None:
    page = http.get("/experiments/e?tab=charts", headers=HTML).text
    assert "20 of 31 runs, the newest first" in page and "lines=31" in page
    (chart,) = records(page)
    assert [one["label"] for one in chart["series"]] == [f"run-{at:02}" for at in range(29, 10, -1)]
    assert all(one["y"] == [] for one in chart["series"])
    answer = http.get(chart["curves"]).json()
    assert len(answer["curves"]) == 19 and answer["curves"][0]["y"][3] == "NaN"
    assert page.count('class="line') == 19
    other = http.get("/experiments/e?tab=charts&metrics=none&x=metrics.loss&lines=3", headers=HTML).text
    assert "None of the runs drawn has this metric on this axis" in other
    moved = http.get("/experiments/e?tab=charts&metric=loss&metric=none&choose=metrics", headers=HTML)
    assert moved.headers["location"] == "?tab=charts&metrics=loss%2Cnone"


def test_a_run_has_one_colour_everywhere(http: Http, runs: list[str]) -> None:
    (chart,) = records(http.get("/experiments/e?tab=charts", headers=HTML).text)
    compared = records(http.get(f"/compare?run={runs[20]}&run={runs[21]}", headers=HTML).text)
    for one in (*chart["series"], *compared[0]["series"]):
        assert (one["colour"], one["dashed"]) == colour_of(one["id"])


def test_the_page_of_a_run_draws_its_metrics(http: Http, runs: list[str]) -> None:
    page = http.get(f"/runs/{runs[1]}?x=time", headers=HTML).text
    (chart,) = records(page)
    assert chart["is_time"] and chart["series"][0]["label"] == "loss" and "x=time" in chart["curves"]
    assert 'value="time" selected' in page


def test_the_plots_draw_all_runs(http: Http, runs: list[str]) -> None:
    page = http.get("/experiments/e?tab=parallel", headers=HTML).text
    (plot,) = records(page)
    assert [one["text"] for one in plot["axes"]] == ["params.depth", "params.kind", "metrics.loss"]
    assert len(plot["runs"]) == 31 and page.count('<path class="s') == 31 and '<path class="s0"' in page
    page = http.get("/experiments/e?tab=scatter&px=params.depth&py=metrics.loss", headers=HTML).text
    assert "31 runs, 1 of them without one of the values" in page
    assert len(records(page)[0]["runs"]) == 30
    assert "is no axis here" in http.get("/experiments/e?tab=scatter&px=metrics.none", headers=HTML).text
    assert "can&#39;t" in http.get("/experiments/e?tab=scatter&px=loss !!", headers=HTML).text
    assert "is not one column" in http.get("/experiments/e?tab=scatter&px=user,name", headers=HTML).text


def test_axes_are_numbers_or_a_few_texts(tracking: Tracking, caller: Caller) -> None:
    one = log(tracking, caller, ("m", 1.0, 1, START), a="1", b="x", c="3e5")
    two = log(tracking, caller, ("m", math.nan, 1, START), a="2", b="5", c="nan")
    bare = log(tracking, caller)
    found = [
        read_axis_of([one, two, bare], column)
        for column in parse_columns("params.a,params.b,params.c,metrics.m")
    ]
    assert [axis is not None and axis.is_number for axis in found] == [True, False, True, True]
    assert [None if axis is None else axis.values for axis in found] == [
        [1.0, 2.0, None], ["x", "5", None], [3e5, None, None], [1.0, None, None],
    ]  # fmt: skip
    assert read_axis_of([bare], parse_columns("params.a")[0]) is None
    axes = [axis for axis in found if axis is not None]
    plot = draw_parallel([one, two, bare], axes)
    assert plot.shades[1:] == [0, 0] and plot.paths[2] == "" and plot.paths[1].count("L") == 1
    scatter = draw_scatter([one, two, bare], axes[0], axes[3])
    assert [run.id for run in scatter.runs] == [one.run_id] and scatter.left_out == 2
