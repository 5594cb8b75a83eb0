"""Charts of runs in a browser: their axes, smoothing and zoom; plots of many runs that are pointed at and brushed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Response, expect

import holdfast
from holdfast.client import Client
from holdfast.demo.server import running_server
from tests.browser.conftest import Watched
from tests.browser.ports import own_port

pytestmark = pytest.mark.browser

Open = Callable[..., Watched]
POINTS, PEAK = 5000, 3210


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Twelve runs of 40 points, and one of 5,000 with a single peak."""
    with running_server(tmp_path_factory.mktemp("charts"), own_port(5360)) as (client, _):
        holdfast.init(client.url, "trials")
        for at in range(12):
            with holdfast.start_run(f"trial {at:02}") as run:
                run.log_params({"depth": at % 4, "rate": 0.1 * (1 + at % 3)})
                for step in range(40):
                    run.log_metrics(
                        {"loss": math.exp(-step / (5 + at)) + 0.01, "epoch": step // 10}, step=step
                    )
        holdfast.init(client.url, "long")
        with holdfast.start_run("long") as run:
            for step in range(POINTS):
                run.log_metric("loss", 9.0 if step == PEAK else 1.0 / (1 + step), step=step)
        yield client


def experiment(client: Client, name: str) -> str:
    return next(
        f"{client.url}/experiments/{one.experiment_id}"
        for one in client.list_experiments()
        if one.name == name
    )


def curves(page: Page) -> Callable[[Response], bool]:
    return lambda answer: "/api/v1/runs/curves" in answer.url and answer.ok


def test_lines_of_many_runs_are_smoothed_and_put_on_other_axes(client: Client, open_page: Open) -> None:
    watched = open_page(f"{experiment(client, 'trials')}?tab=charts&metrics=loss")
    page = watched.page
    page.locator("#chart-metric-loss[data-ready]").wait_for()
    assert page.locator(".legend.runs li").count() == 12
    over = page.locator("#chart-metric-loss .u-over")
    over.hover(position={"x": 200, "y": 100})
    expect(page.locator("#chart-metric-loss .readout")).to_contain_text("9 more")
    page.get_by_label("Log y").check()
    expect(page).to_have_url(re.compile("axes=logy"))
    page.get_by_label("Smoothing").fill("0.6")
    expect(page).to_have_url(re.compile(r"smooth=0\.6"))
    expect(page.locator("output")).to_have_text("0.6")
    page.get_by_label("X axis").select_option("metrics.epoch")
    page.get_by_role("button", name="Show").click()
    page.locator("#chart-metric-loss[data-ready]").wait_for()
    assert {"x=metrics.epoch", "smooth=0.6", "axes=logy"} <= set(page.url.partition("?")[2].split("&"))
    assert page.get_by_label("Log y").is_checked()
    assert watched.problems == []


def test_a_zoom_asks_for_every_point_of_the_part(client: Client, open_page: Open) -> None:
    watched = open_page(f"{experiment(client, 'long')}?tab=charts")
    page = watched.page
    page.locator("#chart-metric-loss[data-ready]").wait_for()
    box: Any = page.locator("#chart-metric-loss .u-over").bounding_box()
    across = box["x"] + box["width"] * PEAK / POINTS
    with page.expect_response(curves(page)) as got:
        page.mouse.move(across - 15, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(across + 15, box["y"] + 40, steps=4)
        page.mouse.up()
    (curve,) = got.value.json()["curves"]
    first, last = int(curve["x"][0]), int(curve["x"][-1])
    assert curve["x"] == list(range(first, last + 1)) and first < PEAK < last
    assert curve["y"][PEAK - first] == 9.0
    asked = parse_qs(urlsplit(page.url).query)["zoom.metric-loss"][0]
    with page.expect_response(curves(page)) as again:
        page.reload()
    assert again.value.json()["curves"][0]["x"] == curve["x"], asked
    assert watched.problems == []


def test_an_axis_is_brushed_and_the_kept_runs_are_a_table(client: Client, open_page: Open) -> None:
    watched = open_page(f"{experiment(client, 'trials')}?tab=parallel&columns=params.depth,metrics.loss")
    page = watched.page
    page.locator(".axis[data-axis='1'] .reach").scroll_into_view_if_needed()
    reach: Any = page.locator(".axis[data-axis='1'] .reach").bounding_box()
    across = reach["x"] + reach["width"] / 2
    page.mouse.move(across, reach["y"] + reach["height"] + 1)
    page.mouse.move(across, reach["y"] + reach["height"] - 1)
    page.mouse.down()
    page.mouse.move(across, reach["y"] + reach["height"] * 0.5, steps=5)
    page.mouse.up()
    said = page.locator(".said").inner_text()
    kept = int(said.split()[0])
    assert 0 < kept < 12 and said.startswith(f"{kept} of 12 runs kept")
    assert page.locator(".lines .off").count() == 12 - kept
    page.reload()
    expect(page.locator(".said")).to_have_text(said)
    page.get_by_role("link", name="Show them as a table").click()
    expect(page.locator("#runs tbody tr")).to_have_count(kept)
    assert watched.problems == []


def test_a_point_tells_its_run_and_opens_it(client: Client, open_page: Open) -> None:
    watched = open_page(f"{experiment(client, 'trials')}?tab=scatter&px=start_time&py=metrics.loss")
    page = watched.page
    spot: Any = page.evaluate("""() => {
      const { runs } = JSON.parse(document.querySelector("[data-plot] script").textContent);
      const box = document.querySelector("[data-plot] svg").getBoundingClientRect();
      const view = document.querySelector("[data-plot] svg").viewBox.baseVal;
      const [x, y] = [runs[0].x[0] * box.width / view.width, runs[0].y[0] * box.height / view.height];
      return { name: runs[0].name, x: box.x + x, y: box.y + y };
    }""")
    page.mouse.move(spot["x"], spot["y"])
    expect(page.locator("[data-plot] .readout")).to_contain_text(spot["name"])
    page.mouse.click(spot["x"], spot["y"])
    expect(page.locator("h1")).to_have_text(spot["name"])
    assert watched.problems == []
