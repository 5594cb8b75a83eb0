"""Tracking over HTTP, with the paths and bodies that strangers send."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

API = "/api/v1"
TRICKS = [
    "%2e%2e", "%2e%2e/%2e%2e/experiments", "..%2f..%2fadmin.token", "a/..%2f..", "%2fetc%2fpasswd", "/etc/passwd",
    "..%5cadmin.token", "a%5cb", "C:%5cWindows", "a%2f.%2fb", "a//b", "a/", "%00", "a%00b", "a%0d%0ab", "a%7f", "%c2%85",
    "e%cc%81", "x" * 1025,
]  # fmt: skip


@pytest.fixture
def run(http: Any) -> str:
    return http.post(f"{API}/runs", json={"experiment": "Flights"}).json()["run_id"]


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_run_from_start_to_end(http: Any) -> None:
    run = http.post(f"{API}/runs", json={"experiment": "Flights", "name": "first"}).json()
    one = f"{API}/runs/{run['run_id']}"
    body = {"metrics": [{"key": "loss", "value": 0.5, "step": 1, "time": 10}, {"key": "loss", "value": "NaN", "step": 2}],
            "params": {"depth": "4"}, "tags": {"owner": "ada"}}  # fmt: skip
    assert http.post(f"{one}/batch", json=body).json() == {}
    done = http.post(f"{one}/finish", json={"status": "finished", "exit_code": 0}).json()
    assert (done["status"], done["params"], done["tags"]) == ("finished", {"depth": "4"}, {"owner": "ada"})
    loss = done["metrics"]["loss"]
    assert (loss["last"], loss["last_step"], loss["min"], loss["max"], loss["count"]) == (
        "NaN",
        2,
        0.5,
        0.5,
        2,
    )
    assert http.get(one).json() == done
    assert http.get(f"{API}/runs?experiment=Flights").json()["items"] == [done]
    assert http.get(f"{API}/experiments/Flights").json()["runs"] == 1


def test_a_history_over_http(http: Any, run: str) -> None:
    points = [{"key": "val/loss", "value": 1 / (step + 1), "step": step, "time": step} for step in range(500)]
    http.post(f"{API}/runs/{run}/batch", json={"metrics": points})
    whole = http.get(f"{API}/runs/{run}/metrics/val/loss").json()
    assert (whole["count"], whole["steps"]) == (500, list(range(500)))
    few = http.get(f"{API}/runs/{run}/metrics/val/loss?points=10&from_step=100&to_step=299").json()
    assert (few["count"], len(few["values"]), few["high"][0]) == (200, 10, 1 / 101)


@pytest.mark.parametrize(
    "query", ["points=0", "points=x", "from_step=1.5", "to_step=" + "9" * 40, "points=" + "9" * 5000]
)
def test_a_history_query_without_sense_is_400(http: Any, run: str, query: str) -> None:
    http.post(f"{API}/runs/{run}/batch", json={"metrics": [{"key": "loss", "value": 1}]})
    assert error_of(http.get(f"{API}/runs/{run}/metrics/loss?{query}")) == (400, "invalid_input")


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b'{"metrics": [{"key": "a"}]}', b'{"metrics": [{"key": "a", "value": "big"}]}',
    b'{"metrics": [{"key": "a", "value": NaN}]}', b'{"metrics": [{"key": "a", "value": true}]}',
    b'{"metrics": [{"key": "a", "value": 1, "step": 1.5}]}', b'{"params": {"a": 1}}', b'{"tags": {"a": null}}',
    b'{"metrics": [{"key": "a", "value": 1e999}]}', b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"metrics": [{"key": "a", "value": 1, "step": 99999999999999999999}]}', b'{"tags": {"a": "\\ud800"}}',
])  # fmt: skip
def test_a_batch_without_sense_is_400_and_changes_nothing(http: Any, run: str, body: bytes) -> None:
    answer = http.post(f"{API}/runs/{run}/batch", content=body, headers={"Content-Type": "application/json"})
    assert error_of(answer) == (400, "invalid_input")
    found = http.get(f"{API}/runs/{run}").json()
    assert (found["metrics"], found["params"], found["tags"]) == ({}, {}, {})


@pytest.mark.parametrize(("method", "path", "body"), [
    ("GET", "/runs/nothing", None), ("POST", "/runs/nothing/batch", {"tags": {"a": "b"}}),
    ("POST", "/runs/nothing/finish", {}), ("GET", "/runs/nothing/metrics/a", None),
    ("GET", "/runs/nothing/artifacts", None), ("GET", "/runs/nothing/artifacts/a", None),
    ("DELETE", "/runs/nothing/artifacts/a", None), ("GET", "/experiments/nothing", None),
    ("GET", "/logged-models/nothing", None), ("GET", "/runs?experiment=nothing", None),
    ("GET", "/experiments/" + "9" * 5000, None), ("GET", "/experiments/999999999999999999", None),
])  # fmt: skip
def test_unknown_names_are_404(http: Any, method: str, path: str, body: Any) -> None:
    assert error_of(http.request(method, API + path, json=body)) == (404, "not_found")


@pytest.mark.parametrize(
    "query", ["page_token=x", "page_token=IngiCg", "page_token=bnVsbA", "limit=0", "limit=1e4"]
)
def test_paging_without_sense_is_400(http: Any, query: str) -> None:
    assert error_of(http.get(f"{API}/runs?{query}")) == (400, "invalid_input")


@pytest.mark.parametrize(
    "body", [{"end_time": 10**30}, {"end_time": 2**62}, {"exit_code": 2**70}, {"status": "done"}]
)
def test_an_end_without_sense_is_400(http: Any, run: str, body: Any) -> None:
    assert error_of(http.post(f"{API}/runs/{run}/finish", json=body)) == (400, "invalid_input")
    assert http.get(f"{API}/runs/{run}").json()["status"] == "running"


def test_an_artifact_there_and_back(http: Any, run: str) -> None:
    data, path = bytes(range(256)) * 4_000, f"{API}/runs/{run}/artifacts/plots/R%C3%A9sum%C3%A9%20%231.html"
    stored = http.put(path, content=data).json()
    assert stored == {
        "path": "plots/Résumé #1.html",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
    }
    answer = http.get(path)
    assert answer.content == data
    assert (
        answer.headers["content-disposition"] == "attachment; filename*=UTF-8''R%C3%A9sum%C3%A9%20%231.html"
    )
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["etag"] == f'"{stored["sha256"]}"'
    assert http.get(f"{API}/runs/{run}/artifacts").json()["items"] == [stored]
    assert http.delete(path).json() == {}
    assert error_of(http.get(path)) == (404, "not_found")


@pytest.mark.parametrize("path", TRICKS)
def test_tricks_in_paths_are_refused_without_effect(
    http: Any, run: str, composition: Composition, path: str
) -> None:
    model = http.post(f"{API}/logged-models", json={"name": "m", "run_id": run}).json()["model_id"]
    before = sorted(Path(composition.objects.url).rglob("*"))
    for base in (f"{API}/runs/{run}/artifacts", f"{API}/logged-models/{model}/files"):
        for method in ("PUT", "GET", "DELETE"):
            answer = http.request(method, f"{base}/{path}", content=b"evil" if method == "PUT" else None)
            assert 400 <= answer.status_code < 500, (method, path, answer.text)
        assert http.get(base).json()["items"] == []
    assert sorted(Path(composition.objects.url).rglob("*")) == before
    assert not (composition.settings.data.parent / "evil").exists()


def test_a_path_is_a_file_or_a_folder(http: Any, run: str) -> None:
    assert http.put(f"{API}/runs/{run}/artifacts/a", content=b"x").status_code == 200
    assert error_of(http.put(f"{API}/runs/{run}/artifacts/a/b", content=b"x")) == (400, "invalid_input")


def test_a_model_is_uploaded_and_sealed(http: Any, run: str) -> None:
    model = http.post(f"{API}/logged-models", json={"name": "m", "run_id": run}).json()["model_id"]
    one = f"{API}/logged-models/{model}"
    assert error_of(http.post(f"{one}/finalize")) == (409, "conflict")
    http.put(f"{one}/files/model.pkl", content=b"pickle")
    ready = http.post(f"{one}/finalize").json()
    assert (ready["status"], len(ready["digest"])) == ("ready", 64)
    assert http.put(f"{one}/files/model.pkl", content=b"pickle").status_code == 200
    assert error_of(http.put(f"{one}/files/model.pkl", content=b"other")) == (400, "invalid_input")
    assert http.get(f"{one}/files/model.pkl").content == b"pickle"


def test_every_answer_is_strict_json(http: Any, run: str) -> None:
    points = [{"key": f"m{n}", "value": value} for n, value in enumerate(["NaN", "Infinity", "-Infinity"])]
    http.post(f"{API}/runs/{run}/batch", json={"metrics": points})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for path in (f"/runs/{run}", "/runs", f"/runs/{run}/metrics/m0", f"/runs/{run}/metrics/m1"):
        json.loads(http.get(API + path).text, parse_constant=refuse)


def test_a_field_that_nobody_knows_is_refused_by_name(http: Any) -> None:
    run = http.post("/api/v1/runs", json={"experiment": "e"}).json()["run_id"]
    answer = http.post(f"/api/v1/runs/{run}/batch", json={"metric": []})
    assert answer.status_code == 400
    assert "metric" in answer.json()["error"]["message"]
