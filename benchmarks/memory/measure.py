"""Server, worker and inference server under mixed load for half an hour: memory (PSS) of each, and its slope after warm-up.

The load tracks runs with artifacts, reads, opens pages, changes the registry, predicts and labels, again and again, and
leaves the machine time between. The first third of the time is warm-up. The slope is Theil and Sen's: the median over all
pairs of samples, which single jumps do not move. Its uncertainty is twice the spread of the samples about that line,
over the time measured; memory counts as flat when the slope less its uncertainty is within the goal.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import psutil

import holdfast
from benchmarks.report import report
from benchmarks.serving.models import deploy_models
from benchmarks.serving.processes import free_ports, wait_ready
from holdfast.kernel.errors import HoldfastError

__all__ = ["MINUTES", "main"]

MINUTES = 30.0
"""How long the load lasts."""
_EVERY_S = 2.0
_WARM = 1 / 3
_GOAL_MB = 10.0
_ENDPOINT = "numbers"
_MODELS = 50
_PAGES = ("/", "/models", "/experiments", "/endpoints", f"/endpoints/{_ENDPOINT}", "/audit", "/activity",
          "/api/v1/runs?limit=100", "/api/v1/models", f"/api/v1/endpoints/{_ENDPOINT}/monitor", "/metrics")  # fmt: skip
Sample = tuple[float, float]
"""(seconds, MB)"""


def main(minutes: float = MINUTES) -> None:
    """Report each process's memory at the end and its slope per hour."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_ports()
        command = [sys.executable, "-m", "holdfast.app", "server", "--data", folder, "--port", str(port)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_ready(f"http://127.0.0.1:{port}/ready")
            wait_ready(f"http://127.0.0.1:{port + 1}/v2/health/live")
            deploy_models(f"http://127.0.0.1:{port}")
            samples, done = _measure(server.pid, f"http://127.0.0.1:{port}", minutes)
        finally:
            server.terminate()
            server.wait(60)
    for name, found in samples.items():
        slope, uncertainty = _slope(found[int(len(found) * _WARM) :])
        more = {"minutes": minutes, "mb": round(found[-1][1], 1), "uncertainty": round(uncertainty, 1)}
        more |= {"flat": slope - uncertainty <= _GOAL_MB, "mb_by_tenth": _tenths(found), **done}
        report("memory", f"growth of the {name} under load", slope, "MB/h", _GOAL_MB, **more)


def _measure(pid: int, url: str, minutes: float) -> tuple[dict[str, list[Sample]], dict[str, int]]:
    stop, done = threading.Event(), {"rounds": 0, "refused": 0}
    worker = threading.Thread(target=_load, args=(url, stop, done))
    worker.start()
    samples: dict[str, list[Sample]] = {"server": [], "worker": [], "inference": []}
    began = time.monotonic()
    try:
        while (passed := time.monotonic() - began) < minutes * 60:
            for name, process in _processes(pid).items():
                samples[name].append((passed, process.memory_full_info().pss / 1e6))
            time.sleep(_EVERY_S)
    finally:
        stop.set()
        worker.join(60)
    return samples, done


def _processes(pid: int) -> dict[str, psutil.Process]:
    """The three that stay; what the worker starts for a moment is not counted."""
    found = {"server": psutil.Process(pid)}
    for child in found["server"].children():
        found |= {name: child for name in ("worker", "inference") if name in child.cmdline()}
    return found


def _load(url: str, stop: threading.Event, done: dict[str, int]) -> None:
    client, http, rng = holdfast.Client(url), httpx.Client(base_url=url), np.random.default_rng(0)
    columns = [f"feature_{at}" for at in range(30)]
    with client, http, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.bin"
        for number in itertools.count():
            if stop.wait(0.05):
                return
            done["rounds"] += 1
            file.write_bytes(rng.bytes(20_000))
            frame = pd.DataFrame(rng.normal(size=(20, len(columns))), columns=columns)
            try:
                _once(client, http, number, file, frame)
            except HoldfastError:
                done["refused"] += 1


def _once(client: holdfast.Client, http: httpx.Client, number: int, file: Path, frame: pd.DataFrame) -> None:
    run = client.create_run("load").run_id
    points: list[Any] = [("loss", 1 / (step + 1), step, 0) for step in range(100)]
    client.log_batch(run, metrics=points, params={"depth": str(number)})
    client.upload_artifact(run, "a.bin", file)
    client.finish_run(run)
    if number < _MODELS:  # a registry does not grow with its load, and pages show all of it
        client.create_model(f"model-{number}")
    keys = [f"k{number}-{row}" for row in range(len(frame))]
    client.predict(_ENDPOINT, frame, keys=keys)
    client.feedback(_ENDPOINT, [row % 2 for row in range(len(frame))], keys=keys)
    answer = http.get(_PAGES[number % len(_PAGES)])
    if answer.status_code != 200:
        raise SystemExit(f"{answer.url} answered {answer.status_code}: {answer.text[:500]}")


def _tenths(samples: list[Sample]) -> list[float]:
    """The median of each tenth of the time: caches that fill flatten, a leak does not."""
    values = np.array_split([mb for _, mb in samples], 10)
    return [round(float(np.median(part)), 1) for part in values if len(part)]


def _slope(samples: list[Sample]) -> tuple[float, float]:
    """MB per hour, and how uncertain that is."""
    at, mb = (np.array(values) for values in zip(*samples, strict=True))
    one, other = np.triu_indices(len(at), 1)
    slope = float(np.median((mb[other] - mb[one]) / (at[other] - at[one])))
    rest = mb - slope * at
    spread = 1.48 * statistics.median(np.abs(rest - np.median(rest)).tolist())
    return slope * 3600, 2 * spread / float(at[-1] - at[0]) * 3600
