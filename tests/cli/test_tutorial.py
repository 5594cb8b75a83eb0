"""The tutorial is followed word by word, against a whole server, so that what it says stays true."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.client import Client
from holdfast.demo.server import free_port, running_server

_TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "first-model.md"
_BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running_server(tmp_path_factory.mktemp("tutorial") / "data", free_port()) as (made, _):
        yield made


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", _TUTORIAL.read_text(), re.DOTALL)


@pytest.mark.slow
def test_every_command_of_the_tutorial_does_what_it_says(client: Client, tmp_path: Path) -> None:
    scripts = _blocks("python")
    (tmp_path / "make_data.py").write_text(scripts[0])
    (tmp_path / "train.py").write_text(scripts[1])
    environment = {
        **os.environ,
        "HOLDFAST_URL": client.url,
        "HOLDFAST_HOME": str(tmp_path / "home"),  # what another server showed at this address is not for it
        "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}",
    }
    commands = [line for block in _blocks("sh")[1:] for line in block.splitlines()]
    assert len(commands) == 11
    output: dict[str, str] = {}
    for command in commands:
        if command.startswith("holdfast monitor"):
            _wait_for_alert(client)
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        output[command.split(" --")[0]] = done.stdout

    assert "late-deliveries" in output["holdfast deploy deliveries@production"]
    assert "2025-07-01" in output["holdfast monitor show late-deliveries"]
    assert re.search(r"2025-0(6-2\d|6-30|7-0\d)", output["holdfast alert list"])
    assert "alias.set" in output["holdfast audit log"] and output["holdfast audit verify"].startswith("ok")
    assert (
        (tmp_path / "predictions.csv")
        .read_text()
        .startswith("prediction_id,key,event_time,prediction,score_0,score_1")
    )

    months = client.monitor("late-deliveries", window="1mo")["windows"]
    after = [month for month in months if month["start"] >= "2025-07"]
    assert all(
        not found["drifted"]
        for month in months
        for name, found in month["drift"].items()
        if name != "prediction"
    )
    assert all(month["metrics"]["error"]["realised"] > 0.35 for month in after), json.dumps(after)


def _wait_for_alert(client: Client) -> None:
    """The monitor catches up in the background: wait for it as a reader would, a minute at most."""
    end = time.monotonic() + 60
    while not client.list_alerts(endpoint="late-deliveries"):
        assert time.monotonic() < end, client.monitor("late-deliveries")
        time.sleep(0.5)
