"""Taking over from MLflow: stores that its own client filled, read as folder, database and server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.testing.postgres import PostgresServer
from tests.faults.system import System

from .test_mlflow_clients import HERE, ROOT, run_script

KINDS = {
    "experiments": 4, "runs": 8, "params": 18, "data sets": 6, "artifacts": 12, "logged models": 1,
    "registered models": 1, "versions": 3, "aliases": 2, "metric points": 6 * (900 + 4 + 1),
}  # fmt: skip


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A server on a fresh folder, alone."""
    with System(tmp_path / "data", options=("--no-worker", "--no-inference")) as system:
        yield system.url


def fill(group: str, uri: str, home: Path, *more: str) -> list[str]:
    """The ids of the runs of a new store."""
    python = ROOT / f".venv-{group}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"MLflow is not installed: sh tools/judges.sh {group}")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_PYTHON_REFRESH": "quiet"}
    environment["MLFLOW_DISABLE_TELEMETRY"] = "true"
    command = [str(python), str(HERE / "mlflow_store.py"), uri, *more]
    done = subprocess.run(
        command, env=environment, cwd=home, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr[-4000:]
    runs: list[str] = json.loads(done.stdout.splitlines()[-1])
    return runs


def command(url: str, source: str, *more: str) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, "-m", "holdfast", "import", "mlflow", source, *more], {
        **os.environ,
        "HOLDFAST_URL": url,
    }


def take_over(url: str, source: str, *more: str, code: int = 0) -> Any:
    """What the command printed, as JSON."""
    asked, environment = command(url, source, "--json", *more)
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout)


def is_whole(report: Any) -> bool:
    """Whether everything is here, and the same."""
    found = {one["kind"]: one["here"] for one in report["kinds"]}
    assert report["problems"] == []
    assert {kind: found[kind] for kind in KINDS} == KINDS
    assert found["model files"] >= 4 and found["tags"] >= 18
    return bool(report["is_equal"])


def look(url: str, runs: list[str]) -> None:
    """What people see of it."""
    with holdfast.Client(url) as client:
        first = client.get_run(runs[0])
        assert (first.name, first.status, first.params["depth"]) == ("run 0", "finished", "0")
        assert len(first.params["text"]) == 600 and first.tags["t"] == "v0"
        assert first.metrics["loss"].count == 900 and first.metrics["odd"].count == 4
        assert {one.path for one in client.list_artifacts(runs[0])} == {"notes/a.txt", "d é.json"}
        versions = {one.version: one for one in client.get_model("flights").versions}
        assert sorted(versions) == [1, 3, 4]
        assert versions[1].model_id.startswith("m-") and versions[3].run_id == runs[5]


def test_an_mlruns_folder(url: str, tmp_path: Path) -> None:
    runs = fill("mlflow-317", str(tmp_path / "mlruns"), tmp_path)
    counted = take_over(url, str(tmp_path / "mlruns"), "--dry-run")["there"]
    assert (counted["runs"], counted["versions"]) == (8, 3)
    with holdfast.Client(url) as client:
        assert list(client.list_experiments()) == []  # nothing was written
    assert is_whole(take_over(url, str(tmp_path / "mlruns")))
    look(url, runs)
    before = holdfast.Client(url).get_run(runs[1])
    assert is_whole(take_over(url, str(tmp_path / "mlruns")))
    assert holdfast.Client(url).get_run(runs[1]) == before
    with (tmp_path / "mlruns").joinpath("models/flights/tags/owner").open() as opened:
        assert opened.read() == "ada"  # the source is only read


def test_an_import_that_is_killed_goes_on_where_it_was(url: str, tmp_path: Path) -> None:
    fill("mlflow-317", str(tmp_path / "mlruns"), tmp_path)
    asked, environment = command(url, str(tmp_path / "mlruns"))
    killed = 0
    for wait in (0.35, 0.5, 0.6, 0.7, 0.8):
        process = subprocess.Popen(
            asked, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(wait)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait(timeout=30)
    assert killed > 0
    assert is_whole(take_over(url, str(tmp_path / "mlruns")))


def test_what_is_no_store_is_refused(url: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.db").touch()
    for source, said in (
        (str(tmp_path / "nothing"), "is no folder, database or server"),
        (str(tmp_path / "empty"), "holds no experiments"),
        (f"sqlite:///{tmp_path}/other.db", "is not MLflow's"),
        ("sqlite:////nowhere/at/all.db", "can't be read"),
        ("http://127.0.0.1:9", "can't be read"),
    ):
        asked, environment = command(url, source)
        done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and said in done.stderr, done.stderr


def test_another_version_of_the_same_number_is_told(url: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        fill("mlflow-317", str(tmp_path / name / "mlruns"), tmp_path)
    assert is_whole(take_over(url, str(tmp_path / "one" / "mlruns")))
    report = take_over(url, str(tmp_path / "two" / "mlruns"), code=1)
    assert [one["what"] for one in report["problems"]] == [
        f"version flights/{number}" for number in (1, 3, 4)
    ]
    assert {one["kind"] for one in report["kinds"] if not one["is_equal"]} <= {"versions", "experiments"}


@pytest.mark.slow
def test_a_sqlite_database_and_its_server(url: str, tmp_path: Path) -> None:
    """The server is asked for what it serves by its proxy; the database needs to be told where that is."""
    from benchmarks.tracking.servers import mlflow

    with mlflow(tmp_path / "peer", workers=1) as peer:
        runs = fill("mlflow-server", peer.url, tmp_path)
        assert is_whole(take_over(url, peer.url))
        look(url, runs)
        loaded = run_script("mlflow-317", "mlflow_load.py", url, tmp_path)
        assert loaded == {"predictions": [0, 1]}
    database = f"sqlite:///{tmp_path}/peer/mlflow.db"
    refused = take_over(url, database, code=1)
    assert "--artifacts" in refused["problems"][0]["why"] if refused["problems"] else not refused["is_equal"]
    assert is_whole(take_over(url, database, "--artifacts", str(tmp_path / "peer" / "artifacts")))


@pytest.mark.slow
def test_a_postgresql_database(url: str, tmp_path: Path) -> None:
    postgres = PostgresServer()
    try:
        postgres.start()
        address = postgres.create_database("mlflow")
        python_address = address.replace("postgresql://", "postgresql+psycopg://")
        runs = fill("mlflow-server", python_address, tmp_path, str(tmp_path / "artifacts"))
        assert is_whole(take_over(url, address))
        look(url, runs)
    finally:
        postgres.close()
