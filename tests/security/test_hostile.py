"""What an attacker sends: markup in every name, documents that run, two requests in one, bodies and texts without end."""

from __future__ import annotations

import gzip
import io
import json
import re
import socket
import tarfile
import zipfile
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
    comment = {"object": f"run:{run_id}", "body": f"{text} [link]({text}) ![image]({text}) <{text}> `{text}`"}
    said = http.post("/api/v1/comments", json=comment)
    assert said.is_success, said.text
    model = http.post("/api/v1/models", json={"name": text})
    pages = ["/", "/experiments", f"/experiments/{experiment}", f"/runs/{run_id}", "/models", "/audit", "/audit/0",
             f"/audit?object={text}", f"/experiments?x={text}", f"/nothing/{text}", "/incidents",
             f"/comments/{said.json()['comment_id']}", "/activity", f"/search?q={text}", f"/login?next={text}"]  # fmt: skip
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
        "/api/v1/models/m/history": ("at", "alias"), "/experiments": ("q",), "/api/v1/search": ("q",), "/search": ("q",),
        "/api/v1/activity": ("object", "page_token"), "/api/v1/endpoints/e/monitor": ("window",), "/audit": ("object", "q"),
    }.items():  # fmt: skip
        for name in names:
            assert http.get(path, params={name: text[:8_000]}).status_code < 500
    run = http.post("/api/v1/runs", json={}).json()["run_id"]
    for body in (
        text,
        f"[{text}",
        f"[a]({text}",
        f"**{text}",
        f"```{text}",
        f"> {text}",
        f"@{text}",
        f"http://{text}",
    ):
        comment = {"object": f"run:{run}", "body": body[:20_000]}
        assert http.post("/api/v1/comments", json=comment).status_code < 500
    assert http.get(f"/runs/{run}", headers={"Accept": "text/html"}).status_code == 200
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


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "10.0.0.1", "localhost@evil.example"],
)
def test_a_name_that_leads_here_is_not_ours(running: Server, host: str) -> None:
    """DNS rebinding: a page of evil.example, whose name was led to this machine, reads and writes nothing."""
    body = b'{"name": "rebound"}'
    lines = f"Host: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    for method, path in (
        ("POST", "/api/v1/models"),
        ("GET", "/api/v1/runs"),
        ("GET", "/"),
        ("POST", "/comments"),
    ):
        answer = talk(running, f"{method} {path} HTTP/1.1\r\n{lines}".encode() + body)
        assert answer.startswith(b"HTTP/1.1 403"), (host, path)
        assert b"does not name this server" in answer
    assert "rebound" not in running.http.get("/api/v1/models").text


def files_of(server: Server) -> set[Path]:
    return {
        path for path in server.data.parent.rglob("*") if path.is_file() and "holdfast.db" not in path.name
    }


