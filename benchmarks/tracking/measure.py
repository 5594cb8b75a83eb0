"""Measure everything and report one line a figure: ours, MLflow's better setting, and the ratio of both."""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import report
from benchmarks.tracking.fill import fill
from benchmarks.tracking.servers import PEER, Server, mlflow, ours
from holdfast.testing.postgres import PostgresServer

__all__ = ["log_million", "main"]

_FOLDER = Path(__file__).parent
_PARTS = ("ingest", "client", "search", "chart", "memory")
_WORKERS = {"1 worker": 1, "default workers": None}
_RUNS = {10_000: 10.0, 100_000: 30.0, 1_000_000: 150.0}
"""How many runs are searched, and the most ms that a page may take."""
_CLIENT = {"batches": (100, 3.0), "metrics": (1000, 10.0), "runs": (200, None)}
"""Of the stock client's work by the second: its size, and how many times faster than MLflow's server it is to be."""
_SECONDS = {"history": (100_000, 10.0), "small_files": (500, 3.0), "large_file": (200, None)}
"""The same of work by its seconds."""
_QUERIES = {
    "filter and order": ("metrics.m0 < 0.5 and params.p1 = '17'", ["metrics.m1 ASC"]),
    "many found": ("metrics.m0 < 0.9", ["metrics.m1 DESC"]),
    "rare name": ("metrics.x77 < 0.9", ["metrics.x77 ASC"]),
    "nothing found": ("metrics.m0 > 5 and tags.team = 'red'", ["metrics.m1 ASC"]),
    "a run's name": ("attributes.run_name LIKE '%-777%'", ["attributes.start_time DESC"]),
}


def main() -> None:
    """All parts, or those that HOLDFAST_BENCH_TRACKING names."""
    if not PEER.exists():
        print("The peer is missing. Make it with: sh tools/judges.sh mlflow-server", file=sys.stderr)
        raise SystemExit(1)
    parts = os.environ.get("HOLDFAST_BENCH_TRACKING", ",".join(_PARTS)).split(",")
    measures = {"ingest": _ingest, "client": _client, "search": _search, "chart": _chart, "memory": _memory}
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name:
            measures[part](Path(name))


def _ingest(folder: Path) -> None:
    """Points a second of plain HTTP: 1,000 a batch, 10 or 1,000 metrics, 1 and 8 connections."""
    for keys, goal in ((10, 100.0), (1000, 40.0)):
        for connections in (1, 8):
            what = f"log-batch of {keys:,} metrics, {connections} connections"
            with ours(folder / f"ours-{keys}-{connections}") as server:
                mine = _load(server, keys, connections, 400 if connections == 1 else 100)
            theirs = {}
            for name, workers in _WORKERS.items():
                with mlflow(folder / f"mlflow-{keys}-{connections}-{workers}", workers=workers) as server:
                    theirs[name] = _load(server, keys, connections, 20 if connections == 1 else 5)
            _faster(what, mine, theirs, "points/s", goal)
    postgres = PostgresServer()
    try:
        postgres.start()
        with ours(folder / "ours-postgresql", database=postgres.create_database("tracking")) as server:
            for connections in (1, 8):
                found = _load(server, 10, connections, 200 if connections == 1 else 50)
                what = f"log-batch of 10 metrics, {connections} connections, PostgreSQL"
                report("tracking", what, found, "points/s")
    finally:
        postgres.close()


def _load(server: Server, keys: int, connections: int, count: int) -> float:
    command = [
        sys.executable,
        "-m",
        "benchmarks.tracking.load",
        server.url,
        str(keys),
        str(connections),
        str(count),
    ]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _client(folder: Path) -> None:
    """The stock client against both servers."""
    for what, (size, goal) in {**_CLIENT, **_SECONDS}.items():
        is_rate = what in _CLIENT
        with ours(folder / f"ours-{what}") as server:
            mine = _stock(server, what, size)
        theirs = {}
        for name, workers in _WORKERS.items():
            with mlflow(folder / f"mlflow-{what}-{workers}", workers=workers) as server:
                theirs[name] = _stock(server, what, size)
        if is_rate:
            _faster(f"stock client, {what}", mine, theirs, "1/s", goal)
        else:
            _shorter(f"stock client, {what}", mine, theirs, goal)


def _stock(server: Server, what: str, size: int) -> float:
    command = [str(PEER / "python"), str(_FOLDER / "stock.py"), server.url, what, str(size)]
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TQDM_DISABLE": "1",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **quiet})
    return float(done.stdout.split()[-1])


def _search(folder: Path) -> None:
    """A filter, an order and a page of 100 of many runs, in ms until the whole answer is read."""
    for count, goal in _RUNS.items():
        if count > int(os.environ.get("HOLDFAST_BENCH_RUNS", "1000000")):
            continue
        data = folder / f"ours-{count}"
        experiment = fill(data, count)
        with ours(data) as server:
            for what, (text, order) in _QUERIES.items():
                body = {"experiment_ids": [experiment], "filter": text, "order_by": order, "max_results": 100}
                first, *taken = _timed(lambda body=body: _post(server, "runs/search", body), 8)  # type: ignore[misc]
                name = f"search of {count:,} runs, {what}"
                report("tracking", name, statistics.median(taken), "ms", goal, first_ms=round(first, 1))
            if count == 10_000:
                _compare_search(folder, server)


