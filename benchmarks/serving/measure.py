"""One-row V2 requests at 1, 8 and 64 connections, three servers side by side: the inference server as users run it, the
same without its prediction log, and the echo.

The load generator and the servers are processes of their own. Rounds alternate between the servers; medians are
reported, and for ratios the median of the ratios within a round. `cpu_us` is the server's own CPU time per request,
which a busy machine distorts less than requests per second.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from benchmarks.report import report
from benchmarks.serving.models import Case, cases, deploy_models
from benchmarks.serving.processes import Server, control_plane, echo, inference, load, unlogged, wait_ready

__all__ = ["main"]

_CONNECTIONS = (1, 8, 64)
_ROUNDS = 5
_SECONDS = 0.5
_FIGURES = ("per_second", "p50_us", "p99_us", "cpu_us")
_Round = dict[str, dict[str, float]]


def main() -> None:
    """Deploy the models and measure every case."""
    with tempfile.TemporaryDirectory() as made:
        folder, found = Path(made), cases()
        with control_plane(folder / "data") as control:
            with inference(control, folder / "first"):
                deploy_models(control.url)
            with (
                inference(control, folder / "logged") as logged,
                unlogged(control, folder / "unlogged") as bare,
            ):
                for server in (logged, bare):
                    for case in found:
                        wait_ready(f"{server.url}/v2/models/{case.endpoint}/ready")
                _measure(found, folder, logged, bare)


def _measure(found: list[Case], folder: Path, logged: Server, bare: Server) -> None:
    for case in found:
        (folder / "answer.json").write_bytes(_example(logged, case))
        with echo(folder / "answer.json") as floor, load() as loader:
            servers = {"inference": logged, "unlogged": bare, "echo": floor}
            for connections in _CONNECTIONS:
                rounds = [
                    {name: _drive(loader, server, case, connections) for name, server in servers.items()}
                    for _ in range(_ROUNDS)
                ]
                _report(f"{case.name}, {connections} connections", rounds)


def _report(what: str, rounds: list[_Round]) -> None:
    for server in rounds[0]:
        median = {key: round(statistics.median(each[server][key] for each in rounds), 1) for key in _FIGURES}
        report("serving", f"{server}, {what}", median.pop("per_second"), "requests/s", **median)
    for figure in ("per_second", "cpu_us"):
        sign = 1 if figure == "per_second" else -1
        ratio = statistics.median(
            (each["inference"][figure] / each["echo"][figure]) ** sign for each in rounds
        )
        report("serving", f"inference / echo by {figure}, {what}", ratio, "ratio")
    cost = statistics.median(each["inference"]["cpu_us"] / each["unlogged"]["cpu_us"] - 1 for each in rounds)
    report("serving", f"CPU time that logging adds, {what}", cost, "share")


def _target(server: Server, case: Case) -> str:
    return f"{server.url}/v2/models/{case.endpoint}/infer"


def _example(server: Server, case: Case) -> bytes:
    request = urllib.request.Request(_target(server, case), case.body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        body: bytes = answer.read()
    return body


def _drive(loader: subprocess.Popen[str], server: Server, case: Case, connections: int) -> dict[str, float]:
    """One round against one server."""
    assert loader.stdin is not None
    assert loader.stdout is not None
    order = {"url": _target(server, case), "body": case.body.decode()}
    before = server.cpu_seconds()
    print(
        json.dumps({**order, "connections": connections, "seconds": _SECONDS}), file=loader.stdin, flush=True
    )
    result: dict[str, float] = json.loads(loader.stdout.readline())
    used = server.cpu_seconds() - before
    if result["errors"]:
        raise RuntimeError(f"{result['errors']:g} requests to {server.url} failed")
    return {**result, "cpu_us": used / result["requests"] * 1e6}
