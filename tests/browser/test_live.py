from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import holdfast
from holdfast.client import Client
from holdfast.demo.server import running_server
from tests.browser.conftest import Watched
from tests.browser.ports import own_port

pytestmark = pytest.mark.browser

Open = Callable[..., Watched]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running_server(tmp_path_factory.mktemp("live"), own_port(5340)) as (client, _):
        yield client


def test_an_empty_page_fills_by_itself(client: Client, open_page: Open) -> None:
    watched = open_page(f"{client.url}/experiments")
    page = watched.page
    assert page.locator(".empty").is_visible()
    holdfast.init(client.url, "orders")
    with holdfast.start_run("first") as run:
        run.log_metric("loss", 0.5)
    page.get_by_role("link", name="orders").wait_for(timeout=30_000)
    assert watched.problems == []


def test_an_open_run_follows_its_metrics_and_keeps_an_open_fold(client: Client, open_page: Open) -> None:
    holdfast.init(client.url, "orders")
    with holdfast.start_run("second") as run:
        for step in range(5):
            run.log_metric("loss", 1.0 / (step + 1), step=step)
        run.flush()
        watched = open_page(f"{client.url}/runs/{run.run_id}")
        page = watched.page
        page.locator("#chart-metric-loss.drawn").wait_for()
        page.locator("#chart-metric-loss summary").click()
        run.log_metric("auc", 0.75)
        run.flush()
        page.locator("#metrics td", has_text="auc").wait_for(timeout=30_000)
        assert page.locator("#chart-metric-loss details").get_attribute("open") is not None
    page.locator("#status", has_text="finished").wait_for(timeout=30_000)
    assert watched.problems == []
