"""A whole holdfast on a data folder, whose processes can be killed by pid."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from sklearn.linear_model import LogisticRegression

import holdfast
from holdfast.kernel.errors import HoldfastError
from holdfast.settings import DATABASE_VARIABLE

__all__ = ["ENDPOINT", "System", "build_shim", "told", "train_and_deploy", "wait_until"]

ENDPOINT = "clicks"


def wait_until(what: str, check: Callable[[], Any], seconds: float = 60) -> Any:
    """The first true answer of `check`; AssertionError naming `what` after `seconds`."""
    until = time.monotonic() + seconds
    last: Exception | None = None
    while time.monotonic() < until:
        try:
            if found := check():
                return found
        except (HoldfastError, OSError) as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"after {seconds} s: not yet {what} ({last})")


def build_shim(source: str, folder: Path) -> Path:
    """Compile a C file that stands beside this one, to be loaded before libc; skips where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip(f"needs a C compiler for {source}: apt-get install gcc libc6-dev")
    library = (folder / source).with_suffix(".so")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(Path(__file__).with_name(source))]
    done = subprocess.run([*command, "-ldl"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return library


def told(seconds: Sequence[float]) -> str:
    """The median and the longest of some durations, to be printed."""
    return f"after {sorted(seconds)[len(seconds) // 2]:.2f} s in the median, {max(seconds):.2f} s at most"


def free_ports() -> int:
    """A port whose successor is free too."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


class System:
    """`holdfast server` with its worker and inference server, on SQLite or at a PostgreSQL `address`."""

    def __init__(self, data: Path, address: str = "", options: Sequence[str] = ()) -> None:
        self.data = data
        self.options = options
        self._environment = {**os.environ, **({DATABASE_VARIABLE: address} if address else {})}
        self.port = free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self.inference_url = f"http://127.0.0.1:{self.port + 1}"
        self.process: subprocess.Popen[bytes] | None = None
        self._orphans: list[psutil.Process] = []

    def __enter__(self) -> System:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        command = [
            sys.executable,
            "-m",
            "holdfast.app",
            "server",
            "--data",
            str(self.data),
            "--port",
            str(self.port),
            *self.options,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=self._environment)
        wait_until("ready", self._is_ready)

    def _is_ready(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/ready", timeout=10) as answer:
            return int(answer.status) == 200

    def child(self, name: str) -> psutil.Process | None:
        """The running child `worker` or `inference`."""
        assert self.process is not None
        for process in psutil.Process(self.process.pid).children():
            try:
                if name in process.cmdline():
                    return process
            except psutil.NoSuchProcess:
                continue
        return None

    def kill(self, *names: str, pause_s: float = 0) -> None:
        """SIGKILL the processes `server`, `worker` and `inference` in this order; the server is started again."""
        children = [name for name in names if name != "server"]
        found = {name: wait_until(f"a {name}", lambda name=name: self.child(name)) for name in children}
        for name in names:
            if name == "server":
                self._kill_server()
            else:
                found[name].kill()
            time.sleep(pause_s)
        if "server" in names:
            self.start()

    def _kill_server(self) -> None:
        """Its children end by themselves; a worker may finish its step beside the next server's."""
        assert self.process is not None
        self._orphans += psutil.Process(self.process.pid).children()
        inference = self.child("inference")
        self.process.kill()
        self.process.wait()
        if inference is not None:
            inference.wait(30)  # it holds the port that the next one takes

    def told_of_inference(self) -> str:
        """What the inference server says of itself, for a failure's message."""
        try:
            with urllib.request.urlopen(f"{self.inference_url}/v2/health/ready", timeout=10) as answer:
                return f"inference: {answer.read(500)!r}"
        except OSError as error:
            return f"inference: {error!r}"

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(40)
        _gone, alive = psutil.wait_procs(self._orphans, timeout=30)
        assert not alive, f"children outlived the server: {[process.cmdline() for process in alive]}"
        return code


def make_rows(rows: int, seed: int = 0) -> pd.DataFrame:
    """Two features and a target that follows them."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=rows), "y": rng.normal(size=rows)})
    frame["clicked"] = (frame["x"] + 0.5 * frame["y"] + rng.normal(size=rows) > 0).astype(int)
    return frame


def train_and_deploy(client: holdfast.Client, url: str) -> None:
    """One tracked logistic regression, registered and live at ENDPOINT."""
    frame = make_rows(2000)
    model = LogisticRegression().fit(frame[["x", "y"]], frame["clicked"])
    holdfast.init(url, experiment="clicks")
    with holdfast.start_run():
        holdfast.log_model(
            model, name="clicks", reference=make_rows(1000, 1), target="clicked", register="clicks"
        )
    client.deploy("clicks", endpoint=ENDPOINT, clock="event")
    client.wait_until_live(ENDPOINT)
