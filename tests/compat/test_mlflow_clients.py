"""The stock clients of MLflow, of the releases in use, against a server as it is started."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.client.seen import SeenCheckpoints
from tests.collaboration.receivers import Receiver
from tests.faults.system import System
from tests.mlflow_api.test_webhooks import is_signed

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def run_script(group: str, script: str, url: str, home: Path, **more: str) -> dict[str, Any]:
    """What a script of the client of `group` printed."""
    python = ROOT / f".venv-{group}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"the client is not installed: sh tools/judges.sh {group}")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_PYTHON_REFRESH": "quiet", **more}
    done = subprocess.run(
        [str(python), str(HERE / script), url],
        env=environment, cwd=home, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A server on a fresh folder, alone."""
    with System(tmp_path / "data", options=("--no-worker", "--no-inference")) as system:
        yield system.url


@pytest.mark.parametrize(
    "group",
    [
        pytest.param("mlflow-2", marks=pytest.mark.slow),
        pytest.param("mlflow-36", marks=pytest.mark.slow),
        "mlflow-317",
    ],
)
def test_a_classic_session(url: str, tmp_path: Path, group: str) -> None:
    seen = run_script(group, "mlflow_classic.py", url, tmp_path)
    assert seen["run"] == {
        "status": "FINISHED",
        "params": {"depth": "5", "rate": "0.1", "kind": "linear"},
        "metrics": {"accuracy": "0.9", "loss": "0.2", "nothing": "nan"},
        "team": "risk",
        "datasets": [["train", "training"]],
    }
    assert seen["searched"] is True
    assert seen["history"] == [[0, 1.0], [1, 0.5], [2, 0.333], [3, 0.25], [4, 0.2]]
    assert seen["artifacts"] == ["d.json", "notes"] and seen["text"] == "hello"
    assert all(seen["predicts"]) and len(seen["predicts"]) == (3 if group == "mlflow-2" else 4)
    assert seen["version"] == ["1", True, "READY"] and seen["staged"] == "Staging"
    assert seen["model"] == ["flights"]
    assert seen["autolog"] == ["FINISHED", "0.5", True] and "estimator.html" in seen["autolog files"]
    assert seen["deleted"] == ["deleted", True]
    assert seen["param"] == ["INVALID_PARAMETER_VALUE", True]
    with holdfast.Client(url, seen=SeenCheckpoints(tmp_path / "seen")) as native:
        assert {one.name for one in native.list_experiments()} == {"Default", "classic"}
        assert native.verify_audit().ok


@pytest.mark.parametrize("group", [pytest.param("mlflow-36", marks=pytest.mark.slow), "mlflow-317"])
def test_traces_and_prompts(url: str, tmp_path: Path, group: str) -> None:
    seen = run_script(group, "mlflow_traces.py", url, tmp_path)
    assert seen["state"] == ["OK", "ERROR"] and seen["exception"] == ["exception"]
    assert seen["spans"] == {"answer": "LLM", "look up": "RETRIEVER"}
    assert seen["inner"] == [{"q": "Is it late?"}, ["flights are late"], ["a", "b"], 0.5, 3, True]
    assert seen["request"] == {"question": "Is it late?"}
    assert seen["found"] == [True] * 6
    assert seen["tag"] == "ada" and seen["untagged"]
    assert seen["assessed"] == [["good", True], ["truth", "yes"]]
    assert seen["prompt"] == ["Hello {{name}}", "Good day Ada", ["greet"], []]
    assert seen["deleted"] == [1, True] and seen["told"] == []


@pytest.mark.parametrize("group", [pytest.param("mlflow-36", marks=pytest.mark.slow), "mlflow-317"])
def test_webhooks(url: str, tmp_path: Path, group: str) -> None:
    assert run_script(group, "mlflow_webhooks.py", url, tmp_path) == {
        "events": ["model_version.created", "model_version_alias.created"],
        "status": "ACTIVE",
        "read": ["ci", "https://192.0.32.10/hook", "for CI"],
        "changed": ["cd", ["registered_model.created"], "DISABLED"],
        "listed": ["two"],
        "tested": [False, True],  # nobody can be reached from here
        "left": ["two"],
        "gone": "RESOURCE_DOES_NOT_EXIST",
    }


