from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.conftest import PAGES, Watched, addresses
from tests.browser.life import ENDPOINT, Life

pytestmark = pytest.mark.browser

Open = Callable[..., Watched]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_works_without_scripts(site: Life, open_page: Open, name: str) -> None:
    page = open_page(site.url + addresses(site)[name], java_script_enabled=False).page
    assert page.locator("h1").is_visible()
    for chart in page.locator("figure.chart").all():
        assert chart.locator("svg.still").is_visible()
        assert chart.locator("details summary").is_visible()
    for button in page.locator("main button").all():
        assert not button.is_visible() or button.evaluate("one => one.closest('form') !== null")


def test_the_numbers_behind_a_chart_are_a_table(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/endpoints/{ENDPOINT}", java_script_enabled=False).page
    page.locator("#chart-error summary").click()
    assert page.locator("#chart-error tbody tr").count() == 10


def test_rooms_windows_and_verification_are_plain_links(site: Life, open_page: Open) -> None:
    page = open_page(site.url, java_script_enabled=False).page
    page.get_by_role("link", name="Endpoints").click()
    page.locator("a.open").click()
    page.get_by_role("link", name="Month", exact=True).click()
    assert "window=1mo" in page.url
    page.get_by_role("link", name="Audit", exact=True).click()
    page.get_by_role("link", name="Verify the log").click()
    assert "entries are as they were written" in page.locator("#verified").inner_text()


def test_times_are_absolute_without_scripts(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/audit", java_script_enabled=False).page
    assert page.locator("#log tbody time").first.inner_text().endswith("UTC")
