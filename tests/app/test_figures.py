"""The figures of both servers: Prometheus' own tool accepts them, and they say what is."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from holdfast.app.figures import StoreFigures
from holdfast.serving.inference.metrics import EndpointFigures, expose

if TYPE_CHECKING:
    from holdfast.app.compose import Composition
    from tests.app.conftest import Server


def accept(text: str) -> None:
    """Have `promtool check metrics` judge; it finds fault with names, units, help texts and forms."""
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    done = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def values(text: str) -> dict[str, float]:
    """Every sample without its labels; of several, their sum."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def test_the_control_planes_figures(composition: Composition, http: Any) -> None:
    http.post("/api/v1/runs", json={})
    text = http.get("/metrics").text
    accept(text)
    found = values(text)
    assert found["holdfast_stores_reachable"] == 1
    assert found["holdfast_storage_write_duration_seconds_count"] >= 1
    assert found["holdfast_storage_connections_limit"] > found["holdfast_storage_connections_in_use"] >= 0
    assert found["holdfast_audit_entries"] >= 1
    assert found["holdfast_data_disk_size_bytes"] >= found["holdfast_data_disk_free_bytes"] > 0
    waiting = {name for name in found if name.startswith("holdfast_prediction_log_")}
    assert len(waiting) == 5 and {found[name] for name in waiting} == {0}


def test_a_database_that_can_not_be_read_is_told(composition: Composition) -> None:
    composition.storage.close()
    families = {family.name: family for family in StoreFigures(composition).collect()}
    assert families["holdfast_stores_reachable"].samples[0].value == 0
    assert "holdfast_data_disk_free_bytes" in families and "holdfast_audit_entries" not in families


def test_the_inference_servers_figures() -> None:
    figures = EndpointFigures()
    for status, seconds in ((200, 0.0004), (200, 0.3), (500, 20.0)):
        figures.observe(status, 2, seconds)
    text = expose({"flights": figures}, [("holdfast_inference_log_bytes", "Bytes.", 10.0)], {"flights": True})
    accept(text.decode())
    assert values(text.decode())["holdfast_inference_duration_seconds_count"] == 3


def test_both_servers_as_they_run(start: Callable[..., Server]) -> None:
    server = start(children=True)
    until = time.monotonic() + 60
    while True:
        found = values(server.http.get("/metrics").text)
        if found["holdfast_workers"] == 1 == found["holdfast_inference_replicas"]:
            break
        assert time.monotonic() < until, "no worker or no inference server within a minute"
    accept(httpx.get(f"http://127.0.0.1:{server.port + 1}/metrics").text)
