"""Hot swap and kill -9 under load: no request fails in a swap, nothing acknowledged is lost or doubled in a kill."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl
import pytest

from tests.serving.plane import ENDPOINT, Plane, Replica, infer_body, wait_until


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    running = Plane(tmp_path_factory.mktemp("plane"))
    for seed in (0, 1):
        running.add_version(seed)
    yield running
    running.close()


class Load:
    """Threads that predict on kept connections; what was answered, and what was not."""

    def __init__(self, replica: Replica, threads: int = 4) -> None:
        self._replica = replica
        self._stop = threading.Event()
        self.answered: list[tuple[str, str]] = []
        self.failed: list[str] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection = self._replica.connect()
        headers = {"content-type": "application/json"}
        while not self._stop.is_set():
            try:
                connection.request("POST", f"/v2/models/{ENDPOINT}/infer", infer_body(), headers)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                self._stop.wait(0.02)
                continue
            if answer.status != 200:
                self.failed.append(body.decode())
                continue
            decoded = msgspec.json.decode(body)
            self.answered.append((decoded["parameters"]["prediction_id"], decoded["model_version"]))
        connection.close()


def test_no_request_fails_while_versions_are_swapped(plane: Plane, tmp_path: Path) -> None:
    plane.deploy(1)
    with Replica(plane, tmp_path / "replica") as replica:
        replica.wait_live(1)
        with Load(replica) as load:
            for version in (2, 1, 2):
                count = len(load.answered)
                plane.deploy(version)
                replica.wait_live(version)
                wait_until("the endpoint live", lambda: plane.status() == "live")
                wait_until("answers after the swap", lambda count=count: len(load.answered) > count + 50)
        assert load.failed == []
        assert {version for _, version in load.answered} == {"1", "2"}


def test_a_version_that_does_not_load_leaves_the_old_one_serving(plane: Plane, tmp_path: Path) -> None:
    plane.deploy(1)
    with Replica(plane, tmp_path / "replica") as replica:
        replica.wait_live(1)
        plane.deploy(3, clock="event") if _add_broken(plane) else None
        wait_until("the failure reported", lambda: plane.status() == "failed")
        status, _, body = replica.infer(infer_body())
        assert (status, body["model_version"]) == (200, "1")
    with Replica(plane, tmp_path / "fresh") as replica:
        wait_until("the reason", lambda: "does not load" in str(replica.get(f"/v2/models/{ENDPOINT}")[1]))
        status, _, body = replica.infer(infer_body())
        assert (status, body["code"]) == (503, "unavailable")
        assert "does not load" in body["error"]
    plane.deploy(1)


def _add_broken(plane: Plane) -> bool:
    """A version whose deployable is whole and verified, but whose ONNX file is no model."""
    from holdfast.registry.records import Preparation

    services, caller = plane.services, plane.caller
    good = services.registry.get_version(caller, "flights", 1)
    files = {file.path: file for file in services.registry.list_files(caller, "flights", 1).items}
    logged = services.models.create_model(caller, name="flights", run_id=None)
    for path, file in files.items():
        if path not in ("model.onnx", "holdfast-deployable.json"):
            services.models.put_file(caller, logged.model_id, path, iter([services.objects.get(file.sha256)]))
    services.models.finalize_model(caller, logged.model_id)
    version = services.registry.register_version(caller, "flights", logged.model_id)
    broken = services.objects.put(b"this is no ONNX model")
    described = files["holdfast-deployable.json"]
    outcome = Preparation(
        "ready",
        "onnx",
        good.parity,
        "",
        {
            "model.onnx": (broken.sha256, broken.size),
            "holdfast-deployable.json": (described.sha256, described.size),
        },
        {},
    )
    services.registry.preparations.record(caller, "flights", version.version, outcome)
    return version.version == 3


@pytest.mark.faults
def test_killed_under_load_nothing_acknowledged_is_lost_or_doubled(plane: Plane, tmp_path: Path) -> None:
    plane.deploy(1)
    replica = Replica(plane, tmp_path / "replica").start()
    replica.wait_live(1)
    with Load(replica) as load:
        for _ in range(5):
            count = len(load.answered)
            wait_until("some answers", lambda count=count: len(load.answered) > count + 200)
            replica.kill()
            replica.start()
            replica.wait_live(1)
    assert replica.stop() == 0
    assert replica.process is not None
    assert replica.process.stdin is not None
    replica.process.stdin.close()
    assert list((tmp_path / "replica" / "spool").glob("*/*/*")) == []
    plane.compact()
    rows = pl.read_delta(str(plane.tables()[0]))["prediction_id"]
    assert rows.n_unique() == len(rows)
    answered = {prediction_id for prediction_id, _ in load.answered}
    assert len(answered) > 1000
    assert answered <= set(rows)
