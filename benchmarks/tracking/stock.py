"""What the stock MLflow client takes for a user's work: `python stock.py URL WHAT SIZE`, in the client's environment.

Prints one number: of `metrics`, `batches` and `runs` how many a second; of the others the seconds.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

from mlflow.entities import Metric
from mlflow.tracking import MlflowClient


def _points(first: int, count: int) -> list[Metric]:
    return [
        Metric(f"m{step % 10}", random.random(), 1_760_000_000_000 + step, step)
        for step in range(first, first + count)
    ]


def metrics(client: MlflowClient, size: int) -> float:
    """`log_metric` calls a second, one after the other."""
    run = client.create_run("0").info.run_id
    started = time.perf_counter()
    for step in range(size):
        client.log_metric(run, "loss", 1 / (step + 1), step=step)
    return size / (time.perf_counter() - started)


def batches(client: MlflowClient, size: int) -> float:
    """Points a second, logged as batches of 1,000."""
    run = client.create_run("0").info.run_id
    made = [_points(number * 1000, 1000) for number in range(size)]
    started = time.perf_counter()
    for batch in made:
        client.log_batch(run, metrics=batch)
    return size * 1000 / (time.perf_counter() - started)


def runs(client: MlflowClient, size: int) -> float:
    """Runs a second that are created and finished."""
    started = time.perf_counter()
    for _ in range(size):
        client.set_terminated(client.create_run("0").info.run_id)
    return size / (time.perf_counter() - started)


def history(client: MlflowClient, size: int) -> float:
    """Reading the history of one metric of so many points."""
    run = client.create_run("0").info.run_id
    for first in range(0, size, 1000):
        points = [
            Metric("loss", random.random(), 1_760_000_000_000 + step, step)
            for step in range(first, first + 1000)
        ]
        client.log_batch(run, metrics=points)
    started = time.perf_counter()
    found = client.get_metric_history(run, "loss")
    taken = time.perf_counter() - started
    assert len(found) == size, len(found)
    return taken


def small_files(client: MlflowClient, size: int) -> float:
    """Uploading a folder of so many files of 10 KB."""
    with tempfile.TemporaryDirectory() as name:
        for number in range(size):
            (Path(name) / f"{number}.bin").write_bytes(random.randbytes(10_000))
        run = client.create_run("0").info.run_id
        started = time.perf_counter()
        client.log_artifacts(run, name, "many")
        return time.perf_counter() - started


def large_file(client: MlflowClient, size: int) -> float:
    """Uploading a file of so many MB (10^6 bytes), and reading it back."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "large.bin"
        source.write_bytes(random.randbytes(size * 1_000_000))
        run = client.create_run("0").info.run_id
        started = time.perf_counter()
        client.log_artifact(run, str(source))
        back = Path(client.download_artifacts(run, "large.bin", str(Path(name))))
        taken = time.perf_counter() - started
        assert back.stat().st_size == size * 1_000_000
        return taken


def search(client: MlflowClient, size: int) -> float:
    """Filter, order and a page of 100, the median of so many."""
    experiment = client.get_experiment_by_name("speed").experiment_id
    client.search_runs(
        [experiment], "metrics.m0 < 0.5 and params.p1 = '17'", max_results=100, order_by=["metrics.m1 ASC"]
    )
    taken = []
    for _ in range(size):
        started = time.perf_counter()
        client.search_runs([experiment], "metrics.m0 < 0.5", max_results=100, order_by=["metrics.m1 ASC"])
        taken.append(time.perf_counter() - started)
    return sorted(taken)[size // 2]


if __name__ == "__main__":
    work = {one.__name__: one for one in (metrics, batches, runs, history, small_files, large_file, search)}
    print(work[sys.argv[2]](MlflowClient(sys.argv[1]), int(sys.argv[3])))
