"""The server's children: the worker and the inference server, started again when they die, ended with the server."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

__all__ = ["Children", "end_with_parent"]

_log = logging.getLogger("holdfast.children")
_SLOWEST_RESTART_S = 10.0
_GRACE_S = 15.0


class Children:
    """Runs `python -m holdfast.app ARGUMENTS` for each named child.

    `hidden` names variables of the environment that a child does not get. Each child holds the read end of a pipe
    as its standard input: when the server dies, however it dies, the pipe ends and the child ends itself.
    """

    def __init__(
        self, commands: Mapping[str, Sequence[str]], hidden: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._commands = commands
        self._hidden = hidden or {}
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start every child and the threads that watch them."""
        for name in self._commands:
            thread = threading.Thread(target=self._watch, args=(name,), name=f"holdfast-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End every child: SIGTERM, and after 15 s SIGKILL. Returns when all are gone."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(_GRACE_S + 1)

    def _watch(self, name: str) -> None:
        pause = 0.2
        while not self._stopping.is_set():
            started = time.monotonic()
            process = self._spawn(name)
            while process.poll() is None and not self._stopping.wait(0.1):
                continue
            if self._stopping.is_set():
                self._end(process)
                return
            pause = 0.2 if time.monotonic() - started > 30 else min(pause * 2, _SLOWEST_RESTART_S)
            _log.error(
                "child ended",
                extra={"fields": {"child": name, "exit_code": process.returncode, "restart_in_s": pause}},
            )
            self._stopping.wait(pause)

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "holdfast.app", *self._commands[name], "--supervised"]
        # A session of its own: Ctrl-C in a terminal reaches the server alone, which then ends its children in order.
        hidden = self._hidden.get(name, ())
        environment = {key: value for key, value in os.environ.items() if key not in hidden}
        return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdin is not None
        process.stdin.close()


def end_with_parent(stop: threading.Event) -> None:
    """Set `stop` when standard input ends: the server that holds its other end is gone."""

    def watch() -> None:
        while os.read(0, 4096):
            continue
        stop.set()

    threading.Thread(target=watch, name="holdfast-parent", daemon=True).start()
