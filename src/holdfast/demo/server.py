"""The demo's own server: `holdfast server` as a child process on a free port."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from holdfast.client import Client, ServingStatus
from holdfast.client.api import Api
from holdfast.client.transport import HttpTransport
from holdfast.kernel.errors import HoldfastError, Unavailable

__all__ = ["free_port", "running_server"]

_START_S = 60.0
_ANSWER_S = 2.0
_STOP_S = 20.0
_POLL_S = 0.1


@contextmanager
def running_server(data: Path, port: int) -> Iterator[tuple[Client, subprocess.Popen[bytes]]]:
    """A client of a server that runs on `data` within the block, and the server's process.

    Raises Unavailable with the server's last words when it does not come up.
    """
    for taken in (port, port + 1):
        if not _is_free(taken):
            raise Unavailable(
                f"The port {taken} is in use.",
                hint="Choose another with --port; it and the next must be free.",
            )
    arguments = ["server", "--port", str(port), "--data", str(data)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "holdfast.app", *arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process)
            with Client(url) as client:
                yield client, process
        except HoldfastError as error:
            if process.poll() is not None:
                error.hint = (
                    f"{error.hint}\nThe server ended with code {process.returncode}:\n{_tail(log)}".strip()
                )
            raise
        finally:
            _stop(process)


def free_port(preferred: int = 5000) -> int:
    """`preferred` when it and the port after it (for inference) are free, else another such port."""
    if _is_free(preferred) and _is_free(preferred + 1):
        return preferred
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = int(listener.getsockname()[1])
        if port < 65535 and _is_free(port) and _is_free(port + 1):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the control plane answers and an inference server is known."""
    end = time.monotonic() + _START_S
    api = Api(HttpTransport(url, timeout_s=_ANSWER_S), attempts=1)
    while process.poll() is None:
        try:
            if api.get("/api/v1/serving", ServingStatus).inference_url:
                return
        except Unavailable:
            pass
        if time.monotonic() > end:
            raise Unavailable(f"The server at {url} did not become ready within {_START_S:.0f} s.")
        time.sleep(_POLL_S)
    raise Unavailable("The server did not start.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tail(log: IO[bytes], size: int = 2000) -> str:
    log.seek(0, 2)
    log.seek(max(0, log.tell() - size))
    return log.read().decode("utf-8", "replace").strip()
