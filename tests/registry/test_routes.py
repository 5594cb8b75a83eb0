"""The registry over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from holdfast.kernel.times import iso, parse_time
from holdfast.runtimes.records import Column, ModelDescription, Output, Signature

API = "/api/v1"
DESCRIPTION = ModelDescription(
    format=1, flavor="sklearn", file="model.pkl", python="3.11.7", task="regression", target="delay",
    signature=Signature((Column("distance", "double"),), (Output("prediction", "double"),)),
)  # fmt: skip


@pytest.fixture
def model_id(http: Any) -> str:
    """A ready logged model."""
    made: str = http.post(f"{API}/logged-models", json={"name": "m"}).json()["model_id"]
    files = {"model.pkl": b"pickle", "holdfast-model.json": msgspec.json.encode(DESCRIPTION)}
    for path, data in files.items():
        http.put(f"{API}/logged-models/{made}/files/{path}", content=data)
    http.post(f"{API}/logged-models/{made}/finalize")
    return made


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_from_a_logged_model_to_production(http: Any, model_id: str) -> None:
    version = http.post(f"{API}/models/sp%C3%A4te Fl%C3%BCge/versions", json={"model_id": model_id}).json()
    assert (version["name"], version["version"], version["status"]) == ("späte Flüge", 1, "pending")
    one = f"{API}/models/sp%C3%A4te%20Fl%C3%BCge"
    state = http.put(f"{one}/aliases/production", json={"version": 1, "reason": "first"}).json()
    assert state["version"] == 1
    assert http.get(one).json()["aliases"] == [state]
    assert [model["name"] for model in http.get(f"{API}/models").json()["items"]] == ["späte Flüge"]
    assert http.get(f"{one}/versions/1/files/model.pkl").content == b"pickle"
    assert len(http.get(f"{one}/versions/1/files").json()["items"]) == 2
    assert http.delete(f"{one}/aliases/production").json() == {}


def test_what_was_production_at_a_time(http: Any, model_id: str) -> None:
    http.post(f"{API}/models/flights/versions", json={"model_id": model_id})
    since = http.put(f"{API}/models/flights/aliases/production", json={"version": 1}).json()["since"]
    history = f"{API}/models/flights/history?alias=production"
    assert [change["version"] for change in http.get(f"{history}&at={iso(since)}").json()["items"]] == [1]
    assert http.get(f"{history}&at={since - 1}").json()["items"] == []
    assert parse_time(http.get(history).json()["items"][0]["time"]) == since
    assert error_of(http.get(f"{history}&at=yesterday")) == (400, "invalid_input")


@pytest.mark.parametrize(("method", "path", "body", "expected"), [
    ("GET", "/models/nothing", None, 404), ("GET", "/models/flights/versions/9", None, 404),
    ("GET", "/models/flights/versions/x", None, 400), ("GET", f"/models/flights/versions/{'1' * 5000}", None, 400),
    ("GET", "/models/flights/versions/1/files/nothing", None, 404), ("GET", "/models/nothing/history", None, 404),
    ("GET", "/models/flights/versions/1/files/..%2f..%2fadmin.token", None, 404),
    ("PUT", "/models/flights/aliases/production", {"version": 9}, 404),
    ("PUT", "/models/flights/aliases/production", {"version": 10**30}, 400),
    ("PUT", "/models/flights/aliases/production", {"version": "1"}, 400),
    ("PUT", "/models/flights/aliases/latest", {"version": 1}, 400),
    ("DELETE", "/models/nothing/aliases/production", None, 404),
    ("POST", "/models", {"name": "flights"}, 409), ("POST", "/models", {"name": "a/b"}, 400), ("POST", "/models", {}, 400),
    ("POST", "/models/flights/versions", {"model_id": "m-nothing"}, 404),
])  # fmt: skip
def test_what_is_refused(http: Any, model_id: str, method: str, path: str, body: Any, expected: int) -> None:
    http.post(f"{API}/models/flights/versions", json={"model_id": model_id})
    answer = http.request(method, API + path, json=body)
    assert answer.status_code == expected, answer.text
    assert answer.json()["error"]["message"]
    assert http.get(f"{API}/models/flights").json()["aliases"] == []
