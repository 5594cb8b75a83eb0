"""Get a run, get a model, list runs, list models: 200 requests a second on SQLite, alone and beside a writer.

Server, load generator and writer are processes of their own. The writer sends one batch of 100 points after another on one
connection, each durable before its answer. `cpu_ms` is the server's own CPU time a second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import holdfast
from benchmarks.report import report
from benchmarks.serving.processes import Server, control_plane

__all__ = ["main"]

_RATE, _SECONDS = 200.0, 20.0
_RUNS, _MODELS = 1000, 20
_GOAL_MS = 10.0


def main() -> None:
    """The 99th percentile over every kind of read, once without and once with the writer."""
    with tempfile.TemporaryDirectory() as folder, control_plane(Path(folder) / "data") as server:
        paths = _fill(server.url)
        _measure(server, paths[:8], 3)  # warm
        alone = _measure(server, paths, _SECONDS)
        report("reads", "p99 at 200/s, alone", alone.pop("p99_ms"), "ms", **alone)
        writer = _write(server.url)
        try:
            time.sleep(2)
            beside = _measure(server, paths, _SECONDS)
        finally:
            writer.terminate()
            written = int(writer.communicate(timeout=30)[0] or 0)
        beside["batches"] = written
        report("reads", "p99 at 200/s beside a writer", beside.pop("p99_ms"), "ms", _GOAL_MS, **beside)


def _fill(url: str) -> list[str]:
    """The paths that are read, in turn."""
    client = holdfast.Client(url)
    runs = [client.create_run("bench").run_id for _ in range(_RUNS)]
    for number, run in enumerate(runs[:200]):
        params = {f"p{at}": str(number + at) for at in range(10)}
        client.log_batch(run, metrics=[(f"m{at}", float(number), 0, 0) for at in range(10)], params=params)
        client.finish_run(run)
    for number in range(_MODELS):
        client.create_model(f"model-{number}")
    client.close()
    paths = []
    for number, run in enumerate(runs[:200]):
        paths += [f"/api/v1/runs/{run}", f"/api/v1/models/model-{number % _MODELS}"]
        paths += ["/api/v1/models", "/api/v1/runs?limit=25"]
    return paths


def _measure(server: Server, paths: list[str], seconds: float) -> dict[str, Any]:
    before = server.cpu_seconds()
    order = json.dumps({"url": server.url, "paths": paths, "rate": _RATE, "seconds": seconds})
    command = [sys.executable, "-m", "benchmarks.reads.load"]
    done = subprocess.run(command, input=order + "\n", stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    if answer["errors"]:
        raise SystemExit(f"reads were refused: {answer}")
    used = round((server.cpu_seconds() - before) / seconds * 1000)
    return {**{name: round(value, 2) for name, value in answer.items()}, "cpu_ms": used}


def _write(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.reads.write", url], stdout=subprocess.PIPE, text=True
    )
