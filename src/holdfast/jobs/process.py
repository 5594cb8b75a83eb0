"""A running local task: its pipes, the thread that watches its limits, and its end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import BinaryIO, cast

from holdfast.jobs.records import KilledBy, Limits
from holdfast.jobs.usage import measure

__all__ = ["LocalProcess", "Tail"]

_TAIL_BYTES = 64 * 1024
_FIRST_LOOK_S, _LAST_LOOK_S = 0.02, 0.25


class Tail:
    """Drains a pipe in a thread and keeps the last 64 KiB."""

    def __init__(self, pipe: BinaryIO, name: str) -> None:
        self._pipe = pipe
        self._kept = bytearray()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._drain, name=name, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with self._pipe:
            while data := os.read(self._pipe.fileno(), _TAIL_BYTES):
                with self._lock:
                    self._kept += data
                    del self._kept[:-_TAIL_BYTES]

    def text(self, wait_s: float = 0.0) -> str:
        """What is kept, after waiting up to `wait_s` for the end; bytes that are not UTF-8 are replaced."""
        self._thread.join(wait_s)
        with self._lock:
            return self._kept.decode(errors="replace")


class LocalProcess:
    """A task of this machine (see `records.Process`).

    One thread watches time, memory and number of processes; it alone reaps the process, so a kill can never
    hit another one that got its number. `keep` is held for the process's life: the kernel ties that to the
    thread that started it.
    """

    def __init__(self, started: subprocess.Popen[bytes], limits: Limits, keep: object) -> None:
        self._popen = started
        self._limits = limits
        self._keep = keep
        self._killed_by: KilledBy | None = None
        self._exit_code: int | None = None
        self._ends = threading.Lock()
        self._started = time.monotonic()
        self.stdin = cast(BinaryIO, started.stdin)
        self.stdout = cast(BinaryIO, started.stdout)
        self._stderr = Tail(cast(BinaryIO, started.stderr), "jobs-stderr")
        self._watcher = threading.Thread(target=self._watch, name="jobs-watch", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        """The process id of the outermost process."""
        return self._popen.pid

    @property
    def killed_by(self) -> KilledBy | None:
        """The limit that it was killed for."""
        return self._killed_by

    @property
    def age_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started

    def poll(self) -> int | None:
        """The exit code (128 + n for signal n), None while it runs."""
        return self._exit_code

    def wait(self, timeout_s: float | None = None) -> int | None:
        """The exit code once it and all its children have ended, None when they run on after `timeout_s`."""
        self._watcher.join(timeout_s)
        return self._exit_code

    def stderr_tail(self, wait_s: float = 0.0) -> str:
        """The last 64 KiB that it wrote to stderr; waits up to `wait_s` for its end."""
        return self._stderr.text(wait_s)

    def close(self) -> int:
        """Kill it with all its children, wait for the end and give the exit code. Idempotent, thread-safe."""
        self._kill(None)
        code = self.wait()
        assert code is not None
        self.stderr_tail(wait_s=5)
        for pipe in (self.stdin, self.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        return code

    def _watch(self) -> None:
        look_s = _FIRST_LOOK_S
        with _Ending(self._popen) as ending:
            while not ending.within(look_s):
                look_s = min(look_s * 1.3, _LAST_LOOK_S)
                broken = self._broken_limit()
                if broken is not None:
                    self._kill(broken)
        self._reap()

    def _broken_limit(self) -> KilledBy | None:
        limits = self._limits
        if limits.wall_s is not None and self.age_s > limits.wall_s:
            return "time"
        if sys.platform != "linux":
            return None
        usage = measure(self.pid, most=limits.processes + 8)
        if usage.processes > limits.processes:
            return "processes"
        if usage.memory_bytes > limits.memory_bytes:
            return "memory" if measure(self.pid, exact=True).memory_bytes > limits.memory_bytes else None
        return None

    def _kill(self, reason: KilledBy | None) -> None:
        with self._ends:
            if self._exit_code is not None:
                return
            self._killed_by = self._killed_by or reason
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Take the exit code, after killing what the process left running in its group."""
        with self._ends:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, signal.SIGKILL)
            code = self._popen.wait()
            self._exit_code = 128 - code if code < 0 else code


class _Ending:
    """Waits for the end of a process without reaping it, where the kernel offers that."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self._poller: select.poll | None = None
        self._descriptor = -1

    def __enter__(self) -> _Ending:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                self._descriptor = os.pidfd_open(self._popen.pid)
                self._poller = select.poll()
                self._poller.register(self._descriptor, select.POLLIN)
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def within(self, seconds: float) -> bool:
        """Whether it has ended, after at most `seconds`."""
        if self._poller is not None:
            return bool(self._poller.poll(seconds * 1000))
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
