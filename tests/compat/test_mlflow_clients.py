"""The stock clients of MLflow, of the releases in use, against a server as it is started."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.client.seen import SeenCheckpoints
from tests.faults.system import System

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


@pytest.mark.slow
def test_autologging_of_boosters(url: str, tmp_path: Path) -> None:
    seen = run_script("mlflow-boosters", "mlflow_boosters.py", url, tmp_path)
    whole = {"status": "FINISHED", "steps": [*range(7)], "params": True, "models": 1}
    assert seen == {"xgboost": whole, "lightgbm": whole}
