from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def test_empty_lists_teach(holdfast) -> None:
    assert "holdfast deploy" in holdfast("endpoint", "list").stdout
    assert holdfast("alert", "list").stdout == "No alerts.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["endpoint", "show", "nowhere"],
        ["endpoint", "delete", "nowhere", "--yes"],
        ["predict", "nowhere", "rows.csv"],
        ["feedback", "nowhere", "rows.csv"],
        ["monitor", "show", "nowhere"],
        ["alert", "list", "--endpoint", "nowhere"],
        ["predictions", "show", "nowhere"],
        ["deploy", "nothing@production", "--endpoint", "e"],
    ],
)
def test_an_unknown_name_is_named(holdfast, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "rows.csv").write_text("a\n1\n")
    done = holdfast(*arguments)
    assert done.returncode == 1
    assert "nowhere" in done.stderr or "nothing" in done.stderr
    assert "Code: not_found" in done.stderr


def test_an_external_endpoint_is_set_up_and_labelled(holdfast, tmp_path: Path) -> None:
    reference = tmp_path / "reference.csv"
    reference.write_text("a,late\n1.5,0\n2.5,1\n")
    done = holdfast(
        "monitor", "set", "cli-external", "--task", "binary", "--target", "late", "--window", "1d",
        "--reference", reference, "--json",
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert (found["kind"], found["clock"], found["window"], found["task"]) == (
        "external",
        "event",
        "1d",
        "binary",
    )
    assert found["reference"]["source"] == "file" and found["reference"]["rows"] == 2
    (tmp_path / "truth.csv").write_text("id,y\nk1,1\nk2,\nk3,0\n")
    done = holdfast("feedback", "cli-external", "truth.csv", "--key", "id", "--label", "y")
    assert done.stdout == "Delivered 2 labels of 3 rows to cli-external.\n", done.stderr
    assert json.loads(holdfast("predictions", "show", "cli-external", "--json").stdout)["labels"] == 2
    unknown = "018f0000-0000-7000-8000-000000000000.0"
    for asked in (["--key", "nope"], [unknown], ["--key", "nope", "--json"]):
        done = holdfast("predictions", "show", "cli-external", *asked)
        assert (done.returncode, done.stdout) == (1, "")
        assert "'cli-external' has no prediction " in done.stderr
        assert "'nope'" in done.stderr or repr(unknown) in done.stderr
        assert "Code: not_found" in done.stderr
    assert "cli-external" in holdfast("endpoint", "list").stdout
    done = holdfast("endpoint", "show", "cli-externl")
    assert "Did you mean 'cli-external'?" in done.stderr


def test_other_addresses_than_loopback_are_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "holdfast", "server", "--host", "0.0.0.0", "--data", str(tmp_path / "d")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1 and "'0.0.0.0'" in done.stderr


def test_without_the_server_extra_the_commands_say_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'starlette' else find(name, *a)\n"
        "sys.argv = ['holdfast', *sys.argv[1:]]\n"
        "from holdfast.cli import main\n"
        "main()\n"
    )
    for command, extra in (
        ("server", "server"),
        ("worker", "server"),
        ("serve", "server"),
        ("demo", "server,demo"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, command], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 1
        assert f"pip install 'holdfast[{extra}]'" in done.stderr
