"""kill -9 of the control plane while runs are logged: nothing acknowledged is lost, nothing half-written is seen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.app.conftest import Server

ROUNDS = 3
THREADS = 3


class Diary:
    """What one client was told is stored."""

    def __init__(self, url: str, heard: threading.Semaphore) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self._url = url
        self._heard = heard

    def live(self) -> None:
        """Log runs until the server is gone."""
        with httpx.Client(base_url=self._url) as http:
            try:
                while True:
                    self._log_run(http)
            except httpx.TransportError:
                return

    def _log_run(self, http: httpx.Client) -> None:
        run = http.post("/api/v1/runs", json={"experiment": "kill"}).raise_for_status().json()["run_id"]
        told = self.runs[run] = {"steps": [], "artifacts": [], "status": "running"}
        one = f"/api/v1/runs/{run}"
        for step in range(3):
            points = [{"key": key, "value": step, "step": step, "time": step} for key in ("a", "b")]
            http.post(
                f"{one}/batch", json={"metrics": points, "params": {f"p{step}": "x"}}
            ).raise_for_status()
            told["steps"].append(step)
            self._heard.release()
        http.put(f"{one}/artifacts/file", content=run.encode() * 100).raise_for_status()
        told["artifacts"].append("file")
        http.post(f"{one}/finish", json={"status": "finished"}).raise_for_status()
        told["status"] = "finished"


def check(http: httpx.Client, run: str, told: dict[str, Any]) -> None:
    """Everything that was told is there, and whatever is there is whole."""
    found = http.get(f"/api/v1/runs/{run}").json()
    assert set(found["params"]) >= {f"p{step}" for step in told["steps"]}
    assert found["status"] in (told["status"], "finished")
    counts = {key: found["metrics"][key]["count"] for key in found["metrics"]}
    assert len(set(counts.values())) <= 1 and max(counts.values(), default=0) >= len(told["steps"])
    assert set(counts) in (set(), {"a", "b"})
    if told["steps"]:
        assert (
            http.get(f"/api/v1/runs/{run}/metrics/a").json()["steps"][: len(told["steps"])] == told["steps"]
        )
    for file in http.get(f"/api/v1/runs/{run}/artifacts").json()["items"]:
        assert http.get(f"/api/v1/runs/{run}/artifacts/{file['path']}").content == run.encode() * 100
    assert len(http.get(f"/api/v1/runs/{run}/artifacts").json()["items"]) >= len(told["artifacts"])


@pytest.mark.faults
def test_kill_9_under_load_loses_nothing_acknowledged(start: Callable[..., Server]) -> None:
    told: dict[str, dict[str, Any]] = {}
    for _ in range(ROUNDS):
        server = start()
        heard = threading.Semaphore(0)
        diaries = [Diary(server.url, heard) for _ in range(THREADS)]
        threads = [threading.Thread(target=diary.live) for diary in diaries]
        for thread in threads:
            thread.start()
        for _ in range(25):
            assert heard.acquire(timeout=30)
        server.process.kill()
        for thread in threads:
            thread.join()
        told.update({run: one for diary in diaries for run, one in diary.runs.items()})
    server = start()
    for run, one in told.items():
        check(server.http, run, one)
    assert server.http.get("/api/v1/audit/verify").json()["ok"]
    assert len(server.http.get("/api/v1/runs?limit=1000").json()["items"]) >= len(told)
