from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from holdfast.client.active import ActiveRun
from holdfast.client.logged_model import write_model

_SCRIPT = """
import math, sys, holdfast
with holdfast.start_run(params={"depth": 3}, tags={"team": "air"}):
    for step in range(3):
        holdfast.log_metric("loss", 1 / (step + 1))
    holdfast.log_metric("bad", math.nan)
    print("trained")
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(scope="session")
def model_files() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=50)}).assign(y=lambda f: (f.a > 0).astype(int))
    model = LogisticRegression().fit(frame[["a"]], frame["y"])
    return write_model(model, reference=frame, target="y")


def test_a_script_is_recorded_listed_and_shown(holdfast, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(_SCRIPT)
    done = holdfast(
        "run", "--experiment", "cli-run", "--name", "first", "--", sys.executable, "train.py", "0"
    )
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr

    (listed,) = json.loads(holdfast("runs", "list", "--experiment", "cli-run", "--json").stdout)["items"]
    assert (listed["name"], listed["status"], listed["exit_code"]) == ("first", "finished", 0)
    assert listed["params"] == {"depth": "3"} and listed["metrics"]["loss"]["last"] == pytest.approx(1 / 3)
    assert listed["metrics"]["bad"]["last"] == "NaN"

    shown = json.loads(holdfast("runs", "show", listed["run_id"], "--json").stdout)
    assert {item["path"] for item in shown["artifacts"]} == {"output.log", "packages.txt"}
    words = holdfast("runs", "show", listed["run_id"]).stdout
    assert "train.py 0" in words and "depth" in words and "output.log" in words
    assert "first" in holdfast("runs", "list").stdout


def test_the_exit_code_of_a_recorded_command_is_passed_on(holdfast, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(_SCRIPT)
    done = holdfast("run", "--experiment", "cli-fail", "--", sys.executable, "train.py", "9")
    assert done.returncode == 9
    (listed,) = json.loads(holdfast("runs", "list", "--experiment", "cli-fail", "--json").stdout)["items"]
    assert (listed["status"], listed["exit_code"]) == ("failed", 9)


def test_ctrl_c_reaches_the_command_and_the_run_ends(url: str, client, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "holdfast", "run", "--server", url, "--experiment", "cli-signal", "--"]
    script = "echo started; exec sleep 60"
    process = subprocess.Popen(
        [*command, "sh", "-c", script],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGINT
    (run,) = client.list_runs("cli-signal")
    assert run.status == "killed"


def test_a_mistyped_name_gets_the_nearest(holdfast, client) -> None:
    client.create_experiment("flights-2013")
    done = holdfast("runs", "list", "--experiment", "flights-2031")
    assert done.returncode == 1
    assert "Hint: Did you mean 'flights-2013'?" in done.stderr and "Code: not_found" in done.stderr


def test_models_versions_and_aliases(holdfast, client, model_files: dict[str, bytes]) -> None:
    run = ActiveRun(client, client.create_run("cli-models"))
    logged = run.upload_model("model", model_files)
    run.finish()
    for version in (1, 2):
        assert holdfast("model", "register", logged.model_id, "cli-model").stdout.startswith(
            f"Registered cli-model/{version}"
        )
    assert holdfast("model", "alias", "cli-model/1", "production", "--reason", "first").returncode == 0
    assert (
        holdfast("model", "alias", "cli-model/2", "production").stdout
        == "cli-model@production is version 2.\n"
    )

    shown = json.loads(holdfast("model", "show", "cli-model@production", "--json").stdout)
    assert (shown["version"], shown["digest"]) == (2, logged.digest)
    moves = json.loads(holdfast("model", "history", "cli-model", "--json").stdout)["items"]
    assert [move["version"] for move in moves] == [2, 1]
    then = json.loads(
        holdfast("model", "history", "cli-model", "--at", moves[1]["time"], "--json").stdout
    )["items"]  # fmt: skip
    assert [move["version"] for move in then] == [1]
    assert "production -> 2" in holdfast("model", "list").stdout
    assert "a (double)" in holdfast("model", "show", "cli-model/1").stdout
    assert holdfast("model", "alias", "cli-model", "production", "--delete").returncode == 0
    assert holdfast("model", "show", "cli-model@production").returncode == 1

    done = holdfast("model", "show", "cli-modle")
    assert done.returncode == 1 and "Did you mean 'cli-model'?" in done.stderr
    done = holdfast("model", "show", "cli-model/x")
    assert done.returncode == 1 and "'cli-model/x' is not a model's version" in done.stderr


def test_the_audit_log_is_shown_and_verified(holdfast, client) -> None:
    client.create_experiment("cli-audit")
    entries = json.loads(holdfast("audit", "log", "--limit", "1", "--json").stdout)["items"]
    assert entries[0]["action"] == "experiment.create"
    assert "experiment.create" in holdfast("audit", "log").stdout
    done = holdfast("audit", "verify", "--json")
    report = json.loads(done.stdout)
    assert (
        done.returncode == 0
        and report["ok"]
        and report["size"] > entries[0]["index"]
        and len(report["root"]) == 64
    )
    assert holdfast("audit", "verify").stdout.startswith(
        f"ok: {report['size']} entries, root {report['root']}"
    )
