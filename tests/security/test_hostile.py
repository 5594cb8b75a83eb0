"""What an attacker sends: markup in every name, documents that run, two requests in one, bodies and texts without end."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.app.conftest import CONTROL_PLANE_ALONE, Server
from tests.app.test_wire import head, talk

MARKUP = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'-alert(1)-'", "javascript:alert(1)",
    "</title><svg onload=alert(1)>", "{{7*7}}", "${7*7}", "<!--", "]]>", "\u2028alert(1)", "&lt;b&gt;",
]  # fmt: skip


class Live(HTMLParser):
    """Collects what a browser would run: scripts of their own, handlers, addresses that are programs."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_script = tag == "script"
        for name, value in attrs:
            target = "".join((value or "").split()).lower()
            is_program = name in ("href", "src", "action", "formaction") and target.startswith(
                ("javascript:", "data:text")
            )
            if name.startswith("on") or is_program or name == "srcdoc":
                self.found.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        if self._in_script and "alert(1)" in data:
            self.found.append(f"script {data[:80]}")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("hostile") / "data", *CONTROL_PLANE_ALONE)
    yield server
    server.end()


@pytest.mark.parametrize("text", MARKUP)
def test_markup_in_names_stays_text(http: Any, text: str) -> None:
    """Stored in every name, value and comment that a person can give, then shown on every page that shows it."""
    run = http.post("/api/v1/runs", json={"experiment": text[:200], "name": text})
    assert run.status_code == 200, run.text
    run_id, experiment = run.json()["run_id"], run.json()["experiment_id"]
    values = {"p": text, "q": text * 3}
    assert http.post(
        f"/api/v1/runs/{run_id}/batch",
        json={"params": values, "tags": values, "metrics": [{"key": "m", "value": 1, "step": 1}]},
    ).is_success
    http.put(f"/api/v1/runs/{run_id}/artifacts/page.txt", content=text.encode())
    comment = {"object": f"run:{run_id}", "text": f"{text} [link]({text})"}
    http.post("/api/v1/comments", json=comment)
    model = http.post("/api/v1/models", json={"name": text})
    pages = ["/", "/experiments", f"/experiments/{experiment}", f"/runs/{run_id}", "/models", "/audit", "/audit/0",
             f"/audit?object={text}", f"/experiments?x={text}", f"/nothing/{text}", "/incidents"]  # fmt: skip
    if model.is_success:
        pages.append(f"/models/{text}")
    for page in pages:
        answer = http.get(page, headers={"Accept": "text/html"})
        assert answer.status_code < 500, page
        assert Live(answer.text).found == [], page
        assert "49" not in re.findall(r">\s*(49)\s*<", answer.text)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy and "default-src 'self'" in policy


@pytest.mark.parametrize(
    "name", ["a.html", "a.svg", "a.xml", "a.xhtml", "a.js", "a.htm", "a.mhtml", "a", "a.pdf"]
)
def test_a_stored_document_does_not_run(http: Any, name: str) -> None:
    """A document from an artifact is not shown as a page of this origin."""
    run_id = http.post("/api/v1/runs", json={}).json()["run_id"]
    data = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    address = f"/api/v1/runs/{run_id}/artifacts/{name}"
    assert http.put(address, content=data).is_success
    answer = http.get(address)
    assert answer.content == data
    media = answer.headers["content-type"].partition(";")[0]
    is_download = answer.headers.get("content-disposition", "").startswith("attachment")
    is_caged = "sandbox" in answer.headers["content-security-policy"]
    assert is_download or is_caged or media in ("application/octet-stream", "text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"


SMUGGLED = b"POST /api/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" \
    b'Content-Length: 19\r\n\r\n{"name": "smuggled"}'  # fmt: skip
HOST = b"Host: 127.0.0.1\r\n"


@pytest.mark.parametrize(
    "head_lines",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Content-Length: 4\r\nContent-Length: 60\r\n",
        b"Content-Length: 4, 60\r\n",
        b"Content-Length: +4\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x4\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 4\r\n",
        b" Content-Length: 4\r\n",
        b"Content-Length: 4\nX: y\r\n",
    ],
)
def test_two_requests_in_one_are_refused(running: Server, head_lines: bytes) -> None:
    """Ambiguous lengths (RFC 9112, 6.3): the body is never taken for a second request."""
    body = b"0\r\n\r\n" + SMUGGLED
    talk(running, b"POST /api/v1/runs HTTP/1.1\r\n" + HOST + head_lines + b"\r\n" + body, hang_up=True)
    names = [model["name"] for model in running.http.get("/api/v1/models").json()["items"]]
    assert "smuggled" not in names
    assert running.http.get("/health").text == "OK"


