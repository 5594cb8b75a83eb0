"""wapiti, a scanner of web applications, finds nothing on a server with a life in it, signed in or in open mode."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import holdfast
from tests.app.conftest import CONTROL_PLANE_ALONE, Server
from tests.identity.conftest import PASSWORD
from tests.web.visitor import Visitor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
SCANNER = Path(__file__).parents[2] / ".venv-scanner" / "bin" / "wapiti"
MODULES = "cookieflags,crlf,csp,csrf,exec,file,http_headers,methods,permanentxss,redirect,sql,xss"
PAGES = {
    "/", "/experiments", "/experiments/{experiment}", "/runs/{run_id}", "/models", "/models/{name}", "/endpoints",
    "/incidents", "/audit", "/audit/{index}", "/activity", "/inbox", "/search",
}  # fmt: skip
OF_THE_ADMINISTRATOR = PAGES | {
    "/account", "/settings/people", "/settings/roles", "/settings/tokens", "/settings/sessions", "/settings/workspaces",
    "/settings/keys", "/settings/channels", "/settings/server",
}  # fmt: skip
FORMS = {"/comments", "/subscriptions"}
FORMS_OF_THE_ADMINISTRATOR = FORMS | {"/settings/people", "/settings/tokens", "/settings/workspaces"}
# Over http a browser would not keep a cookie that is Secure; over https ours are (test_forms.py, test_identity.py).
PLAIN = "Secure Flag cookie"
# What would sign the scanner out, or lead out of this machine.
NOT_TO_BE_SENT = (
    "logout",
    "account/sessions/*",
    "settings/sessions/*",
    "settings/people/grace/*",
    "settings/channels/*",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with a run, a model and a comment."""
    if not SCANNER.exists():
        pytest.skip("wapiti is not installed: sh tools/judges.sh scanner")
    started = Server(tmp_path / "data", *CONTROL_PLANE_ALONE)
    try:
        with holdfast.Client(started.url) as client:
            run = client.create_run("scanned").run_id
            client.log_batch(run, metrics=[("loss", 1.0, 1, None)], params={"depth": "5"}, tags={"team": "a"})
            client.upload_artifact(run, "notes.txt", b"text")
            client.create_model("flights")
        comment = {"object": f"run:{run}", "body": "a comment"}
        started.http.post("/api/v1/comments", json=comment).raise_for_status()
        yield started
    finally:
        started.end()


@contextmanager
def browsing(server: Server) -> Iterator[Visitor]:
    """A browser in front of the server."""
    with httpx.Client(base_url=server.url) as plain:
        yield Visitor(plain, {"Origin": server.url})


def scan(server: Server, folder: Path, cookie: str) -> None:
    """Let wapiti crawl and attack the server, as the browser with this cookie. Fails on anything that it finds."""
    report = folder / "report.json"
    options = {
        "-u": f"{server.url}/", "-m": MODULES, "-f": "json", "-o": str(report), "-d": "3", "--max-links-per-page": "150",
        "--max-files-per-dir": "25", "--max-scan-time": "600", "--max-attack-time": "45",
        "--store-session": str(folder / "session"), "--store-config": str(folder / "config"),
    }  # fmt: skip
    command = [str(SCANNER), *(word for option in options.items() for word in option)]
    command += [
        "--flush-session",
        "--no-bugreport",
        "-C",
        cookie,
        "-H",
        "Accept: text/html",
        "-H",
        f"Origin: {server.url}",
    ]
    command += [part for path in NOT_TO_BE_SENT for part in ("-x", f"{server.url}/{path}")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1400)
    assert report.exists(), (done.stdout + done.stderr)[-2000:]
    found = json.loads(report.read_text())
    problems = {
        kind: [f"{one['info']} {one['path']}" for one in many]
        for group in ("vulnerabilities", "anomalies")
        for kind, many in found[group].items()
        if many and kind != PLAIN
    }
    assert problems == {}


def answered(server: Server) -> set[tuple[str, str, int]]:
    """(method, route, status) of every request that the server has answered."""
    secret = (server.data / "admin.token").read_text().strip()
    figures = server.http.get("/metrics", headers={"Authorization": f"Bearer {secret}"}).text
    lines = re.findall(
        r'^holdfast_http_requests_total{method="(\w+)",route="(.+)",status="(\d+)"}', figures, re.M
    )
    return {(method, route, int(status)) for method, route, status in lines}


def check_coverage(server: Server, pages: set[str], forms: set[str]) -> None:
    """The scanner has seen the pages, sent their forms as they are, and was refused when it changed their token."""
    seen = answered(server)
    assert {page for page in pages if ("GET", page, 200) not in seen} == set()
    assert {form for form in forms if ("POST", form, 403) not in seen} == set()
    taken = {route for method, route, status in seen if method == "POST" and status in (200, 303, 400)}
    assert forms - taken == set()
    assert not {one for one in seen if one[2] >= 500}


def check_health(server: Server) -> None:
    secret = (server.data / "admin.token").read_text().strip()
    headers = {"Authorization": f"Bearer {secret}"}
    assert server.http.get("/health").text == "OK"
    assert server.http.get("/api/v1/audit/verify", headers=headers).json()["ok"]


def test_wapiti_finds_nothing_in_open_mode(server: Server, tmp_path: Path) -> None:
    with browsing(server) as browser:
        browser.open("/login")  # its many tasks would each begin without a cookie, and undo each other's
    scan(server, tmp_path, f"holdfast_form={browser.cookies['holdfast_form']}")
    check_coverage(server, PAGES, FORMS)
    check_health(server)


def test_wapiti_finds_nothing_signed_in(server: Server, tmp_path: Path) -> None:
    secret = (server.data / "admin.token").read_text().strip()
    grace = {"name": "grace", "password": PASSWORD, "is_admin": True}
    made = httpx.post(f"{server.url}/api/v1/users", json=grace, headers={"Authorization": f"Bearer {secret}"})
    made.raise_for_status()
    with browsing(server) as browser:
        assert browser.send("/login", "/login", name="grace", password=PASSWORD).status_code == 303
    scan(server, tmp_path, f"holdfast_session={browser.cookies['holdfast_session']}")
    check_coverage(server, OF_THE_ADMINISTRATOR, FORMS_OF_THE_ADMINISTRATOR)
    check_health(server)