def _compare_search(folder: Path, server: Server) -> None:
    mine = _stock(server, "search", 5) * 1000
    theirs = {}
    for name, workers in _WORKERS.items():
        place = folder / f"mlflow-search-{workers}"
        with mlflow(place, workers=workers):
            pass
        command = [str(PEER / "python"), str(_FOLDER / "peer_fill.py"), str(place / "mlflow.db"), "10000"]
        subprocess.run(command, check=True)
        with mlflow(place, workers=workers) as peer:
            theirs[name] = _stock(peer, "search", 5) * 1000
    _shorter(
        "stock client, search of 10,000 runs", mine / 1000, {k: v / 1000 for k, v in theirs.items()}, None
    )


def _chart(folder: Path) -> None:
    """A chart of one metric of 1,000,000 points, compacted; and what a point takes on the disk."""
    data = folder / "ours"
    with ours(data, worker=True) as server:
        run = log_million(server, data)
        address = f"{server.url}/api/v1/runs/{run}/metrics/loss?points=2000"
        taken = _timed(lambda: urllib.request.urlopen(address).read(), 8)
    report(
        "tracking",
        "chart of 1,000,000 points",
        statistics.median(taken[1:]),
        "ms",
        25,
        first_ms=round(taken[0], 1),
    )


def log_million(server: Server, data: Path) -> str:
    """A run with a metric `loss` of 1,000,000 points, compacted; gives its id. The server has a worker."""
    run: str = _post(server, "runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    for first in range(0, 1_000_000, 1000):
        points = [
            {
                "key": "loss",
                "value": 1 / (1 + step),
                "timestamp": 1_760_000_000_000 + step * 130,
                "step": step,
            }
            for step in range(first, first + 1000)
        ]
        _post(server, "runs/log-batch", {"run_id": run, "metrics": points})
    _wait_compacted(data)
    return run


def _memory(folder: Path) -> None:
    """The server's memory, and bytes a point, with 100,000 runs after 10,000,000 points."""
    data = folder / "ours"
    fill(data, 100_000)
    before = _size(data)
    with ours(data) as server:
        for _ in range(10):
            _load(server, 10, 4, 250)
        _post(
            server, "runs/search", {"experiment_ids": ["1"], "filter": "metrics.m0 < 0.5", "max_results": 100}
        )
        report("tracking", "server memory, 100,000 runs and 10,000,000 points", server.memory_mb(), "MB", 300)
    report("tracking", "bytes a point, hot", (_size(data) - before) / 1e7, "bytes", 7)
    with ours(data, worker=True):
        _wait_compacted(data)
    report("tracking", "bytes a point, compacted", (_size(data) - before) / 1e7, "bytes", 5)


def _size(data: Path) -> int:
    """The used pages of the database, in bytes; its server is down."""
    with sqlite3.connect(data / "holdfast.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def _wait_compacted(data: Path) -> None:
    until = time.monotonic() + 600
    with sqlite3.connect(data / "holdfast.db") as connection:
        while connection.execute("SELECT count(*) FROM metric_loose WHERE batches > 1").fetchone()[0]:
            if time.monotonic() > until:
                raise SystemExit("nothing was compacted in 10 minutes")
            time.sleep(1)


def _post(server: Server, path: str, body: dict[str, object]) -> dict[str, dict[str, dict[str, str]]]:
    request = urllib.request.Request(
        f"{server.url}/api/2.0/mlflow/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=600) as answer:
        found: dict[str, dict[str, dict[str, str]]] = json.load(answer)
    return found


def _timed(work: Callable[[], object], times: int) -> list[float]:
    """The ms of each."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    return taken


def _faster(what: str, mine: float, theirs: dict[str, float], unit: str, goal: float | None) -> None:
    """Work by the second; `goal`: how many times as much as the peer's better setting."""
    peer = max(theirs.values())
    report("tracking", f"{what}, holdfast", mine, unit)
    report(
        "tracking", f"{what}, MLflow", peer, unit, **{name: round(value, 1) for name, value in theirs.items()}
    )
    _ratio(what, mine / peer, goal)


def _shorter(what: str, mine: float, theirs: dict[str, float], goal: float | None) -> None:
    """Work by its seconds; `goal`: how many times shorter than the peer's better setting."""
    peer = min(theirs.values())
    report("tracking", f"{what}, holdfast", mine, "s")
    report(
        "tracking", f"{what}, MLflow", peer, "s", **{name: round(value, 3) for name, value in theirs.items()}
    )
    _ratio(what, peer / mine, goal)


def _ratio(what: str, times: float, goal: float | None) -> None:
    more = {} if goal is None else {"goal_at_least": goal, "reached": times >= goal}
    report("tracking", f"{what}, times faster", times, "ratio", **more)