def test_a_body_of_a_gigabyte_is_refused_on_its_way(running: Server) -> None:
    """Chunked, so that its length is not told before."""
    request = (
        b"POST /api/v1/models HTTP/1.1\r\n" + HOST +
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )  # fmt: skip
    chunk, sent = b"100000\r\n" + b" " * 0x100000 + b"\r\n", 0
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as connection:
        connection.sendall(request)
        try:
            while sent < 1024:
                connection.sendall(chunk)
                sent += 1
        except OSError:
            pass  # the server has hung up
    assert sent < 200
    assert running.http.get("/health").text == "OK"
    assert "payload" not in str(running.http.get("/api/v1/models").json())


def test_a_gigabyte_that_is_announced_is_refused_before_it_is_sent(running: Server) -> None:
    assert talk(running, head("POST", "/api/v1/models", 10**9)).startswith(b"HTTP/1.1 413")


LONG = ["a" * 50_000, "a-" * 25_000, "0" * 50_000, " " * 50_000, "1h" * 20_000, "/" * 50_000, "(" * 20_000, "@" * 50_000,
        "é" * 20_000, "%" * 20_000, "2026-01-01T" * 4_000, "." * 50_000]  # fmt: skip


@pytest.mark.timeout(120)
@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_long_texts_are_read_in_time(http: Any, text: str) -> None:
    """No pattern of ours takes more than linear time: none of these may reach the time limit."""
    for path, names in {
        "/api/v1/audit": ("limit", "page_token", "object"), "/api/v1/runs": ("experiment", "limit", "page_token"),
        "/api/v1/alerts": ("endpoint", "state"),
        "/api/v1/models/m/history": ("at", "alias"), "/experiments": ("q",),
    }.items():  # fmt: skip
        for name in names:
            assert http.get(path, params={name: text[:8_000]}).status_code < 500
    for body in ({"name": text}, {"experiment": text}, {"name": text, "user": text}):
        assert http.post("/api/v1/runs", json=body).status_code < 500
    assert http.post("/api/v1/models", json={"name": text}).status_code < 500
    for headers in ({"Authorization": f"Bearer {text[:8000]}"}, {"Cookie": f"holdfast_session={text[:8000]}"},
                    {"X-Holdfast-Workspace": text[:8000]}):  # fmt: skip
        try:
            assert http.get("/api/v1/models", headers=headers).status_code < 500
        except UnicodeEncodeError:
            continue  # not a header that can be sent


@pytest.mark.parametrize("path", ["/static/../app/compose.py", "/static/%2e%2e/%2e%2e/settings.py", "/static//etc/passwd",
                                  "/static/..%5c..%5csettings.py", "/static/css/../../../settings.py"])  # fmt: skip
def test_static_files_are_those_alone(running: Server, path: str) -> None:
    answer = talk(running, head("GET", path, 0), hang_up=True)
    assert b" 200 " not in answer.split(b"\r\n", 1)[0]
    assert b"import annotations" not in answer and b"root:" not in answer


def test_a_pickle_is_kept_and_never_loaded(http: Any, composition: Any, tmp_path: Path) -> None:
    """The control plane stores a model's pickle; opening it is left to the sandbox."""
    mark = tmp_path / "opened"
    evil = b"cposix\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR."
    run_id = http.post("/api/v1/runs", json={}).json()["run_id"]
    for name in ("model.pkl", "model.joblib", "archive.zip", "x.tar.gz"):
        assert http.put(f"/api/v1/runs/{run_id}/artifacts/{name}", content=evil).is_success
        assert http.get(f"/runs/{run_id}?file={name}", headers={"Accept": "text/html"}).status_code < 500
    assert not mark.exists()
