"""Measure each client's calls against its own server on this machine, and give the ratios."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import report
from benchmarks.tracking.servers import PEER, mlflow, ours

__all__ = ["main"]

_CALLS = Path(__file__).with_name("calls.py")
_TRACKIO = PEER.parents[1] / ".venv-trackio" / "bin" / "python"
_GOALS = {"metric": 2.0, "dict": 5.0}
"""The most microseconds that a call may take."""
_NAMES = {"metric": "log_metric", "dict": "log_metrics of 20"}
_COUNTS = {"holdfast": 2_000, "mlflow": 5, "mlflow-async": 20, "trackio": 50}
"""Calls in each of 50 stretches."""


def main() -> None:
    """Every call of every client that is installed; MLflow's has to be."""
    if not PEER.exists():
        print("The peer is missing. Make it with: sh tools/judges.sh mlflow-server", file=sys.stderr)
        raise SystemExit(1)
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name:
        folder = Path(name)
        for call, goal in _GOALS.items():
            mine, _ = _measure(sys.executable, "holdfast", "", call, folder)
            report("client", f"{_NAMES[call]}, offline", mine, "us", goal)
            with ours(folder / f"ours-{call}") as server:
                online, arrived = _measure(sys.executable, "holdfast", server.url, call, folder)
            report(
                "client",
                f"{_NAMES[call]}, while a thread ships",
                online,
                "us",
                all_arrived_s=round(arrived, 3),
            )
            with mlflow(folder / f"mlflow-{call}") as server:
                for client in ("mlflow", "mlflow-async"):
                    _compare(
                        call,
                        client,
                        *_measure(str(PEER / "python"), client, server.url, call, folder),
                        online,
                    )
            if _TRACKIO.exists():
                _compare(call, "trackio", *_measure(str(_TRACKIO), "trackio", "", call, folder), online)


def _compare(call: str, client: str, taken: float, arrived: float, ours_us: float) -> None:
    report("client", f"{_NAMES[call]}, {client}", taken, "us", all_arrived_s=round(arrived, 3))
    report("client", f"{_NAMES[call]}, {client} to ours", taken / ours_us, "ratio")


def _measure(python: str, client: str, url: str, call: str, folder: Path) -> tuple[float, float]:
    """Microseconds a call, and seconds until everything has arrived."""
    environment = {
        **os.environ,
        "HOLDFAST_JOURNAL": str(folder / "journal"),
        "TRACKIO_DIR": str(folder / "trackio"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "HF_HUB_OFFLINE": "1",
    }
    command = [python, str(_CALLS), client, url, call, str(_COUNTS[client])]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("result "))
    taken, arrived = line.split()[1:]
    return float(taken), float(arrived)
