"""Trials of the real Optuna become runs of a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from holdfast.client import Client
from holdfast.optuna import PARENT_TAG
from tests.faults.system import System

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ROOT / ".venv-libraries" / "bin" / "python"

_STUDY = """
import json, sys
sys.path.insert(0, {source!r})
import optuna, holdfast
optuna.logging.disable_default_handler()
holdfast.init({url!r}, experiment="search")

def objective(trial):
    depth = trial.suggest_int("depth", 1, 9)
    rate = trial.suggest_float("rate", 1e-3, 1.0, log=True)
    trial.set_user_attr("team", "air")
    if trial.number == 3:
        raise ZeroDivisionError
    for step in range(3):
        trial.report(depth - step, step)
        if trial.number == 5 and step == 1:
            raise optuna.TrialPruned
    return depth * rate

with holdfast.start_run("parent") as parent:
    study = optuna.create_study(study_name="flights", direction="minimize")
    study.optimize(objective, n_trials=12, n_jobs=3, catch=(ZeroDivisionError,),
                   callbacks=[holdfast.optuna.callback()])
two = optuna.create_study(study_name="two", directions=["minimize", "maximize"])
two.set_metric_names(["loss", "gain"])
two.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 2.0), n_trials=2,
             callbacks=[holdfast.optuna.callback(experiment="pareto")])
print(json.dumps({{
    "parent": parent.run_id,
    "trials": [[t.number, t.state.name, t.value, t.params, t.intermediate_values] for t in study.trials],
    "two": [t.values for t in two.trials],
}}))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(
        tmp_path_factory.mktemp("optuna") / "data", options=("--no-worker", "--no-inference")
    ) as system:
        yield system


def _study(url: str, folder: Path) -> dict:
    if not LIBRARIES.exists():
        pytest.skip("the libraries are not installed: sh tools/judges.sh libraries")
    (folder / "study.py").write_text(_STUDY.format(url=url, source=str(ROOT / "src")))
    done = subprocess.run(
        [LIBRARIES, "-W", "ignore", "study.py"], cwd=folder, capture_output=True, text=True, check=False,
        env={"HOLDFAST_JOURNAL": str(folder / "journal"), "HOME": str(folder), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_trial_is_a_run_of_the_parent(server: System, tmp_path: Path) -> None:
    told = _study(server.url, tmp_path)
    client = Client(server.url)
    runs = {run.tags["optuna.trial"]: client.get_run(run.run_id) for run in client.list_runs("flights")}
    assert len(runs) == len(told["trials"]) == 12
    for number, state, value, params, intermediate in told["trials"]:
        run = runs[str(number)]
        assert run.name == f"flights-{number}" and run.status == ("failed" if state == "FAIL" else "finished")
        assert run.tags[PARENT_TAG] == told["parent"] and run.tags["optuna.user.team"] == "air"
        assert run.tags["optuna.state"] == state.lower() and run.tags["optuna.direction"] == "minimize"
        assert run.params == {key: str(one) for key, one in params.items()}
        logged = run.metrics["value"].last if "value" in run.metrics else None
        assert logged == value
        steps = client.metric_history(run.run_id, "intermediate_value").values if intermediate else []
        assert steps == list(intermediate.values())
        assert run.end_time is not None and run.start_time <= run.end_time
    pareto = [client.get_run(run.run_id) for run in client.list_runs("pareto")]
    found = sorted((run.metrics["loss"].last, run.metrics["gain"].last) for run in pareto)
    assert found == sorted(tuple(values) for values in told["two"]) and PARENT_TAG not in pareto[0].tags
    assert not list((tmp_path / "journal").iterdir())


def test_a_server_that_is_away_stops_no_study(tmp_path: Path) -> None:
    if not LIBRARIES.exists():
        pytest.skip("the libraries are not installed: sh tools/judges.sh libraries")
    code = f"""
import sys
sys.path.insert(0, {str(ROOT / "src")!r})
import optuna, holdfast
study = optuna.create_study()
study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1,
               callbacks=[holdfast.optuna.callback(holdfast.Client("http://127.0.0.1:9"))])
assert len(study.trials) == 1
"""
    done = subprocess.run(
        [LIBRARIES, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False,
        env={"HOLDFAST_JOURNAL": str(tmp_path / "journal"), "HOME": str(tmp_path), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0 and "holdfast sync" in done.stderr, done.stderr
    assert len(list((tmp_path / "journal").iterdir())) == 1


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(holdfast.errors.InvalidInput, match="not installed") as told:
        holdfast.optuna.callback()
    assert "holdfast[tune]" in told.value.hint
