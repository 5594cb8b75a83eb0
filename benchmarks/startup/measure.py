"""Import, version, readiness, memory at rest, installed sizes."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from benchmarks.report import report
from benchmarks.serving.processes import free_ports

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[2]
_REPEATS = 9
# As on a user's machine, where Python keeps what it has compiled.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def main() -> None:
    """Measure everything; medians of nine runs."""
    interpreter = _median([sys.executable, "-c", "pass"])
    report(
        "startup",
        "import holdfast",
        _median([sys.executable, "-c", "import holdfast"]) - interpreter,
        "s",
        0.05,
    )
    report(
        "startup",
        "holdfast --version",
        _median([str(Path(sys.executable).with_name("holdfast")), "--version"]),
        "s",
        0.15,
    )
    with tempfile.TemporaryDirectory() as folder:
        _processes(Path(folder) / "data")
    with tempfile.TemporaryDirectory() as folder:
        _sizes(Path(folder))


def _median(command: list[str]) -> float:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_ENVIRONMENT)
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_ENVIRONMENT)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _processes(data: Path) -> None:
    _start_and_stop(data, 30)
    ready, everything, memory = [], [], []
    for _ in range(3):
        first, last, pss = _start_and_stop(data, 8)
        ready.append(first)
        everything.append(last)
        memory.append(pss)
    report("startup", "/ready on an existing folder", statistics.median(ready), "s", 1.5)
    report("startup", "all three processes ready", statistics.median(everything), "s", 4.0)
    report("startup", "memory at rest, three processes (PSS)", statistics.median(memory), "MB", 350)


def _start_and_stop(data: Path, rest_s: float) -> tuple[float, float, float]:
    port = free_ports()
    command = [sys.executable, "-m", "holdfast.app", "server", "--data", str(data), "--port", str(port)]
    started = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=_ENVIRONMENT)
    try:
        _wait(f"http://127.0.0.1:{port}/ready")
        ready = time.perf_counter() - started
        _wait(f"http://127.0.0.1:{port + 1}/v2/health/live")
        everything = time.perf_counter() - started
        time.sleep(rest_s)
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        pss = sum(process.memory_full_info().pss for process in processes) / 1e6
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    return ready, everything, pss


def _wait(url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def _sizes(folder: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wheel = next(folder.glob("*.whl"))
    for name, what, goal in (
        ("client", f"{wheel}", 30),
        ("server", f"holdfast[server] @ file://{wheel}", 1000),
    ):
        venv = folder / name
        subprocess.run([uv, "venv", "-q", str(venv), "--python", sys.executable], check=True)
        python = str(venv / "bin" / "python")
        subprocess.run(
            [
                uv,
                "pip",
                "install",
                "-q",
                "--python",
                python,
                "--constraint",
                str(ROOT / "constraints.txt"),
                what,
            ],
            check=True,
        )
        size = sum(path.lstat().st_size for path in (venv / "lib").rglob("*") if path.is_file()) / 1e6
        report("startup", f"installed size, {name}", size, "MB", goal)
