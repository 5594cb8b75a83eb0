from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.conftest import Watched
from tests.browser.life import Life

pytestmark = pytest.mark.browser

Open = Callable[..., Watched]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("f", "/"),
        ("x", "/experiments"),
        ("m", "/models"),
        ("e", "/endpoints"),
        ("i", "/incidents"),
        ("a", "/audit"),
    ],
)
def test_g_and_a_letter_goes_to_a_room(site: Life, open_page: Open, key: str, path: str) -> None:
    page = open_page(f"{site.url}/audit/0").page
    page.keyboard.press("g")
    page.keyboard.press(key)
    page.wait_for_url(site.url + path)


def test_j_and_k_walk_the_rows_and_enter_opens(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/experiments/{site.experiment_id}").page
    focused = "document.activeElement.textContent"
    page.keyboard.press("j")
    assert page.evaluate(focused) == "attempt 2"
    page.keyboard.press("j")
    assert page.evaluate(focused) == "attempt 1"
    page.keyboard.press("k")
    assert page.evaluate(focused) == "attempt 2"
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/runs/{site.run_id}")


def test_question_mark_opens_the_help_and_escape_closes_it(site: Life, open_page: Open) -> None:
    page = open_page(site.url).page
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    dialog.wait_for()
    assert "Next and previous row" in dialog.inner_text()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_letters_typed_into_a_field_go_nowhere(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/experiments/{site.experiment_id}").page
    field = page.get_by_label("Name contains")
    field.focus()
    page.keyboard.type("gat?")
    assert field.input_value() == "gat?"
    assert page.url.endswith(f"/experiments/{site.experiment_id}")


def test_the_first_tab_stop_skips_to_the_content(site: Life, open_page: Open) -> None:
    page = open_page(site.url).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_every_tab_stop_shows_its_focus(site: Life, open_page: Open) -> None:
    page = open_page(site.url).page
    for _ in range(25):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            "document.activeElement === document.body ? 'body' : getComputedStyle(document.activeElement).outlineStyle"
        )
        assert outline in ("solid", "body", "auto")


def test_the_theme_switches_and_is_kept_before_the_first_paint(site: Life, open_page: Open) -> None:
    watched = open_page(site.url, color_scheme="light")
    page = watched.page
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.keyboard.press("t")
    assert page.locator("#theme").get_attribute("aria-label") == "Theme: light"
    page.keyboard.press("t")
    assert page.evaluate(background) != light
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate(background) != light
    assert watched.problems == []


def test_a_digest_is_copied_whole(site: Life, open_page: Open) -> None:
    page = open_page(
        f"{site.url}/models/orders/{site.version}", permissions=["clipboard-read", "clipboard-write"]
    ).page
    page.get_by_role("button", name="Copy digest").first.click()
    page.locator(".copy.copied").wait_for()
    assert len(page.evaluate("navigator.clipboard.readText()")) == 64
    assert page.locator("#announce").inner_text() == "Copied"
