"""Real server processes on data folders of their own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

CONTROL_PLANE_ALONE = ("--no-worker", "--no-inference")


class Server:
    """A `holdfast.app server` process. Started, it has told on its standard output where it serves."""

    def __init__(self, data: Path, *options: str, port: int | None = None) -> None:
        self.data = data
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [
            sys.executable,
            "-m",
            "holdfast.app",
            "server",
            "--data",
            str(data),
            "--port",
            str(self.port),
        ]
        self.process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.banner = self.process.stdout.readline()
        self.http = httpx.Client(base_url=self.url)

    def children(self) -> list[psutil.Process]:
        """Every process below the server's."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def refusal(self) -> str:
        """The last words of a server that refused to start."""
        out, err = self.process.communicate(timeout=20)
        assert (self.process.returncode, self.banner, out) == (1, "", "")
        assert "Traceback" not in err
        return err

    def end(self) -> None:
        """Whatever state it is in: gone, with its children."""
        self.http.close()
        children = self.children() if self.process.poll() is None else []
        self.process.kill()
        self.process.communicate()
        for child in children:
            if child.is_running():
                child.kill()


def free_port() -> int:
    """A port whose successor is free too."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                two.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a server, by default the control plane alone on the test's own folder."""
    started: list[Server] = []

    def make(
        *options: str, data: Path | None = None, port: int | None = None, children: bool = False
    ) -> Server:
        alone = () if children else CONTROL_PLANE_ALONE
        started.append(Server(data or tmp_path / "data", *alone, *options, port=port))
        return started[-1]

    yield make
    for server in started:
        server.end()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One control plane for the tests that only ask it."""
    server = Server(tmp_path_factory.mktemp("server") / "data", *CONTROL_PLANE_ALONE)
    yield server
    server.end()