OUTSIDE = [
    "../../../../evil", "..", "a/../../../evil", "%2e%2e/%2e%2e/evil", "..%2f..%2fevil", "..%5c..%5cevil", "%2fetc%2fevil",
    "a/%00evil", "./evil", "//evil", "....//....//evil", "%252e%252e%252fevil/..", "a\x7f", "CON/../evil",
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_address_leads_out_of_its_place(running: Server, path: str) -> None:
    """Path traversal: artifacts, models' files, served files, log segments; read, written and deleted."""
    run = running.http.post("/api/v1/runs", json={}).json()["run_id"]
    model = running.http.post("/api/v1/logged-models", json={"name": "m"}).json()["model_id"]
    secret = (running.data / "admin.token").read_text().strip()
    before = files_of(running)
    places = [f"/api/v1/runs/{run}/artifacts/{path}", f"/api/v1/logged-models/{model}/files/{path}",
              f"/api/v1/serving/files/{path}", f"/api/v1/serving/segments/e/r/b/{path}", f"/static/{path}",
              f"/api/v1/models/m/versions/1/files/{path}"]  # fmt: skip
    for place in places:
        for method in ("PUT", "GET", "DELETE"):
            for credential in ("", f"Authorization: Bearer {secret}\r\n"):
                request = head(method, place, 4).replace(b"\r\n\r\n", b"\r\n" + credential.encode() + b"\r\n")
                answer = talk(running, request + b"evil", hang_up=True)
                assert b" 200 " not in answer.split(b"\r\n", 1)[0], (method, place)
                assert b"root:" not in answer and secret.encode() not in answer
    assert files_of(running) == before
    assert running.http.get(f"/api/v1/runs/{run}/artifacts").json()["items"] == []
    assert running.http.get(f"/api/v1/logged-models/{model}/files").json()["items"] == []


def archives() -> dict[str, bytes]:
    """Archives that fill a disk, or write elsewhere, when somebody unpacks them."""
    bomb, out, link = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros", bytes(50 << 20))
        packed.writestr("../../evil", b"evil")
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in ("../../evil", "/tmp/holdfast-evil"):
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"evil"))
    with tarfile.open(fileobj=link, mode="w") as tar:
        member = tarfile.TarInfo("keys")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(member)
    return {"bomb.zip": bomb.getvalue(), "out.tar.gz": out.getvalue(), "link.tar": link.getvalue(),
            "model.npz": bomb.getvalue(), "zeros.gz": gzip.compress(bytes(50 << 20))}  # fmt: skip


def test_archives_are_kept_as_they_are(running: Server) -> None:
    """Nothing on the server unpacks what is uploaded: not to show it, not to seal or register it."""
    http, sent = running.http, archives()
    run = http.post("/api/v1/runs", json={}).json()["run_id"]
    model = http.post("/api/v1/logged-models", json={"name": "m", "run_id": run}).json()["model_id"]
    before = sum(path.stat().st_size for path in files_of(running))
    for name, data in sent.items():
        assert http.put(f"/api/v1/runs/{run}/artifacts/{name}", content=data).is_success
        assert http.put(f"/api/v1/logged-models/{model}/files/{name}", content=data).is_success
        assert http.get(f"/api/v1/runs/{run}/artifacts/{name}").content == data
    assert http.post(f"/api/v1/logged-models/{model}/finalize").status_code < 500
    assert http.get(f"/runs/{run}", headers={"Accept": "text/html"}).status_code == 200
    grown = sum(path.stat().st_size for path in files_of(running)) - before
    assert grown <= 2 * sum(map(len, sent.values())) + 1_000_000
    assert not list(running.data.parent.rglob("evil*")) and not Path("/tmp/holdfast-evil").exists()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_a_packed_body_is_not_unpacked(running: Server, encoding: str) -> None:
    body = gzip.compress(b'{"name": "packed"}' + b" " * (100 << 20))
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    assert running.http.post("/api/v1/models", content=body, headers=headers).status_code == 400
    assert "packed" not in running.http.get("/api/v1/models").text


@pytest.mark.parametrize("files", [
    [["../../evil", 4]], [["/evil", 4]], [["a", 10**15]], [["a", -1], ["b", 5]], [["a", 4], ["a", 0]], [["a/../../evil", 4]],
])  # fmt: skip
def test_a_bundle_writes_in_its_place_alone(running: Server, files: list[list[Any]]) -> None:
    run = running.http.post("/api/v1/runs", json={}).json()["run_id"]
    names = json.dumps(files).encode()
    body = b"HFBUNDLE1\n" + len(names).to_bytes(4, "big") + names + b"evil"
    before = files_of(running)
    answer = running.http.post(f"/api/v1/runs/{run}/artifact-bundles", content=body)
    assert answer.status_code == 400, answer.text
    assert files_of(running) == before
    assert running.http.get(f"/api/v1/runs/{run}/artifacts").json()["items"] == []


@pytest.mark.parametrize("path", ["/login", "/comments", "/api/v1/login", "/api/v1/runs/x/artifact-bundles"])
def test_a_gigabyte_is_taken_nowhere(running: Server, path: str) -> None:
    answer = talk(running, head("POST", path, 10**9))
    assert int(answer.split(b" ", 2)[1]) in (404, 413)
