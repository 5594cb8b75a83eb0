"""What a watched page counts as a problem, and what is only the browser going on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.browser.conftest import Watched

pytestmark = pytest.mark.browser

_PAGES = {
    "/": "<title>Quiet</title>",
    "/slow": "<title>Slow</title><script>new Image().src = '/never'</script>",
    "/refused": "<title>Refused</title><img src='http://127.0.0.1:1/x.svg'>",
    "/forbidden": "<title>Forbidden</title><img src='http://localhost/x.svg'>",
    "/missing": "<title>Missing</title><img src='/gone.svg'>",
}


class _Site(BaseHTTPRequestHandler):
    asked = threading.Event()
    closing = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/never":
            self.asked.set()
            self.closing.wait(60)
            return
        page = _PAGES.get(self.path)
        self.send_response(200 if page else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Security-Policy", "img-src 'self' data: http://127.0.0.1:*")
        self.end_headers()
        self.wfile.write(f"<!doctype html><link rel=icon href=data:,>{page}".encode())

    def log_message(self, *words: object) -> None:
        """Tests print nothing."""


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        _Site.closing.set()
        server.shutdown()
        thread.join()


def test_what_is_cut_off_by_going_on_is_no_problem(place: str, open_page: Callable[..., Watched]) -> None:
    watched = open_page(f"{place}/")
    ends: list[str | None] = []
    watched.page.on("requestfailed", lambda request: ends.append(request.failure))
    watched.page.goto(f"{place}/slow", wait_until="commit")
    assert _Site.asked.wait(30)
    watched.page.goto(f"{place}/", wait_until="load")
    for _ in range(300):  # the browser tells of it when it gets to it
        if ends:
            break
        watched.page.wait_for_timeout(100)
    assert set(ends) == {"net::ERR_ABORTED"}  # the page itself may be cut off with its image
    assert watched.problems == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/refused", "http://127.0.0.1:1/x.svg: net::ERR_"),
        ("/forbidden", "http://localhost/x.svg: csp"),
        ("/missing", "error: Failed to load resource: the server responded with a status of 404"),
    ],
)
def test_what_really_fails_is_one(
    place: str, open_page: Callable[..., Watched], path: str, words: str
) -> None:
    watched = open_page(f"{place}{path}")
    assert any(problem.startswith(words) for problem in watched.problems), watched.problems


def test_what_a_page_gives_up_by_itself_is_one(place: str, open_page: Callable[..., Watched]) -> None:
    watched = open_page(f"{place}/")
    with watched.page.expect_event("requestfailed"):
        watched.page.evaluate("fetch('/never', {signal: AbortSignal.timeout(100)}).catch(() => 0)")
    assert watched.problems == [f"{place}/never: net::ERR_ABORTED"]
