from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import EMPTY_PAGES, PAGES, Watched, addresses
from tests.browser.life import ENDPOINT, Life

pytestmark = pytest.mark.browser

Open = Callable[..., Watched]


def until(what: str, check: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for `check`; the page's policy forbids Playwright's own waiting on an expression, which evaluates text."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"not {what} after {seconds} s"
        time.sleep(0.05)


def size_on_the_wire(url: str) -> int:
    """The bytes that a browser's request for `url` gets, compressed as the server does it."""
    wanted = {"Accept": "text/html,*/*", "Accept-Encoding": "gzip"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=wanted), timeout=20) as answer:
        return len(answer.read())


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_without_a_complaint_in_both_themes_and_on_a_phone(
    site: Life, visitor: Watched, name: str
) -> None:
    page = visitor.visit(site.url + addresses(site)[name])
    assert page.title().endswith("· holdfast")
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.querySelectorAll('*').length") <= 3000
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 400, "height": 860})
    until("as wide as the phone", lambda: page.evaluate("document.documentElement.scrollWidth") <= 400)
    assert visitor.problems == []


@pytest.mark.parametrize("path", EMPTY_PAGES)
def test_an_empty_page_teaches_with_this_server_s_address(
    empty_site: str, open_page: Open, path: str
) -> None:
    watched = open_page(empty_site + path)
    commands = watched.page.locator(".empty pre").first.inner_text()
    assert f"export HOLDFAST_URL={empty_site}" in commands
    assert "holdfast " in commands.replace("HOLDFAST_URL", "")
    assert watched.problems == []


def test_the_first_page_is_small(site: Life, open_page: Open) -> None:
    page = open_page("about:blank").page
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(f"{site.url}/endpoints/{ENDPOINT}")
    page.locator("#chart-error.drawn").wait_for()
    sizes = {answer.url: size_on_the_wire(answer.url) for answer in answers}
    assert sum(sizes.values()) <= 100_000, sizes


def test_the_fleet_says_what_needs_attention(site: Life, open_page: Open) -> None:
    page = open_page(site.url).page
    answer = page.locator("#answer").inner_text()
    assert re.match(r"1 of 1 endpoint needs attention: orders does harm since", answer)
    row = page.locator("#fleet tbody tr").first
    assert "does harm" in row.inner_text()
    row.locator("a.open").click()
    assert page.url == f"{site.url}/endpoints/{ENDPOINT}"


def test_the_endpoint_shows_where_harm_began_and_which_input_moved(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/endpoints/{ENDPOINT}").page
    page.locator("#chart-error.drawn").wait_for()
    assert page.locator(".heat tbody th").first.inner_text() in ("size", "prediction")
    assert "of 10 windows" in page.locator("#windows header p").inner_text()
    page.get_by_role("link", name="Open the incident").click()
    assert page.url == f"{site.url}/incidents/{site.alert_id}"
    assert "against" in page.locator("#answer").inner_text()


def test_the_shown_snippets_work_as_they_stand(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/endpoints/{ENDPOINT}").page
    texts = page.locator("#try pre").all_inner_texts()
    program = subprocess.run([sys.executable, "-c", texts[1]], capture_output=True, text=True, check=True)
    assert program.stdout.startswith("[")
    if shutil.which("curl"):
        answer = subprocess.run(["sh", "-c", texts[0]], capture_output=True, text=True, check=True)
        assert json.loads(answer.stdout)["predictions"]


def test_a_heat_cell_opens_its_input_in_its_window(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/endpoints/{ENDPOINT}").page
    page.locator(".heat tbody tr").filter(has_text="distance").locator("td").nth(2).click()
    page.locator("#shape").wait_for()
    assert "17–23 Mar 2025" in page.locator("#shape header").inner_text()
    assert "feature=distance" in page.url


def test_charts_read_out_under_the_cursor_and_zoom_into_the_address(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/endpoints/{ENDPOINT}").page
    over = page.locator("#chart-error .u-over")
    over.wait_for()
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    expect(page.locator("#chart-error .readout")).to_contain_text("%")
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 40, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile("zoom.error"))
    page.mouse.dblclick(box["x"] + 20, box["y"] + 40)
    expect(page).not_to_have_url(re.compile("zoom.error"))


def test_runs_sort_and_filter_through_the_address(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/experiments/{site.experiment_id}").page
    page.get_by_role("link", name="accuracy").click()
    assert "sort=metrics.accuracy" in page.url
    assert page.locator("th[aria-sort=descending]").inner_text() == "accuracy"
    page.get_by_label("Name contains").fill("attempt 2")
    page.get_by_role("button", name="Filter").click()
    assert page.locator("#runs tbody tr").count() == 1
    assert "sort=metrics.accuracy" in page.url


def test_a_run_leads_to_its_model_version(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/runs/{site.run_id}").page
    assert "loss" in page.locator("#headline").inner_text()
    page.locator("#chart-metric-loss.drawn").wait_for()
    page.get_by_role("link", name=re.compile("Open orders version")).click()
    assert page.url == f"{site.url}/models/orders/{site.version}"
    assert "production" in page.locator("#answer").inner_text()


def test_the_audit_log_verifies_on_the_page(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/audit").page
    page.get_by_role("link", name="Verify the log").click()
    page.locator("#verified.ok").wait_for()
    assert "entries are as they were written" in page.locator("#verified").inner_text()


def test_audit_entries_are_paged_and_filtered(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/audit?object=endpoint:{ENDPOINT}").page
    assert page.locator("#log tbody tr").count() >= 9
    page.locator("#log tbody a.open").last.click()
    assert (
        "deployed" in page.locator("#answer").inner_text() or "labels" in page.locator("#answer").inner_text()
    )


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/nowhere", 404, "There is nothing at /nowhere"), ("/models/no-such", 404, "no-such"),
        ("/runs/0", 404, "There is no run"), ("/audit/x", 400, "is not the number"),
        (f"/endpoints/{ENDPOINT}?window=fortnight", 400, "fortnight"), ("/incidents/999", 404, "999"),
        ("/incidents?state=odd", 400, "odd"),
    ],
)  # fmt: skip
def test_an_error_is_a_page_that_says_what_and_what_next(
    site: Life, open_page: Open, path: str, status: int, told: str
) -> None:
    page = open_page(site.url).page
    answer = page.goto(site.url + path)
    assert answer is not None
    assert answer.status == status
    assert told in page.locator(".error-page").inner_text()
    page.get_by_role("link", name="Go to the fleet").click()
    assert page.url == f"{site.url}/"


def test_a_page_prints_without_controls(site: Life, open_page: Open) -> None:
    page: Page = open_page(f"{site.url}/endpoints/{ENDPOINT}").page
    page.locator("#chart-error.drawn").wait_for()
    page.emulate_media(media="print")
    assert not page.locator(".rail").is_visible()
    assert page.locator("#chart-error .still").is_visible()
    assert not page.locator("#chart-error .live").is_visible()
