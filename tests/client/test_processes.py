"""Processes that a run's process starts, whatever that one is doing meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from holdfast.client import Client
from holdfast.client.active import ActiveRun
from holdfast.client.records import Run
from holdfast.kernel.errors import Conflict

_FORK_UNDER_LOCKS = """
import os, threading, time
import holdfast
from holdfast.kernel import ids

holdfast.init({url!r})
run = holdfast.start_run()
holdfast.log_metric("parent", 1.0)
run.flush()
(transport,) = run.client._transports
# As if other threads were within a call of each kind at the moment of the fork.
held = (transport._lock, ids._lock, run._lock, run._journal.lock, holdfast.client.session._session.lock)
taken, free = threading.Event(), threading.Event()

def hold():
    for lock in held:
        lock.acquire()
    taken.set()
    free.wait()
    for lock in held:
        lock.release()

thread = threading.Thread(target=hold)
thread.start()
taken.wait()
child = os.fork()
if child == 0:
    for step in range(100):
        holdfast.log_metric("child", step, step)
    run.log_artifact(b"x", "child.bin")
    holdfast.finish_run()
    os._exit(0)
until = time.monotonic() + 30
while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < until:
    time.sleep(0.01)
free.set()
thread.join()
if ended == (0, 0):
    os.kill(child, 9)
    raise SystemExit("the child hangs")
assert ended[1] == 0
holdfast.finish_run()
"""

_FORK_SERVER = """
import multiprocessing
import holdfast

def work(number):
    holdfast.log_metric("child", number, number)

if __name__ == "__main__":
    holdfast.init({url!r})
    context = multiprocessing.get_context("forkserver")
    for name in ("first", "second"):
        with holdfast.start_run(name):
            child = context.Process(target=work, args=(1,))
            child.start()
            child.join()
"""


@pytest.fixture
def runs(plane, run_document):
    """A server that makes a run of each name, whose id is the name."""
    for name in ("first", "second", "r1"):
        document = {**run_document, "run_id": name}
        plane.on(f"GET /api/v1/runs/{name}", (200, document))
        plane.on(f"POST /api/v1/runs/{name}/batch", (200, {}))
        plane.on(f"POST /api/v1/runs/{name}/finish", (200, {**document, "status": "finished"}))
    plane.on("PUT /api/v1/runs/r1/artifacts/child.bin", (200, {}))

    def create(seen):
        name = msgspec.json.decode(seen.body).get("name") or "r1"
        return 200, {**run_document, "run_id": name}

    plane.routes["POST /api/v1/runs"] = create
    return plane


def _points(plane, run_id: str) -> list[tuple[str, float, int]]:
    bodies = plane.bodies(f"POST /api/v1/runs/{run_id}/batch")
    found = [point for body in bodies for point in msgspec.json.decode(body).get("metrics", [])]
    return sorted((point["key"], point["value"], point["step"]) for point in found)


def _execute(tmp_path: Path, code: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)], capture_output=True, text=True, check=False,
        env={**os.environ, "HOLDFAST_JOURNAL": str(tmp_path / "journal")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_while_other_threads_are_within_calls(runs, tmp_path: Path) -> None:
    _execute(tmp_path, _FORK_UNDER_LOCKS.format(url=runs.url))
    expected = [*(("child", float(step), step) for step in range(100)), ("parent", 1.0, 0)]
    assert _points(runs, "r1") == expected
    assert runs.bodies("PUT /api/v1/runs/r1/artifacts/child.bin") == [b"x"]


@pytest.mark.skipif(os.name == "nt", reason="there is no fork server on Windows")
def test_workers_of_one_fork_server_log_to_the_run_of_their_time(runs, tmp_path: Path) -> None:
    _execute(tmp_path, _FORK_SERVER.format(url=runs.url))
    assert _points(runs, "first") == _points(runs, "second") == [("child", 1.0, 1)]
    assert not list((tmp_path / "journal").iterdir())


def test_a_call_that_comes_late_is_refused_and_not_lost(
    runs, client: Client, run_document, tmp_path: Path
) -> None:
    run = ActiveRun(client, msgspec.convert(run_document, Run), root=tmp_path)
    run.log_metric("a", 1.0)
    journal = run._journal  # as a thread has it that is overtaken by finish()
    assert journal is not None
    run.finish()
    with pytest.raises(Conflict, match="r1 has ended"), journal.lock:
        journal.add_point("a", 2.0, 1, 1000)
    assert _points(runs, "r1") == [("a", 1.0, 0)]
