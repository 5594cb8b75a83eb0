from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import holdfast
from holdfast import errors
from holdfast.chunks import read_bundle


@pytest.fixture
def server(plane, run_document) -> Iterator[object]:
    plane.on("POST /api/v1/runs", (200, run_document))
    plane.on("GET /api/v1/runs/r1", (200, run_document))
    plane.on("POST /api/v1/runs/r1/batch", (200, {}))
    plane.on("POST /api/v1/runs/r1/finish", (200, {**run_document, "status": "finished"}))
    holdfast.init(plane.url, experiment="e")
    yield plane
    if holdfast.active_run() is not None:
        holdfast.finish_run()


def _points(plane) -> list[tuple[str, float, int]]:
    batches = [msgspec.json.decode(body) for body in plane.bodies("POST /api/v1/runs/r1/batch")]
    return [(point["key"], point["value"], point["step"]) for batch in batches for point in batch["metrics"]]


def _end(plane) -> dict[str, object]:
    """How the run was ended, without the time."""
    ended = msgspec.json.decode(plane.bodies("POST /api/v1/runs/r1/finish")[0])
    assert isinstance(ended.pop("end_time"), int)
    return ended


def test_a_run_as_a_block(server) -> None:
    with holdfast.start_run("first", params={"depth": 3}, tags={"who": "me"}) as run:
        assert holdfast.active_run() is run and run.url == f"{server.url}/runs/r1"
        holdfast.log_metric("loss", 1.0)
        holdfast.log_metric("loss", 0.5)
        holdfast.log_metrics({"loss": 0.25, "acc": 1}, step=10)
        holdfast.log_metric("loss", 0.1)
    assert _points(server) == [
        ("loss", 1.0, 0), ("loss", 0.5, 1), ("loss", 0.25, 10), ("acc", 1.0, 10), ("loss", 0.1, 11),
    ]  # fmt: skip
    created = msgspec.json.decode(server.bodies("POST /api/v1/runs")[0])
    assert (created["experiment"], created["name"]) == ("e", "first")
    assert _end(server) == {"status": "finished"}
    assert holdfast.active_run() is None


@pytest.mark.parametrize(
    ("raised", "status"), [(ValueError, "failed"), (KeyboardInterrupt, "killed"), (SystemExit(0), "finished")]
)
def test_an_exception_decides_the_status(server, raised, status: str) -> None:
    with pytest.raises(BaseException), holdfast.start_run():  # noqa: B017
        raise raised
    assert _end(server) == {"status": status}


def test_logging_starts_a_run(server) -> None:
    holdfast.log_param("depth", 3)
    assert holdfast.active_run() is not None
    assert holdfast.finish_run().status == "finished"
    assert holdfast.finish_run() is None


def test_a_bad_value_raises_at_once_and_logs_nothing_of_the_call(server) -> None:
    with holdfast.start_run():
        with pytest.raises(errors.InvalidInput, match="'b'"):
            holdfast.log_metrics({"a": 1.0, "b": "x"})
        with pytest.raises(errors.InvalidInput, match="is '1' already"):
            holdfast.log_param("k", 1)
            holdfast.log_param("k", 2)
    assert _points(server) == []


def test_two_runs_at_once_are_refused(server) -> None:
    with holdfast.start_run():
        with pytest.raises(errors.Conflict, match="r1 is already active"):
            holdfast.start_run()
        with pytest.raises(errors.Conflict, match="r1 is active"):
            holdfast.init("http://127.0.0.1:1")


def test_the_run_of_a_recorded_command_is_joined_once_and_not_ended(server, monkeypatch) -> None:
    monkeypatch.setenv("HOLDFAST_RUN_ID", "r1")
    monkeypatch.setattr("holdfast.client.session._session.joined", set())
    with holdfast.start_run():
        holdfast.log_metric("loss", 1.0)
    assert _points(server) == [("loss", 1.0, 0)]
    assert not server.bodies("POST /api/v1/runs") and not server.bodies("POST /api/v1/runs/r1/finish")
    with holdfast.start_run():
        pass
    assert len(server.bodies("POST /api/v1/runs")) == 1


def test_artifacts_of_files_folders_and_bytes(server, tmp_path: Path) -> None:
    for path in ("notes.txt", "blob"):
        server.on(f"PUT /api/v1/runs/r1/artifacts/{path}", (200, {}))
    server.on("POST /api/v1/runs/r1/artifact-bundles", (200, {"files": 2, "size": 2}))
    (tmp_path / "notes.txt").write_text("n")
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "a.txt").write_text("a")
    (tmp_path / "d" / "e" / "b.txt").write_text("b")
    with holdfast.start_run():
        holdfast.log_artifact(tmp_path / "notes.txt")
        holdfast.log_artifact(tmp_path / "d")
        holdfast.log_artifact(b"x", "blob")
        with pytest.raises(errors.InvalidInput, match="no file or folder"):
            holdfast.log_artifact(tmp_path / "none")
        with pytest.raises(errors.InvalidInput, match="no name"):
            holdfast.log_artifact(b"x")
    sent = [seen.path.partition("artifacts/")[2] for seen in server.seen if seen.method == "PUT"]
    assert sent == ["notes.txt", "blob"]
    (bundle,) = server.bodies("POST /api/v1/runs/r1/artifact-bundles")
    assert [(path, bytes(data)) for path, data in read_bundle([bundle])] == [
        ("d/a.txt", b"a"),
        ("d/e/b.txt", b"b"),
    ]


@pytest.mark.parametrize(("ending", "status"), [("", "finished"), ("raise ValueError('x')", "failed")])
def test_a_run_left_open_ends_with_the_process(server, ending: str, status: str) -> None:
    code = f"import holdfast\nholdfast.init({server.url!r})\nholdfast.log_metric('loss', 1.0)\n{ending}"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert _points(server) == [("loss", 1.0, 0)]
    assert _end(server) == {"status": status}


def test_a_forked_child_logs_and_leaves_the_run_open(server) -> None:
    code = f"""
import os, holdfast
holdfast.init({server.url!r})
with holdfast.start_run():
    holdfast.log_metric("parent", 1.0)
    pid = os.fork()
    if pid == 0:
        holdfast.log_metric("child", 2.0)
        holdfast.finish_run()
        os._exit(0)
    os.waitpid(pid, 0)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    assert set(_points(server)) == {("parent", 1.0, 0), ("child", 2.0, 0)}
    assert len(server.bodies("POST /api/v1/runs/r1/finish")) == 1


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, holdfast\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'numpy', 'pandas', 'polars', 'msgspec', 'http', 'click', 'rich', 'asyncio'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_what_all_says() -> None:
    for name in holdfast.__all__:
        assert getattr(holdfast, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        holdfast.nonsense  # noqa: B018
