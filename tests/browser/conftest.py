"""A real Chromium, an empty server and one with a short life behind it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from holdfast.demo.server import running_server
from tests.browser.life import ENDPOINT, MODEL, Life, live
from tests.browser.ports import own_port

_ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


class Watched:
    """A page and everything that went wrong on it. What the browser gives up because it goes on is no problem."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        self._navigations = 0
        self._given_up: list[str] = []
        self._begun: dict[Request, int] = {}
        page.on("request", self._begin)
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("requestfailed", self._fail)

    def visit(self, address: str) -> Page:
        """Go to `address` in the light theme on a desk's screen, and wait until its charts are drawn."""
        # The page before must not live to see the new size: it would fetch for it what this visit then cuts off.
        self.page.goto("about:blank")
        self._navigations += 1
        self._begun.clear()
        self._given_up.clear()
        self.problems.clear()
        self.page.set_viewport_size({"width": 1440, "height": 900})
        self.page.emulate_media(media="screen", color_scheme="light")
        self.page.goto(address, wait_until="load")
        expect(self.page.locator("[data-chart]:not(.drawn)")).to_have_count(0)
        return self.page

    def _begin(self, request: Request) -> None:
        if request.is_navigation_request() and request.frame == self.page.main_frame:
            self._navigations += 1
            self._begun.clear()
            # The browser may tell of what it gives up before it tells of where it goes.
            self.problems[:] = [one for one in self.problems if one not in self._given_up]
            self._given_up.clear()
        self._begun[request] = self._navigations

    def _fail(self, request: Request) -> None:
        told = f"{request.url}: {request.failure}"
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(told)
        elif self._begun.get(request) == self._navigations:
            self.problems.append(told)
            self._given_up.append(told)

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.problems.append(f"{kind}: {text}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for one module: while Playwright is open, its event loop occupies this thread."""
    path = os.environ.get("HOLDFAST_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("no Chromium: install it (apt-get install chromium) or name it in HOLDFAST_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        expect.set_options(timeout=30_000)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server on which nothing has happened."""
    with running_server(tmp_path_factory.mktemp("empty"), own_port(5300)) as (client, _):
        yield client.url


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """A server with runs, a model in production, ten weeks of predictions and an incident."""
    data: Path = tmp_path_factory.mktemp("lived")
    with running_server(data, own_port(5320)) as (client, _):
        yield msgspec.structs.replace(live(client), data=str(data))


def addresses(life: Life) -> dict[str, str]:
    """Every page, by name."""
    return {
        "fleet": "/",
        "experiments": "/experiments",
        "experiment": f"/experiments/{life.experiment_id}",
        "charts": f"/experiments/{life.experiment_id}?tab=charts",
        "parallel": f"/experiments/{life.experiment_id}?tab=parallel",
        "scatter": f"/experiments/{life.experiment_id}?tab=scatter",
        "groups": f"/experiments/{life.experiment_id}?group=status",
        "change": f"/runs/change?run={life.run_id}",
        "run": f"/runs/{life.run_id}",
        "artifacts": f"/runs/{life.run_id}/artifacts",
        "image": f"/runs/{life.run_id}/artifacts/media/val/sample/2.png",
        "document": f"/runs/{life.run_id}/artifacts/reports/report.html",
        "table": f"/runs/{life.run_id}/artifacts/tables/all/0.parquet",
        "text": f"/runs/{life.run_id}/artifacts/notes.txt",
        "models": "/models",
        "model": f"/models/{MODEL}",
        "version": f"/models/{MODEL}/{life.version}",
        "version's files": f"/models/{MODEL}/{life.version}/files",
        "endpoints": "/endpoints",
        "endpoint": f"/endpoints/{ENDPOINT}",
        "endpoint by day": f"/endpoints/{ENDPOINT}?window=1d&metric=auc",
        "an input's values": f"/endpoints/{ENDPOINT}?feature=size",
        "incidents": "/incidents",
        "incident": f"/incidents/{life.alert_id}",
        "audit": "/audit",
        "audit entry": "/audit/0",
        "search": "/search?q=orders",
        "activity": "/activity",
        "inbox": "/inbox",
        "comment": f"/comments/{life.comment_id}",
    }


PAGES = (
    "fleet", "experiments", "experiment", "charts", "parallel", "scatter", "groups", "change",
    "run", "artifacts", "image", "document", "table", "text", "models", "model", "version", "version's files",
    "endpoints", "endpoint",
    "endpoint by day", "an input's values", "incidents", "incident", "audit", "audit entry",
    "search", "activity", "inbox", "comment",
)  # fmt: skip
EMPTY_PAGES = (
    "/",
    "/experiments",
    "/models",
    "/endpoints",
    "/incidents",
    "/audit",
    "/activity",
    "/inbox",
    "/search?q=nothing",
)


@pytest.fixture(scope="module")
def visitor(chromium: Browser) -> Iterator[Watched]:
    """One browser profile that goes from page to page, as a person does."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    yield Watched(context.new_page())
    context.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Watched]]:
    """Opens a fresh browser profile on an address; keyword arguments are Playwright's for a context."""
    contexts = []

    def open_it(address: str, **options: Any) -> Watched:
        context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        watched = Watched(context.new_page())
        watched.page.goto(address, wait_until="load")
        return watched

    yield open_it
    for context in contexts:
        context.close()
