"""Runs that were made without a server, delivered later."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

_SCRIPT = """
import math, holdfast
with holdfast.start_run("first", experiment="cli-offline", params={"depth": 3}, tags={"team": "air"}) as run:
    for step in range(2500):
        holdfast.log_metrics({"loss": 1 / (step + 1), "bad": math.nan})
    holdfast.log_artifact(b"notes", "notes.txt")
    holdfast.log_artifact("folder")
    model = run.upload_model("model", {"a.txt": b"a", "b/c.txt": b"c"})
    assert model.status == "pending"
print(run.run_id, model.model_id)
"""
_NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def offline(holdfast, tmp_path: Path) -> tuple[str, str]:
    """A run made offline, for a server that is not there: its id and its model's."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "deep.txt").write_text("deep")
    (tmp_path / "train.py").write_text(_SCRIPT)
    done = holdfast("run", "--offline", "--", sys.executable, "train.py", HOLDFAST_URL=_NOBODY)
    assert done.returncode == 0 and "holdfast sync" in done.stderr, done.stderr
    outer = done.stderr.partition("/runs/")[2][:32]
    inner, model_id = done.stdout.split()
    assert inner == outer
    return outer, model_id


def test_a_run_made_offline_arrives_whole_and_once(
    holdfast, url: str, client, offline: tuple[str, str]
) -> None:
    run_id, model_id = offline
    assert "No server answers" in holdfast("sync").stderr
    done = holdfast("sync", "--server", url)
    assert done.returncode == 0 and f"{url}/runs/{run_id}" in done.stdout, done.stderr
    run = client.get_run(run_id)
    assert (run.status, run.exit_code, run.params, run.tags) == (
        "finished",
        0,
        {"depth": "3"},
        {"team": "air"},
    )
    assert run.metrics["loss"].count == 2500 and run.metrics["bad"].last_step == 2499
    assert run.recipe is not None and run.recipe["command"][-1] == "train.py" and run.digest
    paths = {item.path for item in client.list_artifacts(run_id)}
    assert paths == {"notes.txt", "folder/deep.txt", "output.log", "packages.txt"}
    assert client.get_logged_model(model_id).status == "ready"
    assert holdfast("sync").stdout == "Nothing to deliver.\n"


def test_a_sync_that_was_stopped_anywhere_goes_on(
    holdfast, url: str, client, offline: tuple[str, str], tmp_path: Path
) -> None:
    from holdfast.client.journal import Courier
    from holdfast.client.journal.folder import list_journals

    run_id, _ = offline
    for folder, head in list_journals(tmp_path / ".holdfast" / "journal"):
        for _ in range(100):  # a new process for each request
            courier = Courier(client, folder, head)
            count, refusal = courier.ship_next()
            courier.close()
            assert refusal is None
            if count == 0:
                break
    assert holdfast("sync", "--server", url).returncode == 0
    run = client.get_run(run_id)
    assert run.metrics["loss"].count == 2500 and run.status == "finished"


def test_one_journal_can_be_carried_to_another_machine(
    holdfast, url: str, client, offline: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / ".holdfast" / "journal").rename(tmp_path / "carried")
    for folder in sorted((tmp_path / "carried").iterdir()):
        done = holdfast("sync", folder, "--server", url, "--json")
        assert json.loads(done.stdout)["items"][0]["is_done"], done.stderr
    assert client.get_run(offline[0]).metrics["loss"].count == 2500


def test_the_same_id_gives_the_same_run_and_model(client) -> None:
    run = client.create_run("cli-offline", run_id="ab" * 16, start_time=1_700_000_000_000)
    assert client.create_run("cli-offline", run_id="ab" * 16) == run and run.start_time == 1_700_000_000_000
    model = client.store_model(run.run_id, "m", {"a": b"a"}, model_id="m-" + "cd" * 16)
    assert client.store_model(run.run_id, "m", {"a": b"a"}, model_id=model.model_id) == model
    other = client.create_run("cli-offline")
    with pytest.raises(Exception, match="of another run"):
        client.create_logged_model(other.run_id, "m", model_id=model.model_id)
    for wrong in ("x", "AB" * 16, "m-1"):
        with pytest.raises(Exception, match="not an id"):
            client.create_run(run_id=wrong)
    with pytest.raises(Exception, match="not an id"):
        client.create_logged_model(run.run_id, "m", model_id="ab" * 16)
