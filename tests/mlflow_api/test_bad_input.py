"""Bad input on every route of MLflow's protocol: refused in its words, without a trace in the database."""

from __future__ import annotations

import json
import math
import re
import time
from typing import Any

import pytest

from holdfast.app.compose import Composition, all_routes
from holdfast.web import Route
from tests.collaboration.dump import dump
from tests.mlflow_api.conftest import BASE, Protocol

JSON = {"Content-Type": "application/json"}
NAMES = (
    "experiment_id", "run_id", "run_uuid", "name", "new_name", "key", "value", "filter", "max_results", "page_token",
    "path", "model_id", "version", "trace_id", "request_id", "alias", "status", "stage", "start_time", "end_time",
    "timestamp", "step", "experiment_ids", "metrics", "params", "tags", "order_by", "view_type", "run_view_type", "url",
    "events", "datasets", "models", "source", "model_ids", "trace_ids", "locations", "max_timestamp_millis", "description",
)  # fmt: skip
UNREADABLE = {
    "cut": b'{"name": "a", ',
    "deep": b'{"name": ' + b"[" * 100_000,
    "deep and whole": b'{"name": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "a list": b"[]",
    "a number": b"3",
    "a text": b'"a"',
    "no UTF-8": b'{"name": "\xff"}',
}
ODD = {
    "lists": {name: [["x"]] for name in NAMES},
    "objects": {name: {"a": 1} for name in NAMES},
    "huge numbers": dict.fromkeys(NAMES, 2**70),
    "no numbers": dict.fromkeys(NAMES, math.nan),
    "infinities": dict.fromkeys(NAMES, -math.inf),
    "NUL": dict.fromkeys(NAMES, "a\0b"),
    "lone surrogates": dict.fromkeys(NAMES, "\ud800"),
    "long texts": dict.fromkeys(NAMES, "x" * 100_000),
}


@pytest.fixture
def routes(composition: Composition) -> list[Route]:
    """Those that take a message in their body. Files are taken as they are, and multipart uploads not offered."""
    found = [one for one in all_routes(composition) if "/mlflow" in one.path and one.method != "GET"]
    return [one for one in found if "/mlflow-artifacts/" not in one.path]


def send(mlflow: Protocol, route: Route, body: bytes, headers: dict[str, str]) -> Any:
    path = re.sub(r"\{[^}]*\}", "x", route.path)
    return mlflow.http.request(route.method, path, content=body, headers=headers)


def check_refusal(answer: Any, told: object) -> None:
    """MLflow's error, and nothing of the server's inside."""
    assert 400 <= answer.status_code < 500, (told, answer.status_code, answer.text[:300])
    found = answer.json()
    assert set(found) >= {"error_code", "message"} and found["error_code"], told
    for inside in ("Traceback", "sqlite", "psycopg", "SELECT ", "INSERT ", "holdfast/", ".py", "/tmp/"):
        assert inside not in answer.text, (told, answer.text[:300])


def test_every_route_is_tried(routes: list[Route]) -> None:
    assert len(routes) > 40 and {one.method for one in routes} == {"POST", "PATCH", "DELETE"}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_is_no_json_object_changes_nothing(
    mlflow: Protocol, composition: Composition, routes: list[Route], kind: str
) -> None:
    mlflow.experiment()
    before = dump(composition.storage)
    for route in routes:
        if kind == "no UTF-8" and send(mlflow, route, b"{}", JSON).status_code == 200:
            continue  # an unknown field is passed over, whatever is in it
        check_refusal(send(mlflow, route, UNREADABLE[kind], JSON), (route.method, route.path))
    assert dump(composition.storage) == before or kind == "no UTF-8"


