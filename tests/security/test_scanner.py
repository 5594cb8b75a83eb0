"""wapiti, a scanner of web applications, finds nothing on a server with a life in it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import holdfast
from tests.app.conftest import CONTROL_PLANE_ALONE, Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
SCANNER = Path(__file__).parents[2] / ".venv-scanner" / "bin" / "wapiti"
# Without `csrf`, which looks for a hidden field alone: the forms of open mode, where there is no session to bind one to,
# are kept from other sites by the Origin header and SameSite cookies (tests/web/test_guards.py).
MODULES = "cookieflags,crlf,csp,exec,file,http_headers,methods,permanentxss,redirect,sql,xss"


def test_wapiti_finds_nothing(tmp_path: Path) -> None:
    if not SCANNER.exists():
        pytest.skip("wapiti is not installed: sh tools/judges.sh scanner")
    server = Server(tmp_path / "data", *CONTROL_PLANE_ALONE)
    try:
        client = holdfast.Client(server.url)
        run = client.create_run("scanned").run_id
        client.log_batch(run, metrics=[("loss", 1.0, 1, None)], params={"depth": "5"}, tags={"team": "a"})
        client.upload_artifact(run, "notes.txt", b"text")
        client.create_model("flights")
        client.close()
        report = tmp_path / "report.json"
        command = [str(SCANNER), "-u", f"{server.url}/", "-m", MODULES, "-f", "json", "-o", str(report),
                   "--flush-session", "--no-bugreport", "-d", "3", "--max-links-per-page", "25", "--max-files-per-dir", "12",
                   "--max-scan-time", "600", "--max-attack-time", "45", "--store-session", str(tmp_path / "session"),
                   "--store-config", str(tmp_path / "config")]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1400)
        assert report.exists(), (done.stdout + done.stderr)[-2000:]
        found = json.loads(report.read_text())
        assert found["infos"]["crawled_pages_nbr"] >= 10, found["infos"]
        problems = {
            kind: [f"{one['info']} {one['path']}" for one in many]
            for group in ("vulnerabilities", "anomalies")
            for kind, many in found[group].items()
            if many
        }
        assert problems == {}
        assert server.http.get("/health").text == "OK"
        assert server.http.get("/api/v1/audit/verify").json()["ok"]
    finally:
        server.end()
