"""A real control plane and real inference servers as processes, without the worker: tests do its work by hand."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from holdfast.app.prepare import prepare_pending
from holdfast.app.services import Services, open_services
from holdfast.client.logged_model import write_model
from holdfast.identity.service import OPEN
from holdfast.kernel.ids import uuid7
from holdfast.kernel.principal import Caller
from holdfast.predictions.compact import compact_pending
from holdfast.registry.records import ModelVersion
from holdfast.serving.records import DeployRequest
from holdfast.settings import Settings

__all__ = ["ENDPOINT", "Plane", "Replica", "infer_body", "wait_until"]

ENDPOINT = "delays"


def wait_until(what: str, check: Callable[[], Any], seconds: float = 30) -> Any:
    """The first true answer of `check`; AssertionError naming `what` after `seconds`."""
    until = time.monotonic() + seconds
    last: Exception | None = None
    while time.monotonic() < until:
        try:
            if found := check():
                return found
        except (OSError, http.client.HTTPException) as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"after {seconds} s: not yet {what} ({last})")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def infer_body(x: float = 1.0, y: float = 0.5, **more: Any) -> bytes:
    """One row for the models of `Plane.add_version`."""
    inputs = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in (("x", x), ("y", y))
    ]
    return json.dumps({"inputs": inputs, **more}).encode()


class Plane:
    """`holdfast server` alone, and the services behind it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.workspace = "default"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()
        self.services: Services = open_services(Settings(data=data))

    def start(self) -> None:
        command = [sys.executable, "-m", "holdfast.app", "server", "--no-worker", "--no-inference"]
        command += ["--data", str(self.data), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until("a control plane", lambda: self._get("/ready") == 200)

    def _get(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)

    def close(self) -> None:
        self.stop()
        self.services.close()

    @property
    def caller(self) -> Caller:
        return Caller(OPEN, self.workspace, uuid7(), self.services.clock.now_ms())

    def add_version(self, seed: int = 0) -> ModelVersion:
        """Register and prepare a logistic regression of x and y."""
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({"x": rng.normal(size=200), "y": rng.normal(size=200)})
        frame["late"] = (frame["x"] + seed * frame["y"] > 0).astype(int)
        model = LogisticRegression().fit(frame[["x", "y"]], frame["late"])
        return self.register(write_model(model, reference=frame, target="late"))

    def register(self, files: dict[str, bytes]) -> ModelVersion:
        services, caller = self.services, self.caller
        logged = services.models.create_model(caller, name="flights", run_id=None)
        for path, data in files.items():
            services.models.put_file(caller, logged.model_id, path, iter([data]))
        services.models.finalize_model(caller, logged.model_id)
        version = services.registry.register_version(caller, "flights", logged.model_id)
        prepare_pending(services, "test", threading.Event())
        return services.registry.get_version(caller, "flights", version.version)

    def deploy(self, version: int, endpoint: str = ENDPOINT, clock: str = "event") -> None:
        self.services.serving.deploy(self.caller, DeployRequest(endpoint, f"flights/{version}", clock=clock))

    def status(self, endpoint: str = ENDPOINT) -> str:
        return self.services.predictions.get_endpoint(self.caller, endpoint).status

    def compact(self) -> None:
        while self.services.predictions.pending_endpoints():
            compact_pending(self.services.predictions, self.services.clock, "test")

    def tables(self, endpoint: str = ENDPOINT) -> tuple[Path, Path]:
        found = self.services.predictions.get_endpoint(self.caller, endpoint)
        return self.services.predictions.tables(found.endpoint_id)


class Replica:
    """One inference server as a process."""

    def __init__(self, plane: Plane, data: Path, *, supervised: bool = False, name: str = "") -> None:
        self.port = free_port()
        self.data = data
        self._command = [sys.executable, "-m", "holdfast.app", "inference", "--server", plane.url]
        self._command += ["--data", str(data), "--port", str(self.port)]
        self._command += ["--token-file", str(plane.data / "inference.token")]
        self._command += ["--supervised"] if supervised else []
        self._command += ["--replica", name] if name else []
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Replica:
        self.process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        wait_until("an inference server", lambda: self.get("/v2/health/live")[0] == 200)
        return self

    def __enter__(self) -> Replica:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        assert self.process.stdin is not None
        self.process.stdin.close()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """(status, headers by lower-case name, the decoded JSON or the text)."""
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {"content-type": "application/json"})
            answer = connection.getresponse()
            data = answer.read()
            named = {name.lower(): value for name, value in answer.getheaders()}
            is_json = named.get("content-type") == "application/json"
            return answer.status, named, msgspec.json.decode(data) if is_json and data else data.decode()
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, Any]:
        status, _, body = self.request("GET", path)
        return status, body

    def infer(self, body: bytes, endpoint: str = ENDPOINT) -> tuple[int, dict[str, str], Any]:
        return self.request("POST", f"/v2/models/{endpoint}/infer", body)

    def wait_live(self, version: int, endpoint: str = ENDPOINT) -> None:
        path = f"/v2/models/{endpoint}/versions/{version}/ready"
        wait_until(f"version {version} live", lambda: self.get(path)[0] == 200)
