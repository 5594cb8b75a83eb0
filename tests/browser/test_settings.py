"""The settings, in a real browser: every page, and forms with scripts and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from holdfast.demo.server import running_server
from tests.browser.conftest import Watched
from tests.browser.ports import own_port
from tests.browser.test_accessibility import AUDIT, CONTRAST

pytestmark = pytest.mark.browser

Open = Callable[..., Watched]
PASSWORD = "correct horse battery"
PAGES = ("people", "roles", "tokens", "sessions", "workspaces", "keys", "channels", "server")


@pytest.fixture(scope="module")
def manned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with an administrator, beyond open mode."""
    data: Path = tmp_path_factory.mktemp("manned")
    with running_server(data, own_port(5340)) as (client, _):
        headers = {"Authorization": f"Bearer {(data / 'admin.token').read_text().strip()}"}
        new = {"name": "grace", "display_name": "Grace Hopper", "password": PASSWORD, "is_admin": True}
        httpx.post(f"{client.url}/api/v1/users", json=new, headers=headers).raise_for_status()
        yield client.url


@pytest.fixture
def sign_in(manned: str, open_page: Open) -> Callable[..., Watched]:
    """A browser in which the administrator is signed in, on a settings page."""

    def begin(path: str, **options: object) -> Watched:
        watched = open_page(f"{manned}/login?next={path}", **options)
        watched.page.locator("#name").fill("grace")
        watched.page.locator("#password").fill(PASSWORD)
        watched.page.get_by_role("button", name="Sign in", exact=True).click()
        watched.page.wait_for_url(f"{manned}{path}")
        return watched

    return begin


def test_every_page_opens_without_a_problem(manned: str, sign_in: Callable[..., Watched]) -> None:
    watched = sign_in("/settings/people")
    for name in PAGES:
        page = watched.page
        page.goto(f"{manned}/settings/{name}", wait_until="load")
        here = page.get_by_role("navigation", name="Settings").locator("[aria-current=page]")
        expect(here).to_have_count(1)
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            assert page.evaluate(AUDIT) == [], name
            assert page.evaluate(CONTRAST) == [], (name, theme)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    assert watched.problems == []


@pytest.mark.parametrize("scripts", [True, False])
def test_a_person_is_added_and_disabled(sign_in: Callable[..., Watched], scripts: bool) -> None:
    page: Page = sign_in("/settings/people", java_script_enabled=scripts).page
    name = "scripted" if scripts else "plain"
    form = page.get_by_role("form", name="Add somebody")
    form.get_by_label("Name", exact=True).fill("Not A Name")
    form.get_by_label("First password").fill(PASSWORD)
    form.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_contain_text("is not a name for a user")
    form.get_by_label("Name", exact=True).fill(name)
    form.get_by_label("First password").fill(PASSWORD)
    form.get_by_role("button", name="Add").click()
    row = page.get_by_role("row").filter(has=page.locator(f"#{name}"))
    expect(row).to_contain_text("viewer in default")
    row.get_by_label(f"Disable {name}", exact=True).first.click()
    row.get_by_role("button", name=f"Disable {name}").click()
    expect(page.get_by_role("row").filter(has=page.locator(f"#{name}"))).to_contain_text("disabled")


@pytest.mark.parametrize("scripts", [True, False])
def test_a_token_is_made_shown_once_and_revoked(
    manned: str, sign_in: Callable[..., Watched], scripts: bool
) -> None:
    page: Page = sign_in("/settings/tokens", java_script_enabled=scripts).page
    name = f"nightly {'scripted' if scripts else 'plain'}"
    page.get_by_label("What it is for").fill(name)
    page.get_by_role("button", name="Make the token").click()
    secret = page.locator(".code code").first.inner_text()
    who = httpx.get(f"{manned}/api/v1/whoami", headers={"Authorization": f"Bearer {secret}"})
    assert who.json()["name"] == "grace"
    page.goto(f"{manned}/settings/tokens")
    assert secret not in page.content()
    row = page.get_by_role("row").filter(has_text=name)
    row.locator("summary").click()
    row.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_role("row").filter(has_text=name)).to_have_count(0)
    assert (
        httpx.get(f"{manned}/api/v1/whoami", headers={"Authorization": f"Bearer {secret}"}).status_code == 401
    )