@pytest.mark.parametrize("kind", ODD)
def test_fields_of_another_kind_are_named(
    mlflow: Protocol, composition: Composition, routes: list[Route], kind: str
) -> None:
    mlflow.experiment()
    before = dump(composition.storage)
    body = json.dumps(ODD[kind]).encode()
    for route in routes:
        check_refusal(send(mlflow, route, body, JSON), (route.method, route.path))
    assert dump(composition.storage) == before


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data; boundary=x"]
)
def test_another_content_type_is_refused(
    mlflow: Protocol, composition: Composition, routes: list[Route], media: str
) -> None:
    before = dump(composition.storage)
    for route in routes:
        answer = send(mlflow, route, b'{"name": "a"}', {"Content-Type": media})
        check_refusal(answer, (route.method, route.path))
    assert dump(composition.storage) == before


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
def test_foreign_pages_and_names_are_refused(
    mlflow: Protocol, composition: Composition, routes: list[Route], headers: dict[str, str]
) -> None:
    before = dump(composition.storage)
    for route in routes:
        answer = send(mlflow, route, b"{}", {**JSON, **headers})
        assert 400 <= answer.status_code < 500, (route.path, answer.text)
    assert dump(composition.storage) == before


def test_a_body_beyond_the_limit_is_refused_by_its_length(
    mlflow: Protocol, composition: Composition, routes: list[Route]
) -> None:
    before = dump(composition.storage)
    for route in routes:
        answer = send(mlflow, route, b"{}", {**JSON, "Content-Length": str(2**30)})
        assert answer.status_code == 413, (route.path, answer.text)
    assert dump(composition.storage) == before


def test_an_object_within_a_text_is_read(mlflow: Protocol) -> None:
    body = json.dumps(json.dumps({"name": "twice"})).encode()
    answer = mlflow.http.post(BASE + "experiments/create", content=body, headers=JSON)
    assert answer.status_code == 200, answer.text


FILTERS = {
    "a million clauses": " AND ".join(["metrics.m > 0"] * 1_000_000),
    "a million characters": "params.p = '" + "x" * 1_000_000 + "'",
    "open brackets": "(" * 100_000,
    "a long list": "attributes.run_id IN (" + ",".join(["'x'"] * 100_000) + ")",
    "quotes": "'" * 99_999,
    "backticks": "`" * 99_999 + " = 1",
    "spaces": " " * 999_999 + "AND",
}
SEARCHES = (
    "experiments/search",
    "runs/search",
    "registered-models/search",
    "model-versions/search",
    "logged-models/search",
    "/api/3.0/mlflow/traces/search",
)


@pytest.mark.parametrize("what", FILTERS)
def test_no_filter_keeps_the_server_busy(mlflow: Protocol, what: str) -> None:
    for path in SEARCHES:
        method = "GET" if "model" in path and "logged" not in path else "POST"
        body = {"experiment_ids": ["0"], "filter": FILTERS[what]}
        began = time.monotonic()
        answer = mlflow.http.request(method, path if path.startswith("/") else BASE + path, json=body)
        assert time.monotonic() - began < 20, path  # a guard against what never ends
        check_refusal(answer, path)


def test_no_pattern_keeps_the_server_busy(mlflow: Protocol) -> None:
    mlflow.run(tags=[{"key": "t", "value": "a" * 5000}])
    for operator in ("LIKE", "ILIKE"):
        for pattern in (
            "%a" * 200 + "b",
            "%" * 1000 + "b",
            "a%" * 900 + "b",
            "_%" * 900 + "b",
            "(a+)+$" * 100,
        ):
            began = time.monotonic()
            for path, name in (
                ("runs/search", "tags.t"),
                ("experiments/search", "name"),
                ("registered-models/search", "name"),
                ("model-versions/search", "name"),
            ):
                body = {"experiment_ids": ["0"], "filter": f"{name} {operator} '{pattern}'", "max_results": 9}
                answer = mlflow.http.request("GET" if "model" in path else "POST", BASE + path, json=body)
                assert time.monotonic() - began < 20, pattern
                assert answer.status_code == 200 and not any(answer.json().values()), answer.text
