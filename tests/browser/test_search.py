"""The palette and the search page, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched
from tests.browser.life import Life
from tests.browser.test_accessibility import AUDIT, CONTRAST

pytestmark = pytest.mark.browser

Open = Callable[..., Watched]


def chosen(page: Page) -> str:
    """The name of the option that the field says is the active one."""
    text: str = page.evaluate(
        """() => {
          const field = document.getElementById("palette-text");
          const option = document.getElementById(field.getAttribute("aria-activedescendant"));
          return option && option.getAttribute("aria-selected") === "true" ? option.querySelector(".name").textContent : "";
        }"""
    )
    return text


@pytest.mark.parametrize("key", ["/", "Control+k"])
def test_a_key_opens_the_palette_and_escape_closes_it(site: Life, open_page: Open, key: str) -> None:
    watched = open_page(f"{site.url}/audit/0")
    page = watched.page
    page.keyboard.press(key)
    field = page.get_by_role("combobox", name="Search everything")
    expect(field).to_be_focused()
    expect(page.get_by_role("option").first).to_contain_text("Fleet")
    page.keyboard.press("Escape")
    expect(field).to_be_hidden()
    assert watched.problems == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_open_palette_can_be_read_by_everybody(site: Life, open_page: Open, theme: str) -> None:
    page = open_page(site.url, color_scheme=theme).page
    page.keyboard.press("/")
    page.keyboard.type("orders")
    expect(page.locator("#palette-said")).to_contain_text("found")
    assert page.evaluate(AUDIT) == []
    assert page.evaluate(CONTRAST) == []


def test_words_find_arrows_choose_and_enter_goes(site: Life, open_page: Open) -> None:
    page = open_page(site.url).page
    page.keyboard.press("/")
    page.keyboard.type("orders")
    expect(page.get_by_role("option").filter(has_text="endpoint")).not_to_have_count(0)
    expect(page.locator("#palette-said")).to_contain_text("found")
    first = chosen(page)
    assert first == "orders"
    page.keyboard.press("ArrowUp")
    last = page.locator("#palette-list [role=option]").last.locator(".name").inner_text()
    assert chosen(page) == last
    page.keyboard.press("ArrowDown")
    target = page.locator("#palette-list [aria-selected=true]").get_attribute("data-address")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}{target}")


def test_enter_right_after_typing_goes_to_what_was_typed(site: Life, open_page: Open) -> None:
    page = open_page(site.url).page
    page.keyboard.press("/")
    page.keyboard.type("incident 1")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/incidents/{site.alert_id}")


def test_the_focus_stays_in_the_palette_and_comes_back(site: Life, open_page: Open) -> None:
    page = open_page(site.url).page
    page.get_by_role("link", name="Search", exact=True).click()
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || document.getElementById('palette').contains(document.activeElement)"
        )
    page.keyboard.press("Escape")
    expect(page.locator("#search-open")).to_be_focused()


def test_what_is_found_is_written_as_text(site: Life, open_page: Open) -> None:
    watched = open_page(site.url)
    page = watched.page
    page.keyboard.press("/")
    page.keyboard.type("<img src=x onerror=alert(1)>")
    expect(page.locator("#palette-said")).to_contain_text("Nothing has the words “<img")
    assert page.locator("#palette img").count() == 0
    assert watched.problems == []


def test_without_scripts_the_link_leads_to_a_page_that_searches(site: Life, open_page: Open) -> None:
    page = open_page(site.url, java_script_enabled=False).page
    page.get_by_role("link", name="Search", exact=True).click()
    page.get_by_label("Words of a name").fill("orders production")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="orders@production").click()
    page.wait_for_url(f"{site.url}/models/orders/{site.version}")
