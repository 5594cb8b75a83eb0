"""A server process of its own over a data folder, and what a user does with it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from holdfast.client import Client
from holdfast.client.active import ActiveRun

__all__ = ["Plane"]


class Plane:
    """A control plane without worker and inference server: what is measured runs alone."""

    def __init__(self, data: Path) -> None:
        self.data = data
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{port}"
        self._command = [
            sys.executable, "-m", "holdfast.app", "server", "--no-worker", "--no-inference",
            "--data", str(data), "--port", str(port),
        ]  # fmt: skip

    def __enter__(self) -> Plane:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/ready", timeout=5):
                    return self
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def start_run(self) -> ActiveRun:
        """A run that logs to this server."""
        client = Client(self.url)
        return ActiveRun(client, client.create_run())

    def pack(self) -> dict[str, Any]:
        """Pack everything that is loose, as the worker does after ten minutes."""
        return self._objects("pack")

    def stats(self) -> dict[str, Any]:
        """What the store holds, and the size of the database."""
        size = sum(path.stat().st_size for path in self.data.glob("holdfast.db*"))
        return {**self._objects("show"), "database_bytes": size}

    def _objects(self, verb: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "holdfast.app", "objects", verb, "--data", str(self.data), "--json"]
        answer: dict[str, Any] = json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        )
        return answer
