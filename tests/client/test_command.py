from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast.client import Client
from holdfast.client.command import record_command
from holdfast.client.git import code_state
from holdfast.kernel.errors import InvalidInput


@pytest.fixture
def recording(plane, run_document, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("packages.txt", "code.diff", "output.log"):
        plane.on(f"PUT /api/v1/runs/r1/artifacts/{name}", (200, {}))
    plane.on("POST /api/v1/runs", (200, run_document))
    plane.on("POST /api/v1/runs/r1/finish", (200, {**run_document, "status": "finished"}))
    return plane


def _artifact(plane, name: str) -> str:
    (body,) = plane.bodies(f"PUT /api/v1/runs/r1/artifacts/{name}")
    return body.decode()


def _end(plane) -> dict:
    ended = json.loads(plane.bodies("POST /api/v1/runs/r1/finish")[0])
    assert isinstance(ended.pop("end_time"), int)
    return ended


def _git(*arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_output_packages_and_end_are_recorded(recording, client: Client, capfdbinary) -> None:
    code = "import os, sys; print(os.environ['HOLDFAST_RUN_ID']); print('oh', file=sys.stderr)"
    result = record_command(client, [sys.executable, "-c", code], experiment="e", name="n")
    assert result.exit_code == 0 and _end(recording) == {"status": "finished", "exit_code": 0}
    assert sorted(_artifact(recording, "output.log").split()) == ["oh", "r1"]
    assert any(line.startswith("pytest==") for line in _artifact(recording, "packages.txt").splitlines())
    created = json.loads(recording.bodies("POST /api/v1/runs")[0])
    assert (created["experiment"], created["name"]) == ("e", "n")
    assert created["recipe"]["command"] == [sys.executable, "-c", code]
    assert created["recipe"]["cwd"] == os.getcwd()  # noqa: PTH109
    assert created["recipe"]["python"] == sys.version.split()[0]
    out, err = capfdbinary.readouterr()
    assert out == b"r1\n" and err == b"oh\n"


def test_lines_of_both_streams_stay_whole(recording, client: Client) -> None:
    code = (
        "import sys\n"
        "for n in range(200):\n"
        "    for part in ('out', str(n), '\\n'):\n"
        "        print(part, end='', flush=True)\n"
        "        print(part.replace('out', 'err'), end='', flush=True, file=sys.stderr)\n"
        "print('x' * 200_000, end='')\n"
    )
    assert record_command(client, [sys.executable, "-c", code], echo=False).exit_code == 0
    lines = _artifact(recording, "output.log").splitlines()
    assert sorted(lines[:-1]) == sorted(f"{name}{n}" for n in range(200) for name in ("out", "err"))
    assert lines[-1] == "x" * 200_000


def test_the_exit_code_is_the_commands(recording, client: Client) -> None:
    assert record_command(client, ["sh", "-c", "exit 7"]).exit_code == 7
    assert _end(recording) == {"status": "failed", "exit_code": 7}


def test_a_signal_is_passed_on_and_recorded(recording, client: Client) -> None:
    started = threading.Event()

    def interrupt() -> None:
        started.wait(10)
        os.kill(os.getpid(), signal.SIGTERM)

    helper = threading.Thread(target=interrupt)
    helper.start()
    recording.routes["PUT /api/v1/runs/r1/artifacts/packages.txt"] = lambda _: (200, {})
    script = "trap 'echo got it; exit 3' TERM; echo ready >&2; kill -USR1 $PPID; while :; do sleep 0.01; done"
    before = signal.signal(signal.SIGUSR1, lambda *_: started.set())
    try:
        assert record_command(client, ["sh", "-c", script]).exit_code == 3
    finally:
        signal.signal(signal.SIGUSR1, before)
        helper.join()
    assert "got it" in _artifact(recording, "output.log")


def test_a_command_killed_by_a_signal(recording, client: Client) -> None:
    assert record_command(client, ["sh", "-c", "kill -9 $$"]).exit_code == 137
    assert _end(recording) == {"status": "killed", "exit_code": 137}


def test_system_metrics_are_of_the_command_and_sampled_once(recording, client: Client, monkeypatch) -> None:
    recording.on("POST /api/v1/runs/r1/batch", (200, {}))
    monkeypatch.setenv("HOLDFAST_SYSTEM_METRICS", "0.1")
    code = "import os, time; x = 'y' * 3 * 10**8; time.sleep(1); assert 'HOLDFAST_SYSTEM_METRICS' not in os.environ"
    assert record_command(client, [sys.executable, "-c", code]).exit_code == 0
    bodies = recording.bodies("POST /api/v1/runs/r1/batch")
    points = [point for body in bodies for point in json.loads(body)["metrics"]]
    used = [point["value"] for point in points if point["key"] == "system/process_memory_mb"]
    assert len(used) > 3 and max(used) > min(used) + 250
    with pytest.raises(InvalidInput, match="seconds are not possible"):
        record_command(client, ["true"], system_metrics=-1)


def test_an_unknown_command_makes_no_run(recording, client: Client) -> None:
    with pytest.raises(InvalidInput, match="no command 'nosuchcommand'"):
        record_command(client, ["nosuchcommand"])
    assert not recording.seen


def test_a_server_that_went_away_is_told(recording, client: Client, capsys) -> None:
    recording.on(
        "PUT /api/v1/runs/r1/artifacts/output.log", (400, {"error": {"code": "conflict", "message": "No."}})
    )
    assert record_command(client, ["true"], echo=False).exit_code == 1
    assert "r1 was not recorded" in capsys.readouterr().err


def test_code_that_differs_from_its_commit_is_kept_with_new_files(recording, client: Client) -> None:
    _git("init", "-q")
    Path("a.txt").write_text("one\n")
    Path(".gitignore").write_text("ignored\n")
    _git("add", ".")
    _git("commit", "-q", "-m", "first")
    clean = code_state(Path.cwd())
    assert clean is not None and (clean.commit, clean.dirty, clean.diff) == (
        _git("rev-parse", "HEAD"),
        False,
        b"",
    )

    Path("a.txt").write_text("two\n")
    Path("new.txt").write_text("new\n")
    Path("ignored").write_text("x\n")
    record_command(client, ["true"], echo=False)
    recipe = json.loads(recording.bodies("POST /api/v1/runs")[0])["recipe"]
    assert (recipe["git_commit"], recipe["git_dirty"], recipe["git_diff_artifact"]) == (
        clean.commit, True, "code.diff",
    )  # fmt: skip
    diff = _artifact(recording, "code.diff")
    assert "+two" in diff and "+new" in diff and "ignored" not in diff
    assert _git("status", "--porcelain").splitlines() == ["M a.txt", "?? new.txt"]

    _git("stash", "-q", "-u")
    Path("code.diff").write_text(diff)
    _git("apply", "code.diff")
    assert Path("new.txt").read_text() == "new\n"


def test_a_change_of_the_same_size_in_the_second_of_the_commit_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    second = (1_700_000_000, 1_700_000_000)
    _git("init", "-q")
    _git("config", "core.trustctime", "false")
    Path("a.txt").write_text("one\n")
    os.utime("a.txt", second)
    _git("add", ".")
    _git("commit", "-q", "-m", "first")
    Path("a.txt").write_text("two\n")
    os.utime("a.txt", second)
    os.utime(".git/index", second)
    state = code_state(Path.cwd())
    assert state is not None and state.dirty and b"+two" in state.diff


def test_no_git_no_code(tmp_path: Path) -> None:
    assert code_state(tmp_path) is None
