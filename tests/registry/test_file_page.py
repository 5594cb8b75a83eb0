"""The pages of a version's files."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from tests.registry.test_routes import DESCRIPTION

API = "/api/v1"
HTML = {"Accept": "text/html"}


@pytest.fixture
def files(http: Any) -> str:
    """The page of the files of `späte Flüge` version 1, with a few files beside its model."""
    model = http.post(f"{API}/logged-models", json={"name": "m"}).json()["model_id"]
    for path, data in (
        ("MLmodel", b"flavors: {}\n"), ("data/a b.csv", b"x,y\n1,2\n"), ("report.html", b"<script>1</script>"),
        ("model.pkl", b"pickle"), ("holdfast-model.json", msgspec.json.encode(DESCRIPTION)),
    ):  # fmt: skip
        http.put(f"{API}/logged-models/{model}/files/{path}", content=data)
    http.post(f"{API}/logged-models/{model}/finalize")
    made = http.post(f"{API}/models/sp%C3%A4te Fl%C3%BCge/versions", json={"model_id": model})
    assert made.status_code == 200, made.text
    return "/models/sp%C3%A4te%20Fl%C3%BCge/1/files"


def test_folders_and_files(http: Any, files: str) -> None:
    root = http.get(files, headers=HTML)
    assert root.status_code == 200 and "5 files, " in root.text
    assert re.findall(rf'href="{files}/([^"]*)"', root.text) == [
        "data",
        "holdfast-model.json",
        "MLmodel",
        "model.pkl",
        "report.html",
    ]
    folder = http.get(f"{files}/data/", headers=HTML)
    assert f'href="{files}/data/a%20b.csv"' in folder.text
    table = http.get(f"{files}/data/a%20b.csv", headers=HTML).text
    bytes_of = "/api/v1/models/sp%C3%A4te%20Fl%C3%BCge/versions/1/files/data/a%20b.csv"
    assert f'href="{bytes_of}" download' in table and ">y</th>" in table
    assert ">Version 1</a>" in table and ">späte Flüge</a>" in table
    assert "flavors: {}" in http.get(f"{files}/MLmodel", headers=HTML).text


def test_the_page_of_the_version_leads_there(http: Any, files: str) -> None:
    version = http.get(files.removesuffix("/files"), headers=HTML).text
    assert f'href="{files}"' in version and f'href="{files}/data/a%20b.csv"' in version


def test_a_document_is_shown_in_its_sandbox(http: Any, files: str) -> None:
    page = http.get(f"{files}/report.html", headers=HTML).text
    (frame,) = re.findall(r'<iframe[^>]* src="([^"]*)"', page)
    shown = http.get(frame)
    assert shown.content == b"<script>1</script>"
    assert shown.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert "attachment" in http.get(frame.partition("?")[0]).headers["content-disposition"]


def test_a_part_of_a_file(http: Any, files: str) -> None:
    bytes_of = files.replace("/models", "/api/v1/models").replace("/1/files", "/versions/1/files")
    answer = http.get(f"{bytes_of}/MLmodel", headers={"Range": "bytes=0-6"})
    assert (answer.status_code, answer.content) == (206, b"flavors")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/none", 404), ("/data/none", 404), ("/MLmodel/x", 404), ("/a%5cb", 400), ("/a//b", 400)],
)
def test_what_is_not_there(http: Any, files: str, path: str, status: int) -> None:
    assert http.get(files + path, headers=HTML).status_code == status
    assert http.get("/models/none/1/files", headers=HTML).status_code == 404
