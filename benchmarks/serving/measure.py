"""One-row V2 requests at 1, 8 and 64 connections: the inference server as users run it, and the echo beside it.

The load generator, the inference server and the echo are processes of their own; rounds alternate between the two
servers and medians are reported. `cpu_us` is the server's own CPU time per request, which a busy machine distorts less
than requests per second.
"""

from __future__ import annotations

import json
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import psutil
from sklearn.ensemble import GradientBoostingClassifier

import holdfast
from benchmarks.report import report

__all__ = ["main"]

_ENDPOINT = "bench"
_CONNECTIONS = (1, 8, 64)
_FEATURES = 12
_ROUNDS = 5
_SECONDS = 2.0
_FIGURES = ("per_second", "p50_us", "p99_us", "cpu_us")
_FIGURES = ("per_second", "p50_us", "p99_us", "cpu_us")


def main() -> None:
    """Deploy a gradient boosting of twelve numbers and measure."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with _server(data) as url:
            _deploy(url)
        with _server(data, "--no-worker") as url:  # compaction belongs to other cores than these two
            host, port = url.rsplit(":", 1)
            model = f"{host}:{int(port) + 1}/v2/models/{_ENDPOINT}"
            _wait_ready(f"{model}/ready")
            _measure(f"{model}/infer", Path(folder))


def _deploy(url: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        rng.normal(size=(3000, _FEATURES)), columns=[f"feature_{at}" for at in range(_FEATURES)]
    )
    frame["target"] = (frame.sum(axis=1) > 0).astype(int)
    inputs = frame.drop(columns="target")
    model = GradientBoostingClassifier(n_estimators=100).fit(inputs, frame["target"])
    holdfast.init(url, experiment="bench")
    with holdfast.start_run():
        holdfast.log_model(model, name="bench", reference=frame, target="target", register="bench")
    client = holdfast.Client(url)
    client.deploy("bench", endpoint=_ENDPOINT)
    client.wait_until_live(_ENDPOINT)


def _measure(target: str, folder: Path) -> None:
    inputs = [
        {"name": f"feature_{at}", "shape": [1], "datatype": "FP64", "data": [at / 7 - 0.5]}
        for at in range(_FEATURES)
    ]
    body = json.dumps({"inputs": inputs}).encode()
    request = urllib.request.Request(target, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        example = answer.read()
    (folder / "body.json").write_bytes(body)
    (folder / "answer.json").write_bytes(example)
    with _echo(folder / "answer.json") as echo:
        for connections in _CONNECTIONS:
            _compare(target, echo, folder / "body.json", connections)


def _compare(target: str, echo: str, body: Path, connections: int) -> None:
    results: dict[str, list[dict[str, Any]]] = {"inference": [], "echo": []}
    for _ in range(_ROUNDS):
        for name, url in (("inference", target), ("echo", echo)):
            results[name].append(_load(url, body, connections))
    for name, found in results.items():
        median = {key: round(statistics.median(one[key] for one in found), 1) for key in _FIGURES}
        what = f"{name}, {connections} connections"
        report("serving", what, median.pop("per_second"), "requests/s", **median)
    for figure, sign in (("per_second", 1), ("cpu_us", -1)):
        pairs = zip(results["inference"], results["echo"], strict=True)
        ratio = statistics.median((one[figure] / other[figure]) ** sign for one, other in pairs)
        report("serving", f"inference / echo by {figure}, {connections} connections", ratio, "ratio")


def _load(url: str, body: Path, connections: int) -> dict[str, Any]:
    """One round against the server that listens at `url`."""
    server = _listener(urlsplit(url).port)
    before = server.cpu_times()
    command = [
        sys.executable,
        "-m",
        "benchmarks.serving.load",
        url,
        str(body),
        str(connections),
        str(_SECONDS),
    ]
    done = subprocess.run(command, check=True, capture_output=True)
    after = server.cpu_times()
    result: dict[str, Any] = json.loads(done.stdout)
    if result["errors"]:
        raise RuntimeError(f"{result['errors']} requests to {url} failed")
    used = after.user + after.system - before.user - before.system
    return {**result, "cpu_us": used / result["requests"] * 1e6}


def _listener(port: int | None) -> psutil.Process:
    for process in psutil.Process().children(recursive=True):
        if any(
            c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in process.net_connections("tcp")
        ):
            return process
    raise RuntimeError(f"no process of ours listens on {port}")


@contextmanager
def _server(data: Path, *options: str) -> Iterator[str]:
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "holdfast.app",
        "server",
        "--data",
        str(data),
        "--port",
        str(port),
        *options,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait(port)
        _wait(port + 1)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


@contextmanager
def _echo(answer: Path) -> Iterator[str]:
    port = _free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.serving.echo", str(port), str(answer)])
    try:
        _wait(port)
        yield f"http://127.0.0.1:{port}/v2/models/{_ENDPOINT}/infer"
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def _wait_ready(url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url).close()
            return
        except urllib.error.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _free_port() -> int:
    """A port whose successor is free too."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
