"""A training process killed with -9 at random points: what its calls returned for is there once, after a sync that is
killed itself now and then.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.client import Client
from tests.faults.system import System, wait_until

KILLS = 200 if os.environ.get("HOLDFAST_FULL") else 6
CHILD = Path(__file__).with_name("training_child.py")
KEYS = {"loss": lambda step: step % 3 != 0, **dict.fromkeys("abc", lambda step: step % 3 == 0)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(
        tmp_path_factory.mktemp("training") / "data", options=("--no-worker", "--no-inference")
    ) as system:
        yield system


def _environment(server: System, folder: Path, mode: str) -> dict[str, str]:
    return {
        **os.environ,
        "HOLDFAST_URL": server.url,
        "HOLDFAST_JOURNAL": str(folder / "journal"),
        "HOLDFAST_MODE": mode,
    }


def _train_and_kill(environment: dict[str, str], folder: Path, chance: random.Random) -> int:
    """Kill a training process at a random point; the last step that a call returned for."""
    told = folder / "acknowledged"
    process = subprocess.Popen([sys.executable, str(CHILD), str(told), folder.name], env=environment)
    wait_until("a first step", lambda: told.exists() and told.stat().st_size)
    time.sleep(chance.uniform(0, 0.15))
    process.kill()
    process.wait()
    return int(told.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[2])


def _sync(environment: dict[str, str], kill_after: float | None) -> dict:
    """What `holdfast sync` says; killed once before when `kill_after` is given."""
    command = [sys.executable, "-m", "holdfast", "sync", "--json"]
    if kill_after is not None:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        time.sleep(kill_after)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def _stored(server: System, run_id: str) -> int:
    """The points that the server took in for a run, before it leaves out what came twice."""
    with closing(sqlite3.connect(f"file:{server.data / 'holdfast.db'}?mode=ro", uri=True)) as database:
        query = "SELECT sum(points) FROM metric_batch JOIN run USING (workspace_id, run_no) WHERE run_id = ?"
        return int(database.execute(query, (run_id,)).fetchone()[0])


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_kill_9_of_training_loses_and_doubles_nothing(server: System, tmp_path: Path, mode: str) -> None:
    chance = random.Random(7)
    client = Client(server.url)
    points = 0
    for number in range(KILLS // 2):
        folder = tmp_path / f"{mode}-{number}"
        folder.mkdir()
        environment = _environment(server, folder, mode)
        last = _train_and_kill(environment, folder, chance)
        _sync(environment, chance.uniform(0.15, 0.5) if number % 3 == 0 else None)
        assert not list((folder / "journal").iterdir()), "all is delivered"

        (run,) = (run for run in client.list_runs("killed") if run.name == folder.name)
        assert run.status == "killed"
        counted = 0
        for key, is_logged in KEYS.items():
            history = client.metric_history(run.run_id, key, points=100_000)
            expected = [step for step in range(last + 1) if is_logged(step)]
            # One call more may have been made than was told.
            assert history.steps[: len(expected)] == expected and len(history.steps) <= len(expected) + 1
            counted += len(history.steps)
        assert _stored(server, run.run_id) == counted, "points arrived twice"
        points += counted
    print(f"{mode}: {KILLS // 2} kills, {points} points, none lost, none twice")
