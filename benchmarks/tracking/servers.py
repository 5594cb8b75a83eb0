"""The servers that are compared, each on a fresh folder: ours on SQLite or PostgreSQL, MLflow's with 1 or its default of
workers. SQLite commits with `synchronous=FULL` on both sides: it is SQLite's default, which MLflow leaves.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

__all__ = ["PEER", "Server", "mlflow", "ours"]

PEER = Path(__file__).resolve().parents[2] / ".venv-mlflow-server" / "bin"


class Server:
    """A server that listens at `url`."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._process = psutil.Process(pid)

    def memory_mb(self) -> float:
        """The resident memory of it and its children, in MB (10^6 bytes)."""
        every = [self._process, *self._process.children(recursive=True)]
        return sum(one.memory_info().rss for one in every) / 1e6


@contextmanager
def ours(data: Path, *, database: str = "", worker: bool = False) -> Iterator[Server]:
    """holdfast's server, without the inference server."""
    port = _free_port()
    command = [sys.executable, "-m", "holdfast", "server", "--port", str(port), "--data", str(data)]
    command += ["--no-inference", *([] if worker else ["--no-worker"])]
    command += ["--database", database] if database else []
    with _running(command, port, "/ready", {}) as server:
        yield server


@contextmanager
def mlflow(folder: Path, *, workers: int | None = None) -> Iterator[Server]:
    """MLflow's server on SQLite; `workers`: processes, its own default without it."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    command = [str(PEER / "mlflow"), "server", "--port", str(port), "--host", "127.0.0.1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    command += ["--workers", str(workers)] if workers else []
    path = os.pathsep.join([str(PEER), os.environ.get("PATH", "")])
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "PATH": path}
    with _running(command, port, "/health", quiet) as server:
        yield server


@contextmanager
def _running(command: list[str], port: int, ready: str, environment: dict[str, str]) -> Iterator[Server]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_ready(url + ready, process)
        yield Server(url, process.pid)
    finally:
        every = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait(timeout=60)
        for child in psutil.wait_procs(every, timeout=10)[1]:
            child.kill()


def _wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"{url} did not answer in 120 s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
