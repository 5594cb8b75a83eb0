"""Errors as JSON for programs and as a page for people; unknown addresses, wrong methods, faults, static files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from holdfast.kernel.errors import Conflict, IntegrityError, InvalidInput, Unavailable
from holdfast.web import Call, Page, Raw, Redirect, Route, Stream

BROWSER = {"Accept": "text/html,application/xhtml+xml"}


def test_an_error_tells_code_message_hint_and_details(thing: Any) -> None:
    answer = thing.get("/api/v1/things/flights")
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error.pop("request_id") == answer.headers["x-request-id"]
    assert error == {
        "code": "not_found", "message": "There is no thing 'flights'.", "hint": "List things.",
        "details": {"known": ["a"]},
    }  # fmt: skip


def test_a_browser_gets_a_page_and_a_program_json(thing: Any) -> None:
    page = thing.get("/things/flights", headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Not found" in page.text
    assert thing.get("/things/flights").json()["error"]["code"] == "not_found"
    assert thing.get("/api/v1/things/flights", headers=BROWSER).json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/", "/api", "/nothing", "/api/v1/things/a/b"])
def test_an_unknown_address_is_404(thing: Any, path: str) -> None:
    answer = thing.get(path)
    assert answer.status_code == 404
    assert f"There is nothing at {path}." in answer.json()["error"]["message"]


def test_an_unknown_address_is_a_page_for_a_browser(http: Any) -> None:
    answer = http.get("/nothing/<script>alert(1)</script>", headers=BROWSER)
    assert answer.status_code == 404
    assert answer.text.startswith("<!doctype html>")
    assert "&lt;script&gt;alert(1)" in answer.text and "<script>alert" not in answer.text
    assert answer.headers["x-request-id"] in answer.text


def test_a_wrong_method_is_405_with_the_right_ones(thing: Any) -> None:
    answer = thing.delete("/api/v1/thing")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert "DELETE is not a method of /api/v1/thing" in answer.json()["error"]["message"]


def test_head_is_answered_where_get_is(thing: Any) -> None:
    assert thing.head("/api/v1/thing").status_code == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput("No."), 400),
        (Conflict("No."), 409),
        (IntegrityError("No."), 500),
        (Unavailable("No."), 503),
    ],
)
def test_each_error_has_its_status(shell: Callable[..., Any], error: Exception, status: int) -> None:
    def fail(_call: Call) -> None:
        raise error

    answer = shell(Route("GET", "/api/v1/fail", fail, "public")).get("/api/v1/fail")
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == ("1" if status == 503 else None)


def test_details_that_json_lacks_still_make_an_answer(shell: Callable[..., Any]) -> None:
    def fail(_call: Call) -> None:
        raise InvalidInput("No.", details={"nan": float("nan"), "set": {1}, "deep": [float("inf")]})

    answer = shell(Route("GET", "/api/v1/fail", fail, "public")).get("/api/v1/fail")
    assert answer.json()["error"]["details"] == {"nan": "NaN", "set": "{1}", "deep": ["Infinity"]}


@pytest.mark.parametrize("headers", [{}, BROWSER])
def test_a_fault_is_500_and_tells_nothing_of_its_inside(
    shell: Callable[..., Any], caplog: pytest.LogCaptureFixture, headers: dict[str, str]
) -> None:
    def fail(_call: Call) -> None:
        raise ZeroDivisionError("secret inside")

    answer = shell(Route("GET", "/fault", fail, "public")).get("/fault", headers=headers)
    assert answer.status_code == 500
    assert "a fault of its own" in answer.text
    assert not any(word in answer.text for word in ("secret", "Traceback", "ZeroDivision", ".py"))
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


def test_a_fault_in_the_middle_of_an_answer_is_logged_once(
    shell: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"half"
        raise ZeroDivisionError("in the middle")

    http = shell(Route("GET", "/half", lambda _call: Stream(blocks()), "public"))
    with pytest.raises(AssertionError):  # httpx notices that the answer never ended
        http.get("/half")
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_handlers_may_answer_with_bytes_blocks_pages_and_redirects(shell: Callable[..., Any]) -> None:
    http = shell(
        Route("GET", "/raw", lambda _call: Raw(b"raw", "text/plain", {"X-A": "1"}, 201), "public"),
        Route("GET", "/stream", lambda _call: Stream([b"a", b"b"], "text/csv"), "public"),
        Route("GET", "/page", lambda _call: Page("p.html", {"x": 1}, "Title"), "public"),
        Route("GET", "/moved", lambda _call: Redirect("/raw"), "public"),
        Route("GET", "/none", lambda _call: None, "public"),
    )
    raw = http.get("/raw")
    assert (raw.status_code, raw.text, raw.headers["x-a"]) == (201, "raw", "1")
    assert http.get("/stream").text == "ab"
    assert "<title>Title</title>" in http.get("/page").text
    assert http.get("/moved").headers["location"] == "/raw"
    assert http.get("/none").json() == {}


def test_a_handler_knows_its_caller_and_its_address(shell: Callable[..., Any], clock: Any) -> None:
    seen: list[Call] = []
    http = shell(Route("GET", "/a/{name}/{rest:path}", seen.append, "public"))
    answer = http.get("/a/x%20y/b/c%2Fd?q=1&q=2&r=%C3%A9")
    call = seen[0]
    assert dict(call.path) == {"name": "x y", "rest": "b/c/d"}
    assert (call.query["r"], call.raw_query, call.url) == ("é", "q=1&q=2&r=%C3%A9", "http://127.0.0.1:5000")
    assert (call.caller.time_ms, call.caller.workspace) == (clock.now_ms(), "default")
    assert call.caller.request_id == answer.headers["x-request-id"]


def test_static_files_with_a_digest_may_be_kept_for_ever(thing: Any) -> None:
    versioned = thing.get("/static/icon.svg?v=0123456789ab")
    assert versioned.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert thing.get("/static/icon.svg").headers["cache-control"] == "no-cache"
    assert versioned.headers["content-type"].startswith("image/svg+xml")


@pytest.mark.parametrize(
    "path", ["/static/nothing.css", "/static/", "/static/../web/shell.py", "/static/%2e%2e/shell.py",
             "/static/..%2fshell.py", "/static/%2e%2e%5cshell.py", "/static//etc/passwd", "/static/css"]
)  # fmt: skip
def test_static_gives_its_own_files_alone(thing: Any, path: str) -> None:
    answer = thing.get(path)
    assert answer.status_code == 404
    assert "import" not in answer.text and "root:" not in answer.text


def test_another_workspace_is_not_found(http: Any) -> None:
    answer = http.get("/api/v1/experiments", headers={"X-Holdfast-Workspace": "other"})
    assert answer.status_code == 404
    assert "'other'" in answer.json()["error"]["message"]
    assert http.get("/api/v1/experiments", headers={"X-Holdfast-Workspace": "default"}).status_code == 200


def test_control_characters_of_an_address_are_not_sent_back(http: Any) -> None:
    assert "\x00" not in http.get("/nothing%00here", headers={"Accept": "text/html"}).text
