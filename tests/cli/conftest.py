"""A real server for the command line, and the command as a real process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.client import Client

Holdfast = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's data folder."""
    return tmp_path_factory.mktemp("server") / "data"


@pytest.fixture
def admin_token(url: str, data: Path) -> str:
    """The administrator's secret."""
    return (data / "admin.token").read_text().strip()


@pytest.fixture(scope="session")
def url(data: Path) -> Iterator[str]:
    """The address of a control plane without worker and inference server."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    arguments = ["server", "--port", str(port), "--data", str(data), "--no-worker", "--no-inference"]
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast.app", *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "serves at" in process.stdout.readline()
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.communicate(timeout=20)


@pytest.fixture
def holdfast(url: str, tmp_path: Path) -> Holdfast:
    """Runs `holdfast ARGUMENTS` in an own folder and gives the finished process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    environment |= {"HOLDFAST_URL": url, "HOME": str(tmp_path)}

    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "holdfast", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment | variables, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as made:
        yield made
