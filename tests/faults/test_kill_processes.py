"""kill -9 of server, worker and inference server while everything is written: nothing acknowledged is lost."""

from __future__ import annotations

import faulthandler
import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

import holdfast
from holdfast.app.doctor import examine_folder
from holdfast.client.seen import SeenCheckpoints
from holdfast.kernel.errors import HoldfastError
from holdfast.settings import Settings
from tests.faults.system import ENDPOINT, System, make_rows, told, train_and_deploy, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
DAY_MS = 86_400_000
ENDPOINTS = (ENDPOINT, *(f"clicks{number}" for number in range(5)))
"""Several, because a killed worker's lease keeps the endpoint that it was at from the next one for 15 s."""
START_MS = 1_735_689_600_000  # 2025-01-01
KILLS = 200 if os.environ.get("HOLDFAST_FULL") else 1
"""Of each of the three processes."""
PROCESSES = ("inference", "worker", "server")
APART = 8
"""In one round of so many they are killed one by one, with recovery between; in the others all within a moment."""


class Load:
    """Predicts, labels and logs metrics until it is stopped, and remembers what was acknowledged."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._stop = threading.Event()
        self.predicted: dict[str, list[str]] = {endpoint: [] for endpoint in ENDPOINTS}
        self.labelled: dict[str, list[str]] = {endpoint: [] for endpoint in ENDPOINTS}
        self.points: list[int] = []
        self.refusal = "none"
        """The last error of a prediction, and when it came (monotonic seconds)."""
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

    def count(self) -> int:
        """How many predictions were acknowledged."""
        return sum(map(len, self.predicted.values()))

    def _predict(self) -> None:
        client, frame, batch = holdfast.Client(self._system.url), make_rows(20, 2), 0
        while not self._stop.wait(0.02):
            batch += 1
            endpoint = ENDPOINTS[batch % len(ENDPOINTS)]
            keys = [f"k{batch}-{row}" for row in range(20)]
            times = [START_MS + batch * 600_000 + row for row in range(20)]
            try:
                client.predict(endpoint, frame[["x", "y"]], keys=keys, event_times=times)
            except HoldfastError as error:
                self.refusal = f"{time.monotonic():.1f}: {error!r}"
                continue
            with self._lock:
                self.predicted[endpoint].extend(keys)

    def _label(self) -> None:
        client = holdfast.Client(self._system.url)
        while not self._stop.wait(0.1):
            for endpoint, labelled in self.labelled.items():
                with self._lock:
                    keys = self.predicted[endpoint][len(labelled) : len(labelled) + 200]
                if not keys:
                    continue
                try:
                    client.feedback(endpoint, [0] * len(keys), keys=keys)
                except HoldfastError:
                    continue
                labelled.extend(keys)

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


def predictions_table(system: System, endpoint: str) -> pl.DataFrame | None:
    """Everything in the endpoint's Delta table; None before the first compaction."""
    (endpoint_id,) = [
        one.endpoint_id for one in holdfast.Client(system.url).list_endpoints() if one.name == endpoint
    ]
    table = str(system.data / "objects" / "predictions" / endpoint_id)
    return pl.read_delta(table) if DeltaTable.is_deltatable(table) else None


def rounds(chance: random.Random) -> Iterator[tuple[str, ...]]:
    """What to kill at once, so that each process is killed KILLS times."""
    for number in range(KILLS):
        if number % APART == 0:
            yield from ((name,) for name in PROCESSES)
        else:
            yield (*chance.sample(PROCESSES[:2], 2), "server")


def test_kill_9_of_every_process_loses_and_doubles_nothing(tmp_path: Path, database: Path | str) -> None:
    chance, recoveries = random.Random(11), defaultdict[str, list[float]](list)
    address = database if isinstance(database, str) else ""
    with System(tmp_path / "data", address=address) as system:
        client = holdfast.Client(system.url, seen=SeenCheckpoints(tmp_path / "seen"))
        train_and_deploy(client, system.url)
        for endpoint in ENDPOINTS[1:]:
            client.deploy("clicks", endpoint=endpoint, clock="event")
        with Load(system) as load:
            for names in rounds(chance):
                time.sleep(chance.uniform(0.05, 0.7))  # lets writes be under way
                killed = time.monotonic()
                system.kill(*names, pause_s=chance.uniform(0, 0.15))
                answered = load.count()
                try:
                    wait_until("predictions again", lambda seen=answered: load.count() > seen, 90)
                except AssertionError as error:
                    faulthandler.dump_traceback()  # where the load's threads are
                    refused = f"the last refusal at {load.refusal}, now {time.monotonic():.1f}"
                    raise AssertionError(f"{error}; {refused}; {system.told_of_inference()}") from error
                recoveries[" and ".join(sorted(names))].append(time.monotonic() - killed)
        for endpoint in ENDPOINTS:
            wait_until("everything in the tables", lambda one=endpoint: _arrived(system, load, one), 900)
            table = predictions_table(system, endpoint)
            assert table is not None and table["prediction_id"].is_duplicated().sum() == 0
        history = client.metric_history(load.run_id, "step", points=100_000)
        assert set(load.points) <= set(history.steps)
        assert len(history.steps) == len(set(history.steps))
        for endpoint in ENDPOINTS:
            wait_until("labels folded", lambda one=endpoint: _folded(client, load, one), 900)
        assert client.verify_audit().ok
        assert system.stop() == 0
    left = examine_folder(Settings(data=tmp_path / "data", database_url=address), deep=True)
    assert {one.check: one.message for one in left.findings if one.state == "bad"} == {}
    for names, seconds in recoveries.items():
        print(f"{names}: {len(seconds)} times killed, predictions again {told(seconds)}")
    labels = sum(map(len, load.labelled.values()))
    print(f"kept: {load.count():,} predictions, {labels:,} labels, {len(load.points):,} points")


def _arrived(system: System, load: Load, endpoint: str) -> bool:
    table = predictions_table(system, endpoint)
    return table is not None and set(load.predicted[endpoint]) <= set(table["key"])


def _folded(client: holdfast.Client, load: Load, endpoint: str) -> bool:
    windows = client.monitor(endpoint, window="1w")["windows"]
    return sum(window["labelled"] for window in windows) >= len(load.labelled[endpoint])
