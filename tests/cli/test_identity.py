"""People, tokens, roles and workspaces from the command line, on a data folder and on a server that needs a login."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.client import Client
from holdfast.kernel.errors import Unauthenticated

PASSWORD = "correct horse battery"


class Machine:
    """A server with a first administrator, made before it started, and commands of this user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.process: subprocess.Popen[str] | None = None

    def run(self, *arguments: object, given: str = "", code: int = 0, **variables: str) -> str:
        """What a command prints; its exit code must be `code`."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
        environment |= {"HOLDFAST_URL": self.url, "HOME": str(self.folder), **variables}
        command = [sys.executable, "-m", "holdfast", *map(str, arguments)]
        done = subprocess.run(
            command,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
        )
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout + done.stderr

    def json(self, *arguments: object, **more: Any) -> Any:
        return json.loads(self.run(*arguments, "--json", **more))

    def start(self) -> None:
        port = self.url.rpartition(":")[2]
        command = [sys.executable, "-m", "holdfast.app", "server", "--port", port, "--data", str(self.data)]
        self.process = subprocess.Popen(
            [*command, "--no-worker", "--no-inference"], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert "serves at" in self.process.stdout.readline()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    made = Machine(tmp_path_factory.mktemp("machine"))
    arguments = ("user", "add", "ada", "--admin", "--password-stdin", "--data", made.data)
    assert made.json(*arguments, given=PASSWORD + "\n")["name"] == "ada"
    made.start()
    yield made
    assert made.process is not None
    made.process.terminate()
    made.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def ada(machine: Machine) -> Callable[..., Any]:
    """Commands of the administrator, who has logged in."""
    machine.run("login", "--user", "ada", "--password-stdin", given=PASSWORD + "\n")
    return machine.json


def test_a_login_is_kept_for_this_user_alone(machine: Machine, ada: Callable[..., Any]) -> None:
    kept = machine.folder / ".holdfast" / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text())[machine.url].startswith("holdfast_")
    assert [one["name"] for one in ada("user", "list")["items"]] == ["ada"]


def test_without_a_login_everything_is_refused(machine: Machine) -> None:
    told = machine.run("runs", "list", code=1, HOME="/nonexistent")
    assert "holdfast login" in told and "unauthenticated" in told
    wrong = machine.run("login", "--user", "ada", "--password-stdin", given="not this one\n", code=1)
    assert "name or the password" in wrong


def test_a_service_account_works_in_its_workspace_alone(machine: Machine, ada: Callable[..., Any]) -> None:
    ada("workspace", "create", "labs", "--description", "trials")
    ada("user", "add", "nightly", "--service")
    machine.run("role", "grant", "nightly", "contributor", "--workspace", "labs")
    listed = ada("role", "list", "--workspace", "labs")["items"]
    assert ("nightly", "contributor", "labs") in {
        (one["name"], one["role"], one["workspace"]) for one in listed
    }
    secret = machine.run("token", "create", "ci", "--of", "nightly", "--days", "30").strip()
    with Client(machine.url, token=secret, workspace="labs") as client:
        assert client.create_experiment("nightly").name == "nightly"
        assert client.whoami().workspaces == ["labs"]
    assert "no workspace 'default'" in machine.run(
        "runs", "list", "--workspace", "default", code=1, HOLDFAST_TOKEN=secret
    )
    (token,) = ada("token", "list", "--of", "nightly")["items"]
    machine.run("token", "revoke", token["id"])
    with Client(machine.url, token=secret) as client, pytest.raises(Unauthenticated, match="revoked"):
        client.whoami()


def test_a_workspace_is_archived_and_taken_back(machine: Machine, ada: Callable[..., Any]) -> None:
    ada("workspace", "create", "old")
    machine.run("workspace", "archive", "old")
    told = machine.run("monitor", "set", "delays", "--clock", "event", "--workspace", "old", code=1)
    assert "The workspace 'old' is archived" in told
    assert ada("endpoint", "list", "--workspace", "old")["items"] == []
    machine.run("workspace", "restore", "old")
    states = {one["name"]: one["archived_at"] for one in ada("workspace", "list")["items"]}
    assert states["old"] is None


@pytest.mark.slow
def test_people_are_disabled_and_erased(machine: Machine, ada: Callable[..., Any]) -> None:
    ada("user", "add", "eve", "--email", "eve@example.com")
    machine.run("user", "disable", "eve")
    assert ada("user", "show", "eve")["is_disabled"] is True
    machine.run("user", "enable", "eve")
    machine.run("user", "remove", "eve")
    assert "'eve'" in machine.run("user", "show", "eve", code=1)
    assert "No administrator" in machine.run("user", "remove", "ada", code=1)


@pytest.mark.slow
def test_a_forgotten_password_is_set_on_the_data_folder(machine: Machine, ada: Callable[..., Any]) -> None:
    machine.run(
        "user", "password", "ada", "--password-stdin", "--data", machine.data, given="another password\n"
    )
    machine.run("login", "--user", "ada", "--password-stdin", given="another password\n")
    machine.run("user", "password", "ada", "--password-stdin", "--data", machine.data, given=PASSWORD + "\n")


@pytest.mark.slow
def test_roles_on_the_deployment_and_of_groups(machine: Machine, ada: Callable[..., Any]) -> None:
    ada("user", "add", "replica", "--service")
    machine.run("role", "grant", "replica", "inference", "--deployment")
    machine.run("role", "grant", "data-team", "viewer", "--group")
    listed = ada("role", "list")
    assert {(one["name"], one["workspace"]) for one in listed["items"]} == {("ada", "*"), ("replica", "*")}
    assert listed["groups"] == [{"group": "data-team", "workspace": "default", "role": "viewer"}]
    machine.run("role", "revoke", "data-team", "--group")
    machine.run("role", "revoke", "replica", "--deployment")
    assert "is not a role of 'default'" in machine.run("role", "grant", "ada", "inference", code=1)


@pytest.mark.slow
def test_single_sign_on_is_set_from_the_command_line(machine: Machine, ada: Callable[..., Any]) -> None:
    assert "There is no single sign-on provider" in machine.run("sso", "show", code=1)
    told = machine.run("sso", "set", "http://127.0.0.1:1", "holdfast", "--secret-stdin", given="s\n", code=1)
    assert "allow-egress" in told
    assert "There is no single sign-on provider" in machine.run("sso", "remove", code=1)


def test_logging_out_revokes_the_token(machine: Machine, ada: Callable[..., Any]) -> None:
    secret = json.loads((machine.folder / ".holdfast" / "credentials.json").read_text())[machine.url]
    machine.run("logout")
    with Client(machine.url, token=secret) as client, pytest.raises(Unauthenticated):
        client.whoami()
    assert "There is no token" in machine.run("logout")
    machine.run("login", "--user", "ada", "--password-stdin", given=PASSWORD + "\n")


def test_a_bad_first_administrator_is_refused(tmp_path: Path, machine: Machine) -> None:
    arguments = ("user", "add", "Ada", "--admin", "--password-stdin", "--data", tmp_path / "other")
    assert "'Ada' is not a name" in machine.run(*arguments, given=PASSWORD + "\n", code=1)
