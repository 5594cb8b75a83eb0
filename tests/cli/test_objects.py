"""`holdfast objects` as a real process, beside a running server."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from holdfast.client import Client
from tests.cli.conftest import Holdfast


@pytest.fixture
def data(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the session's server."""
    (found,) = tmp_path_factory.getbasetemp().glob("server[0-9]*/data")
    return found


def test_upkeep_beside_a_running_server(
    holdfast: Holdfast, client: Client, data: Path, tmp_path: Path
) -> None:
    run = client.create_run()
    large = os.urandom(300_000)
    client.upload_artifact(run.run_id, "large.bin", large)
    packed = json.loads(holdfast("objects", "pack", "--data", data, "--json").stdout)
    assert packed["packed"] >= 1
    shown = json.loads(holdfast("objects", "show", "--data", data, "--json").stdout)
    assert (shown["loose"], shown["packs"] >= 1, shown["conditional_put"]) == (0, True, True)
    assert client.download_artifact(run.run_id, "large.bin", tmp_path / "back").read_bytes() == large
    collected = json.loads(holdfast("objects", "gc", "--data", data, "--json").stdout)
    assert (collected["objects"], collected["orphans"]) == (0, 0)
    done = holdfast("objects", "verify", "--data", data)
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["ok", "True"]), done.stderr


def test_damage_is_named_with_what_refers_to_it(holdfast: Holdfast, client: Client, data: Path) -> None:
    run = client.create_run()
    client.upload_artifact(run.run_id, "notes.txt", b"before the damage")
    (damaged,) = [
        path for path in (data / "objects" / "loose").iterdir() if path.read_bytes() == b"before the damage"
    ]
    damaged.write_bytes(b"after the damage!")
    done = holdfast("objects", "verify", "--data", data)
    assert done.returncode == 1
    assert "DAMAGED" in done.stdout
    assert f"referred to by run {run.run_id}: notes.txt" in done.stdout
    report = json.loads(holdfast("objects", "verify", "--data", data, "--json").stdout)
    assert [damage["problem"] for damage in report["damaged"]] == ["Its bytes have another digest."]
    client.upload_artifact(run.run_id, "notes.txt", b"something else")
    damaged.write_bytes(b"before the damage")
    assert holdfast("objects", "verify", "--data", data).returncode == 0


def test_a_folder_without_a_database_is_told(holdfast: Holdfast, tmp_path: Path) -> None:
    done = holdfast("objects", "show", "--data", tmp_path / "nothing")
    assert (done.returncode, "no holdfast database" in done.stderr) == (1, True)


def test_an_unknown_store_is_told(holdfast: Holdfast, data: Path) -> None:
    done = holdfast("objects", "show", "--data", data, "--objects", "ftp://host/x")
    assert (done.returncode, "no scheme that holdfast knows" in done.stderr) == (1, True)