@pytest.mark.slow
def test_a_webhook_of_the_client_is_told_by_the_worker(tmp_path: Path) -> None:
    receiver = Receiver()
    options = ("--no-inference", "--allow-egress", f"127.0.0.1:{receiver.port}")
    try:
        with System(tmp_path / "data", options=options) as system:
            seen = run_script("mlflow-317", "mlflow_hooked.py", system.url, tmp_path, RECEIVER=receiver.url)
            assert seen == {"tested": True}
            until = time.monotonic() + 60
            while len(receiver.got) < 3 and time.monotonic() < until:
                time.sleep(0.05)
    finally:
        receiver.close()
    test, *told = receiver.got
    bodies = {f"{one['entity']}.{one['action']}": one["data"] for one in (json.loads(r.body) for r in told)}
    assert bodies == {
        "registered_model.created": {"name": "flights", "tags": {}, "description": None},
        "model_version_alias.created": {"name": "flights", "alias": "best", "version": "1"},
    }
    assert all(is_signed(request, "s3cr3t") for request in [test, *told])


@pytest.mark.parametrize(
    "group",
    [
        pytest.param("mlflow-2", marks=pytest.mark.slow),
        pytest.param("mlflow-36", marks=pytest.mark.slow),
        "mlflow-317",
    ],
)
@pytest.mark.parametrize("name", [None, "ada"])
def test_a_file_that_a_client_sends_in_parts_comes_whole(
    url: str, tmp_path: Path, group: str, name: str | None
) -> None:
    environment = {}
    if name:
        token = (tmp_path / "data" / "admin.token").read_text().strip()
        with holdfast.Client(url, token=token, seen=SeenCheckpoints(tmp_path / "seen")) as admin:
            admin.add_user(name, password="correct horse battery")
            admin.grant_role(name, "contributor")
            environment["MLFLOW_TRACKING_TOKEN"] = admin.create_token("ci", of=name).secret
    told = run_script(group, "mlflow_large.py", url, tmp_path, **environment)
    assert told == {"size": 3 * 2**20 + 3, "same": True}


def test_who_a_client_is_by_its_environment(url: str, tmp_path: Path) -> None:
    """A token, or a name and a password, as MLflow's client sends them; the audit log has who it was."""
    secret = (tmp_path / "data" / "admin.token").read_text().strip()
    password = "correct horse battery"
    with holdfast.Client(url, token=secret, seen=SeenCheckpoints(tmp_path / "seen")) as admin:
        for name in ("ada", "grace"):
            admin.add_user(name, password=password)
            admin.grant_role(name, "contributor")
        token = admin.create_token("ci", of="ada").secret
        given = [
            {"MLFLOW_TRACKING_TOKEN": token},
            {"MLFLOW_TRACKING_USERNAME": "grace", "MLFLOW_TRACKING_PASSWORD": password},
        ]
        for number, environment in enumerate(given):
            more = {**environment, "NAME": f"e{number}"}
            assert run_script("mlflow-317", "mlflow_access.py", url, tmp_path, **more) == {"made": True}
        made = [one for one in admin.audit_log() if one.action == "experiment.create"]
        assert [one.actor_name for one in made] == ["grace", "ada"]
        wrong = run_script(
            "mlflow-317", "mlflow_access.py", url, tmp_path, MLFLOW_TRACKING_TOKEN="no", NAME="x"
        )
        assert (wrong["made"], wrong["code"]) == (False, "UNAUTHENTICATED")
        assert {one.name for one in admin.list_experiments()} == {"e0", "e1"}


@pytest.mark.slow
def test_autologging_of_boosters(url: str, tmp_path: Path) -> None:
    seen = run_script("mlflow-boosters", "mlflow_boosters.py", url, tmp_path)
    whole = {"status": "FINISHED", "steps": [*range(7)], "params": True, "models": 1}
    assert seen == {"xgboost": whole, "lightgbm": whole}
