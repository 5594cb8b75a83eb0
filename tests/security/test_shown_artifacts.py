"""Documents among artifacts that are sent to be looked at: in a sandbox, whoever opens their address and however."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest

from tests.identity.conftest import Crew
from tests.security.test_hostile import MARKUP, Live

HTML = {"Accept": "text/html"}
EVIL = b"<script>fetch('/api/v1/runs')</script>"


@pytest.fixture
def run(http: Any) -> str:
    return str(http.post("/api/v1/runs", json={}).json()["run_id"])


def put(http: Any, run: str, path: str, data: bytes = EVIL) -> str:
    address = f"/api/v1/runs/{run}/artifacts/{path}"
    assert http.put(address, content=data).is_success
    return address


def policy(answer: Any) -> dict[str, list[str]]:
    parts = [part.split() for part in answer.headers["content-security-policy"].split(";")]
    return {part[0]: part[1:] for part in parts}


@pytest.mark.parametrize("path", ["a.html", "a.htm", "a.HTML", "a.svg"])
def test_a_shown_document_has_an_origin_of_its_own(http: Any, run: str, path: str) -> None:
    answer = http.get(put(http, run, path) + "?show=true")
    said = policy(answer)
    assert "allow-same-origin" not in said["sandbox"]
    assert said["sandbox"] == ([] if path.endswith("svg") else ["allow-scripts"])
    assert said["default-src"] == ["'none'"] and said["frame-ancestors"] == ["'self'"]
    sources = {source for name in said if name.endswith("-src") for source in said[name]}
    assert sources <= {"'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}
    assert ("script-src" in said) == (not path.endswith("svg"))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert answer.headers["content-disposition"].startswith("inline")


@pytest.mark.parametrize(
    "path", ["a.xhtml", "a.xml", "a.js", "a", "a.pdf", "a.png", "a.html.gz", "a.mhtml", "a.txt"]
)
def test_anything_else_stays_a_download(http: Any, run: str, path: str) -> None:
    answer = http.get(put(http, run, path) + "?show=true")
    assert policy(answer)["sandbox"] == []
    assert policy(answer)["default-src"] == ["'none'"]
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("path", ["a.html", "a.svg"])
def test_without_being_asked_for_it_is_a_download(http: Any, run: str, path: str) -> None:
    address = put(http, run, path)
    for query in ("", "?show=false", "?presigned=true"):
        answer = http.get(address + query)
        assert answer.headers["content-disposition"].startswith("attachment")
        assert policy(answer)["sandbox"] == []
    assert http.get(address + "?show=perhaps").status_code == 400


@pytest.mark.parametrize("path", ["a.html", "a.svg"])
def test_pages_frame_documents_in_a_sandbox_alone(http: Any, run: str, path: str) -> None:
    put(http, run, path)
    put(http, run, f"figures/evil/0.{path[2:]}")
    for address in (f"/runs/{run}/artifacts/{path}", f"/runs/{run}"):
        text = http.get(address, headers=HTML).text
        for frame in re.findall(r"<iframe[^>]*>", text):
            assert 'sandbox="allow-scripts"' in frame if path == "a.html" else 'sandbox=""' in frame
            assert "?show=true" in frame and "srcdoc" not in frame
        assert Live(text).found == []
        assert "fetch(" not in text
    assert "<iframe" in http.get(f"/runs/{run}/artifacts/{path}", headers=HTML).text


@pytest.mark.parametrize("text", MARKUP)
@pytest.mark.parametrize("form", ["a.txt", "a.md", "a.json", "a.csv", "tables/k/0.json", "plain"])
def test_markup_in_files_and_names_stays_text(http: Any, run: str, text: str, form: str) -> None:
    name = text.replace("/", "_").replace("\\", "_")
    data = {
        "a.json": f'["{name}"]'.replace('""', '"').encode(),
        "a.csv": f'"{text.replace(chr(34), chr(34) * 2)}",b\n"{text.replace(chr(34), chr(34) * 2)}",1\n'.encode(),
    }.get(form, text.encode())
    put(http, run, form, data)
    put(http, run, f"media/{quote(name)}/0.png", b"x")
    put(http, run, f"{quote(name)}/{quote(name)}.txt", data)
    for address in (f"/runs/{run}/artifacts/{form}", f"/runs/{run}", f"/runs/{run}/artifacts",
                    f"/runs/{run}/artifacts/{quote(name)}", f"/runs/{run}/artifacts?name={quote(text)}",
                    f"/runs/{run}/artifacts/{quote(name)}/{quote(name)}.txt",
                    f"/runs/{run}?media.{quote(name)}={quote(text)}"):  # fmt: skip
        answer = http.get(address, headers=HTML)
        assert answer.status_code == 200, address
        assert Live(answer.text).found == [], address


@pytest.mark.parametrize(
    "path",
    ["%2e%2e/x", "..%2fx", "a/..%2f..%2fx", "%252e%252e/x", "a%5cb", "a//b", "%00", "a%0ab", "%2fetc%2fpasswd", "x" * 1025,
     "a.txt/../../settings", "e%CC%81"],
)  # fmt: skip
def test_no_path_leads_out_of_the_run(http: Any, run: str, path: str) -> None:
    put(http, run, "a.txt")
    answer = http.get(f"/runs/{run}/artifacts/{path}", headers=HTML)
    assert answer.status_code in (400, 404)
    assert "root:" not in answer.text


def test_another_workspace_s_artifacts_are_not_shown(http: Any, run: str, crew: Crew) -> None:
    put(http, run, "a.html")
    crew.c.workspaces.create(crew.admin(), "labs")
    crew.add("ada", "contributor", "labs")
    crew.add("bob", "viewer")
    places = (
        f"/runs/{run}/artifacts",
        f"/runs/{run}/artifacts/a.html",
        f"/api/v1/runs/{run}/artifacts/a.html?show=true",
    )
    ada, bob = crew.headers("ada", "labs"), crew.headers("bob")
    for place in places:
        assert http.get(place, headers={**HTML, **bob}).status_code == 200
        assert http.get(place, headers={**HTML, **ada}).status_code == 404
