"""The table of runs in a browser: scrolled through without pages, marked, and walked by the keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from holdfast.client import Client
from holdfast.demo.server import running_server
from tests.browser.conftest import Watched
from tests.browser.ports import own_port

pytestmark = pytest.mark.browser

Open = Callable[..., Watched]
RUNS = 230


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """230 runs, more than the document may hold at once."""
    with running_server(tmp_path_factory.mktemp("table"), own_port(5380)) as (client, _):
        for at in range(RUNS):
            run = client.create_run("many", name=f"run-{at:03}")
            client.log_batch(run.run_id, params={"number": str(at)})
        yield client


def scroll(page: Page, row: int) -> None:
    page.evaluate("(top) => { document.querySelector('#runs .scroll').scrollTop = top }", row * 40)


def name(at: int) -> re.Pattern[str]:
    return re.compile(f"^run-{at:03}$")


def test_every_run_is_scrolled_to(client: Client, open_page: Open) -> None:
    watched = open_page(f"{client.url}/experiments/1?sort=name&order=asc")
    page = watched.page
    expect(page.locator("#runs table")).to_have_attribute("aria-rowcount", str(RUNS + 1))
    expect(page.get_by_role("navigation", name="Pages of runs")).to_be_hidden()
    seen: set[str] = set()
    for row in range(0, RUNS, 10):
        scroll(page, row)
        expect(page.get_by_role("link", name=name(min(row, RUNS - 18)))).to_be_visible()
        expect(page.get_by_text("…", exact=True)).to_have_count(0)
        seen.update(page.locator("#runs tbody a.open").all_inner_texts())
        assert page.locator("#runs tbody tr").count() < 100
    assert seen == {f"run-{at:03}" for at in range(RUNS)}
    assert re.search("page=[4-9]", page.url)
    page.reload()
    expect(page.get_by_role("link", name=name(RUNS - 1))).to_be_visible()
    assert watched.problems == []


def test_what_is_marked_out_of_sight_is_compared(client: Client, open_page: Open) -> None:
    watched = open_page(f"{client.url}/experiments/1?sort=name&order=asc")
    page = watched.page
    page.get_by_label("Mark run-001", exact=True).check()
    scroll(page, 200)
    page.get_by_label("Mark run-205", exact=True).check()
    expect(page.get_by_label("Mark run-001", exact=True)).to_have_count(0)
    scroll(page, 0)
    expect(page.get_by_label("Mark run-001", exact=True)).to_be_checked()
    page.get_by_role("button", name="Compare the marked").click()
    expect(page.locator("#answer")).to_contain_text("2 runs;")
    assert {"run-001", "run-205"} <= set(page.locator("a.open").all_inner_texts())
    assert watched.problems == []


def test_keys_walk_mark_and_compare(client: Client, open_page: Open) -> None:
    page = open_page(f"{client.url}/experiments/1?sort=name&order=asc").page
    expect(page.locator("#runs table")).to_have_attribute("aria-rowcount", str(RUNS + 1))
    for key in ("j", "x", "j", "j", "x"):
        page.keyboard.press(key)
    expect(page.locator("#runs tbody input:checked")).to_have_count(2)
    page.keyboard.press("c")
    expect(page.locator("#answer")).to_contain_text("2 runs;")
    assert {"run-000", "run-002"} <= set(page.locator("a.open").all_inner_texts())


def test_a_table_that_changes_stays_where_it_was_scrolled_to(client: Client, open_page: Open) -> None:
    page = open_page(f"{client.url}/experiments/1?sort=name&order=asc").page
    scroll(page, 100)
    expect(page.get_by_role("link", name=name(110))).to_be_visible()
    run = client.create_run("many", name="run-000a")
    client.log_batch(run.run_id, params={"number": "new"})
    expect(page.locator("#runs header p")).to_contain_text(str(RUNS + 1), timeout=30_000)
    expect(page.get_by_role("link", name=name(110))).to_be_visible()
    assert page.evaluate("document.querySelector('#runs .scroll').scrollTop") == 4000
