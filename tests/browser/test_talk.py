"""Commenting and the inbox, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from holdfast.client import Client
from tests.browser.conftest import Watched
from tests.browser.life import ENDPOINT, Life
from tests.browser.test_pages import until

pytestmark = pytest.mark.browser

Open = Callable[..., Watched]


@pytest.fixture
def as_admin(site: Life) -> Iterator[Client]:
    with Client(site.url, token=(Path(site.data) / "admin.token").read_text().strip()) as client:
        yield client


def unread(page: Page) -> str:
    return page.locator("#inbox-link").get_attribute("aria-label") or ""


@pytest.mark.parametrize("scripts", [True, False])
def test_a_comment_is_written_answered_edited_and_deleted(site: Life, open_page: Open, scripts: bool) -> None:
    watched = open_page(f"{site.url}/models/orders/1", java_script_enabled=scripts)
    page, word = watched.page, "scripted" if scripts else "plain"
    page.get_by_role("textbox", name="Comment", exact=True).fill(f"Looks **{word}**. <b>really</b>")
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page).to_have_url(re.compile(r"/models/orders/1#c-"))
    thread = page.locator("li.thread").filter(has_text=word)
    expect(thread.locator(".prose strong")).to_have_text(word)
    expect(thread.locator(".prose")).to_contain_text("<b>really</b>")
    thread.get_by_text("Answer", exact=True).first.click()
    thread.get_by_role("textbox", name="Answer", exact=True).fill("Agreed.")
    thread.get_by_role("button", name="Answer").click()
    thread = page.locator("li.thread").filter(has_text=word)
    expect(thread.locator(".replies .prose")).to_have_text("Agreed.")
    thread.get_by_text("Edit", exact=True).first.click()
    thread.get_by_role("textbox", name="Comment", exact=True).first.fill(f"Looks {word} again.")
    thread.get_by_role("button", name="Save").first.click()
    thread = page.locator("li.thread").filter(has_text=f"{word} again")
    thread.get_by_role("link", name="edited").click()
    expect(page.locator(".diff .add")).to_have_text(re.compile(f"Looks {word} again."))
    page.get_by_role("link", name=re.compile("Open orders version 1")).click()
    thread = page.locator("li.thread").filter(has_text=f"{word} again")
    thread.get_by_role("button", name="Delete").first.click()
    expect(page.locator("li.thread").filter(has_text="Deleted by open mode").first).to_be_visible()
    expect(page.locator("#discussion")).not_to_contain_text(f"{word} again")
    assert watched.problems == []


def test_what_is_typed_outlives_news(site: Life, open_page: Open) -> None:
    """The page follows its data while somebody writes, and takes no word away; it can be sent with the browser's new
    cookie too.
    """
    page = open_page(f"{site.url}/incidents/{site.alert_id}").page
    box = page.locator("#write-comment")
    box.fill("half a thought")
    page.locator("h1").click()
    page.context.clear_cookies()
    Client(site.url).comment(f"alert:{site.alert_id}", "news from elsewhere")
    expect(page.locator("#feed")).to_contain_text("news from elsewhere", timeout=60_000)
    expect(box).to_have_value("half a thought")
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.locator("#feed")).to_contain_text("half a thought")


def test_an_inbox_counts_tells_and_is_read(site: Life, open_page: Open, as_admin: Client) -> None:
    page, me = open_page(f"{site.url}/inbox").page, Client(site.url)
    if page.get_by_role("button", name="Mark all as read").count():
        page.get_by_role("button", name="Mark all as read").click()
    assert unread(page) == "Inbox"
    for number in (1, 2):
        as_admin.comment(f"endpoint:{ENDPOINT}", f"Number {number} needs a look.")
    until("told", lambda: len(list(me.inbox(unread=True))) == 2)
    page.goto(f"{site.url}/inbox?state=unread")
    expect(page.locator("#answer")).to_have_text("2 notifications are unread.")
    assert unread(page) == "Inbox, unread: 2"
    page.get_by_role("link", name=re.compile("Number 2 needs a look")).click()
    expect(page).to_have_url(re.compile(f"/endpoints/{ENDPOINT}#c-"))
    until("read", lambda: len(list(me.inbox(unread=True))) == 1)
    page.goto(f"{site.url}/inbox")
    page.get_by_role("button", name="Mark as read").click()
    expect(page.locator("#answer")).to_have_text("Everything is read.")


def test_watching_is_switched_on_the_page(site: Life, open_page: Open) -> None:
    page = open_page(f"{site.url}/experiments/{site.experiment_id}", java_script_enabled=False).page
    before = page.get_by_role("button", name=re.compile("Watch")).inner_text()
    page.get_by_role("button", name=re.compile("Watch")).click()
    after = page.get_by_role("button", name=re.compile("Watch")).inner_text()
    assert {before, after} == {"Watch", "Watching"}


def test_channels_show_dead_letters_to_the_administrator(
    site: Life, open_page: Open, as_admin: Client
) -> None:
    as_admin.add_webhook("nowhere", "https://nowhere.invalid/hook", events=["alert"])
    token = (Path(site.data) / "admin.token").read_text().strip()
    page = open_page(
        f"{site.url}/settings/channels", extra_http_headers={"Authorization": f"Bearer {token}"}
    ).page
    page.get_by_role("button", name="Send a test").click()
    row = page.locator("#nowhere tbody tr").first
    expect(row).to_contain_text("dead")
    expect(page.locator("#answer")).to_contain_text("could not be delivered")
    as_admin.remove_channel("nowhere")
