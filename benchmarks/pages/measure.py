"""From the click to the page that can be used: headless Chromium, 1440 x 900, a profile that has seen a page before.

Ready is: of a table the first row is there, of a chart its live drawing. MLflow's page of as many runs is ready with its
first row; its server is started with 1 worker, and its page stays open as ours does.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.report import report
from benchmarks.tracking.fill import fill
from benchmarks.tracking.measure import log_million
from benchmarks.tracking.servers import PEER, mlflow, ours

__all__ = ["main"]

_ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
_RUNS = {10_000: 400.0, 100_000: 600.0}
"""How many runs the table has, and the most ms until it is ready."""
_TIMES = 7
_FILLED = Path(__file__).parents[1] / "tracking" / "peer_fill.py"


def main() -> None:
    """Every page, ours and the peer's."""
    path = os.environ.get("HOLDFAST_CHROMIUM") or shutil.which("chromium")
    if path is None:
        print("There is no Chromium: apt-get install chromium", file=sys.stderr)
        raise SystemExit(1)
    with (
        sync_playwright() as playwright,
        tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        _tables(page, Path(name))
        _chart(page, Path(name))
        browser.close()


def _tables(page: Page, folder: Path) -> None:
    for count, goal in _RUNS.items():
        data = folder / f"ours-{count}"
        experiment = fill(data, count)
        with ours(data) as server:
            address = f"{server.url}/experiments/{experiment}"
            taken = _opened(page, address, lambda: page.locator("#runs tbody a.open").first.wait_for())
        mine = statistics.median(taken[1:])
        report("pages", f"table of {count:,} runs", mine, "ms", goal, first_ms=round(taken[0]))
        if count == 10_000 and PEER.exists():
            theirs = _peer(page, folder, count)
            report("pages", f"table of {count:,} runs, MLflow", theirs, "ms")
            report("pages", f"table of {count:,} runs, times faster", theirs / mine, "ratio")


def _peer(page: Page, folder: Path, count: int) -> float:
    place = folder / "mlflow"
    with mlflow(place, workers=1):
        pass
    subprocess.run([str(PEER / "python"), str(_FILLED), str(place / "mlflow.db"), str(count)], check=True)
    with mlflow(place, workers=1) as server:
        address = f"{server.url}/#/experiments/1/runs"
        row = page.locator("a[href*='/runs/']").first
        return statistics.median(_opened(page, address, lambda: row.wait_for(timeout=120_000))[1:])


def _chart(page: Page, folder: Path) -> None:
    data = folder / "chart"
    with ours(data, worker=True) as server:
        address = f"{server.url}/runs/{log_million(server, data)}"
        taken = _opened(page, address, lambda: page.locator("#chart-metric-loss[data-ready]").wait_for())
    report(
        "pages",
        "chart of 1,000,000 points",
        statistics.median(taken[1:]),
        "ms",
        400,
        first_ms=round(taken[0]),
    )


def _opened(page: Page, address: str, is_ready: Callable[[], None]) -> list[float]:
    """The ms until the page was ready, of each opening."""
    taken = []
    for _ in range(_TIMES):
        page.goto("about:blank")
        started = time.perf_counter()
        page.goto(address, wait_until="commit")
        is_ready()
        taken.append((time.perf_counter() - started) * 1000)
    return taken
