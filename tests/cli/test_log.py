"""`holdfast log` within and outside `holdfast run`, as jobs in other languages call it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.client import Client

_JOB = """set -e
holdfast() {{ "{python}" -m holdfast "$@"; }}
holdfast log param depth 6
holdfast log tag language shell
holdfast log metric loss 0.5
holdfast log metric loss 0.25
holdfast log metric -- delta -1e-3
printf 'acc 0.5 10\\nacc\\t0.75\\t20\\n\\n{{"acc": 1, "f1": 0.5, "step": 30}}\\nacc NaN\\n' | holdfast log metric --stdin
printf 'seed 7\\nnote a b  c\\n' | holdfast log param --stdin
echo result > result.txt
holdfast log artifact result.txt --path out/result.txt
"""


@pytest.fixture
def client(url: str) -> Client:
    return Client(url)


@pytest.fixture
def environment(url: str, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "HOLDFAST_URL": url,
        "HOLDFAST_JOURNAL": str(tmp_path / "journal"),
        "HOLDFAST_MODE": "online",
    }


def _holdfast(
    environment: dict[str, str], *arguments: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "holdfast", *arguments], env=environment, input=stdin, capture_output=True,
        text=True, check=False, cwd=Path(environment["HOLDFAST_JOURNAL"]).parent,
    )  # fmt: skip


def test_a_job_in_another_language_logs_to_the_run_of_its_command(client: Client, environment) -> None:
    done = _holdfast(
        environment, "run", "--name", "shell-job", "--", "sh", "-c", _JOB.format(python=sys.executable)
    )
    assert done.returncode == 0, done.stderr
    (found,) = (run for run in client.list_runs() if run.name == "shell-job")
    run = client.get_run(found.run_id)
    assert run.status == "finished" and run.tags["language"] == "shell"
    assert run.params == {"depth": "6", "seed": "7", "note": "a b  c"}
    loss = client.metric_history(run.run_id, "loss")
    assert (loss.steps, loss.values) == ([0, 1], [0.5, 0.25])
    assert client.metric_history(run.run_id, "delta").values == [-1e-3]
    assert client.metric_history(run.run_id, "acc").steps == [10, 20, 30, 31]
    assert client.metric_history(run.run_id, "f1").steps == [30]
    assert "out/result.txt" in {item.path for item in client.list_artifacts(run.run_id)}


def test_a_line_that_is_wrong_is_named_and_those_before_it_are_logged(client: Client, environment) -> None:
    run = client.create_run(name="lines")
    for bad, told in (("loss", "1 parts"), ("loss x", "'x'"), ("loss 1 z", "'z'"), ("{", "no JSON")):
        done = _holdfast(
            environment, "log", "metric", "--stdin", "--run", run.run_id, stdin=f"good 1 1\n{bad}\ngood 2 2\n"
        )
        assert done.returncode == 1 and "Line 2 of standard input" in done.stderr and told in done.stderr
    assert client.metric_history(run.run_id, "good").steps == [1] * 4


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("metric", "loss", "1"), 1, "not said which run"),
        (("metric", "--run", "0" * 32, "loss", "1"), 1, "0000"),
        (("metric", "--run", "r", "loss", "NA"), 1, "NA"),
        (("metric", "--run", "r", "loss"), 2, "KEY and VALUE"),
        (("metric", "--run", "r", "--stdin", "loss", "1"), 2, "not both"),
        (("artifact", "--run", "r", "nowhere.txt"), 1, "nowhere.txt"),
    ],
)
def test_what_is_wrong_is_told(environment, arguments: tuple[str, ...], code: int, told: str) -> None:
    done = _holdfast(environment, "log", *arguments)
    assert done.returncode == code and told in done.stderr, done.stderr


def test_without_a_server_it_is_kept_until_there_is_one(client: Client, environment) -> None:
    run = client.create_run(name="kept")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = {**environment, "HOLDFAST_URL": f"http://127.0.0.1:{free.getsockname()[1]}"}
    done = _holdfast(away, "log", "metric", "--run", run.run_id, "--step", "3", "loss", "0.5")
    assert done.returncode == 1 and "kept in" in done.stderr and "holdfast sync" in done.stderr
    assert "--step" in _holdfast(away, "log", "metric", "--run", run.run_id, "loss", "0.5").stderr
    synced = _holdfast(environment, "sync", "--server", client.url, "--json")
    assert json.loads(synced.stdout)["items"][0]["is_done"]
    assert client.metric_history(run.run_id, "loss").steps == [3]


def test_offline_the_step_has_to_be_said(environment) -> None:
    offline = {**environment, "HOLDFAST_MODE": "offline", "HOLDFAST_RUN_ID": "0" * 32}
    done = _holdfast(offline, "log", "metric", "loss", "0.5")
    assert done.returncode == 1 and "--step" in done.stderr
    assert _holdfast(offline, "log", "metric", "loss", "0.5", "--step", "1").returncode == 0
