"""kill -9 of server, worker and inference server while everything is written: nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

import holdfast
from holdfast.client.seen import SeenCheckpoints
from holdfast.kernel.errors import HoldfastError
from tests.faults.system import ENDPOINT, System, make_rows, train_and_deploy, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
DAY_MS = 86_400_000
START_MS = 1_735_689_600_000  # 2025-01-01
KILLS = 200 if os.environ.get("HOLDFAST_FULL") else 1
"""Of each of the three processes."""


class Load:
    """Predicts, labels and logs metrics until it is stopped, and remembers what was acknowledged."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._stop = threading.Event()
        self.predicted: list[str] = []
        self.labelled: list[str] = []
        self.points: list[int] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=run) for run in (self._predict, self._label, self._track)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _predict(self) -> None:
        client, frame, batch = holdfast.Client(self._system.url), make_rows(20, 2), 0
        while not self._stop.is_set():
            batch += 1
            keys = [f"k{batch}-{row}" for row in range(20)]
            times = [START_MS + batch * 600_000 + row for row in range(20)]
            try:
                client.predict(ENDPOINT, frame[["x", "y"]], keys=keys, event_times=times)
            except HoldfastError:
                time.sleep(0.05)
                continue
            with self._lock:
                self.predicted.extend(keys)

    def _label(self) -> None:
        client, done = holdfast.Client(self._system.url), 0
        while not self._stop.wait(0.1):
            with self._lock:
                keys = self.predicted[done : done + 200]
            if not keys:
                continue
            try:
                client.feedback(ENDPOINT, [0] * len(keys), keys=keys)
            except HoldfastError:
                continue
            done += len(keys)
            self.labelled.extend(keys)

    def _track(self) -> None:
        client, step = holdfast.Client(self._system.url), 0
        run = client.create_run("load")
        self.run_id = run.run_id
        while not self._stop.wait(0.01):
            step += 1
            try:
                client.log_batch(run.run_id, metrics=[("step", float(step), step, START_MS + step)])
            except HoldfastError:
                continue
            self.points.append(step)


def predictions_table(data: Path) -> pl.DataFrame:
    """Everything in the endpoint's Delta table."""
    (table,) = (data / "objects" / "predictions").iterdir()
    return pl.read_delta(str(table))


def test_kill_9_of_every_process_loses_and_doubles_nothing(tmp_path: Path, database: Path | str) -> None:
    chance = random.Random(11)
    with System(tmp_path / "data", address=database if isinstance(database, str) else "") as system:
        client = holdfast.Client(system.url, seen=SeenCheckpoints(tmp_path / "seen"))
        train_and_deploy(client, system.url)
        with Load(system) as load:
            for number in range(3 * KILLS):
                time.sleep(chance.uniform(0.05, 0.7))  # lets writes be under way when the process is killed
                system.kill(("inference", "worker", "server")[number % 3])
                answered = len(load.predicted)
                wait_until("predictions again", lambda seen=answered: len(load.predicted) > seen, 90)
        wait_until("everything in the table", lambda: _arrived(system, load), 90)
        assert predictions_table(system.data)["prediction_id"].is_duplicated().sum() == 0
        history = client.metric_history(load.run_id, "step", points=100_000)
        assert set(load.points) <= set(history.steps)
        assert len(history.steps) == len(set(history.steps))
        wait_until("labels folded", lambda: _labelled(client) >= len(set(load.labelled)), 90)
        assert client.verify_audit().ok
        assert system.stop() == 0


def _arrived(system: System, load: Load) -> bool:
    (table,) = (system.data / "objects" / "predictions").iterdir()
    if not DeltaTable.is_deltatable(str(table)):  # the first compaction was killed
        return False
    return set(load.predicted) <= set(predictions_table(system.data)["key"])


def _labelled(client: holdfast.Client) -> int:
    return sum(window["labelled"] for window in client.monitor(ENDPOINT, window="1w")["windows"])
