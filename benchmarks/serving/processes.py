"""The processes that are measured: each ends with its context."""

from __future__ import annotations

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

__all__ = ["Server", "control_plane", "echo", "free_ports", "inference", "load", "unlogged", "wait_ready"]


class Server:
    """A process that listens at `url`."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._process = psutil.Process(pid)

    def cpu_seconds(self) -> float:
        """The CPU time that it and all its threads have used."""
        used = self._process.cpu_times()
        return float(used.user + used.system)


@contextmanager
def control_plane(data: Path) -> Iterator[Server]:
    """The control plane and its worker, without an inference server."""
    port = _free_port()
    with _run(port, "holdfast.app", "server", "--data", data, "--port", port, "--no-inference") as server:
        yield server


@contextmanager
def inference(control: Server, data: Path) -> Iterator[Server]:
    """The inference server as users run it."""
    port = _free_port()
    command = ("inference", "--server", control.url, "--data", data, "--port", port)
    with _run(port, "holdfast.app", *command) as server:
        yield server


@contextmanager
def unlogged(control: Server, data: Path) -> Iterator[Server]:
    """The same without its prediction log."""
    port = _free_port()
    with _run(port, "benchmarks.serving.unlogged", control.url, data, port) as server:
        yield server


@contextmanager
def echo(answers: Path) -> Iterator[Server]:
    """The floor (see `echo`)."""
    port = _free_port()
    with _run(port, "benchmarks.serving.echo", port, answers) as server:
        yield server


@contextmanager
def load() -> Iterator[subprocess.Popen[str]]:
    """The load generator (see `load`): takes orders and answers them by line."""
    command = [sys.executable, "-m", "benchmarks.serving.load"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.communicate(timeout=20)


@contextmanager
def _run(port: int, module: str, *arguments: object) -> Iterator[Server]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait(port, process)
        yield Server(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait(40)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when something listens at the port."""
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        except OSError:
            if time.monotonic() > until or process.poll() is not None:
                raise
            time.sleep(0.02)


def wait_ready(url: str) -> None:
    """Return when a GET of `url` is answered with 200."""
    until = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url).close()
            return
        except urllib.error.URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def free_ports() -> int:
    """A port whose successor is free too."""
    while True:
        port = _free_port()
        with socket.socket() as other:
            try:
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
