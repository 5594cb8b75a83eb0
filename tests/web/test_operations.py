"""The addresses of those who operate a server: health, readiness, versions, figures, the API's description."""

from __future__ import annotations

import json
import logging
import re
import shutil
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from holdfast.app.compose import all_routes
from holdfast.version import __version__
from holdfast.web.logs import configure_logs

if TYPE_CHECKING:
    from holdfast.app.compose import Composition


def test_health_is_the_text_ok(http: Any) -> None:
    answer = http.get("/health")
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["content-type"].startswith("text/plain")


def test_versions(http: Any) -> None:
    assert http.get("/version").text == "3.17.2"
    assert http.get("/api/v1/version").json()["version"] == __version__


def test_ready_while_the_stores_can_be_reached(http: Any, composition: Composition) -> None:
    assert http.get("/ready").json() == {"database": "ok", "objects": "ok"}
    shutil.rmtree(composition.objects.url)
    answer = http.get("/ready")
    assert answer.status_code == 503
    assert str(composition.objects.url) in answer.json()["error"]["message"]


def test_not_ready_when_the_database_is_closed(http: Any, composition: Composition) -> None:
    composition.storage.close()
    assert http.get("/ready").status_code == 503
    assert http.get("/health").status_code == 200


def samples(http: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = list(text_string_to_metric_families(http.get("/metrics").text))
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_figures_count_requests_by_declared_route(http: Any) -> None:
    for run in ("a", "b", "c"):
        http.get(f"/api/v1/runs/{run}")
    for path in ("/nothing/1", "/nothing/2"):
        http.get(path)
    found = samples(http)
    name, labels = (
        "holdfast_http_requests_total",
        (("method", "GET"), ("route", "/api/v1/runs/{run_id}"), ("status", "404")),
    )
    assert found[name, labels] == 3
    assert found[name, (("method", "GET"), ("route", "unmatched"), ("status", "404"))] == 2
    assert found["holdfast_http_request_duration_seconds_count", (("route", "unmatched"),)] == 2
    assert ("process_resident_memory_bytes", ()) in found
    assert found["holdfast_build_info", (("version", __version__),)] == 1


def test_strange_methods_do_not_multiply_the_figures(http: Any) -> None:
    for number in range(5):
        http.request(f"STRANGE{number}", "/health")
    methods = {dict(labels).get("method") for _, labels in samples(http)}
    assert methods <= {None, "GET", "other"}


def test_the_description_covers_every_route_of_the_api(http: Any, composition: Composition) -> None:
    described = http.get("/api/v1/openapi.json").json()
    declared = {
        (re.sub(r":\w+}", "}", route.path), route.method.lower())
        for route in all_routes(composition)
        if route.path.startswith("/api/v1") and route.path not in ("/api/v1/version", "/api/v1/openapi.json")
    }
    assert declared <= {(path, method) for path, item in described["paths"].items() for method in item}


def test_the_description_is_whole(http: Any) -> None:
    described = http.get("/api/v1/openapi.json").json()
    schemas = described["components"]["schemas"]
    used = set(re.findall(r"#/components/schemas/([^\"]+)", json.dumps(described)))
    assert used <= set(schemas)
    assert {"Run", "ModelVersion", "Error"} <= set(schemas)
    for path, item in described["paths"].items():
        for operation in item.values():
            assert operation["summary"] and operation["x-permission"]
            names = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"]
            assert names == re.findall(r"{(\w+)}", path)


def test_what_an_address_may_ask_for_is_described(http: Any, composition: Composition) -> None:
    """From the type that the route's handler is given, which is the only way to read it."""
    paths = http.get("/api/v1/openapi.json").json()["paths"]
    runs = {one["name"]: one for one in paths["/api/v1/runs"]["get"]["parameters"]}
    assert runs["limit"] == {
        "name": "limit", "in": "query", "required": False,
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    }  # fmt: skip
    assert runs["experiment"]["schema"] == {"type": "string", "default": ""}
    said = paths["/api/v1/comments"]["get"]["parameters"]
    assert [one["name"] for one in said if one["required"]] == ["object"]
    for route in all_routes(composition):
        if route.query is not None:
            described = paths[re.sub(r":\w+}", "}", route.path)][route.method.lower()]["parameters"]
            asked = {one["name"] for one in described if one["in"] == "query"}
            assert asked == set(route.query.__struct_fields__)
    rooms = Path(str(files("holdfast"))).glob("*/routes.py")
    by_hand = [path for path in rooms if "call.query" in path.read_text()]
    assert by_hand == []


def test_logs_are_json_lines_that_name_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure_logs("server", "info")
        logging.getLogger("holdfast.access").info("request", extra={"fields": {"status": 200}})
        try:
            raise ValueError("broken\nin two lines")
        except ValueError:
            logging.getLogger("holdfast.web").exception("fault")
    finally:
        root.handlers[:], root.level = before[0], before[1]
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["process"], first["logger"], first["status"]) == ("server", "holdfast.access", 200)
    assert "ValueError: broken" in second["exception"]
