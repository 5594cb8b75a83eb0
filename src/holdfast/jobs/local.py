"""The executor of this machine: child processes in a bubblewrap sandbox."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from holdfast.jobs.process import LocalProcess, Tail
from holdfast.jobs.records import Result, Sandbox, Task
from holdfast.jobs.sandbox import find_bubblewrap, sandboxed
from holdfast.kernel.errors import InvalidInput, Unavailable

__all__ = ["LocalExecutor"]

_LAUNCH = Path(__file__).with_name("launch.py")
_DRAIN_S = 10.0


class LocalExecutor:
    """Runs tasks as child processes of this one (see `records.Executor`). Thread-safe.

    hidden: folders that no task may see (the data folder). sandbox: `required` refuses to run anything where
    bubblewrap does not work; `preferred` then runs plain child processes, which see what the server sees:
    for a server of a single user on loopback only.
    """

    def __init__(self, *, hidden: Sequence[Path] = (), sandbox: Sandbox = "required") -> None:
        self._hidden = tuple(hidden)
        self._sandbox: Sandbox = sandbox
        # A child dies with the *thread* that started it (PR_SET_PDEATHSIG): one long-lived thread starts all.
        self._running: weakref.WeakSet[LocalProcess] = weakref.WeakSet()
        self._closed = threading.Event()
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jobs-start")

    @property
    def isolated(self) -> bool:
        """Whether tasks run in a sandbox here."""
        return self._bubblewrap[0] is not None

    @cached_property
    def _bubblewrap(self) -> tuple[str | None, str]:
        return find_bubblewrap()

    def run(self, task: Task) -> Result:
        """Run to the end, feed `task.stdin`, keep the tail of both outputs.

        Raises Unavailable when no sandbox works here and one is required, or when the executor is closed;
        InvalidInput for a missing path.
        """
        process = self.spawn(task)
        stdout = Tail(process.stdout, "jobs-stdout")
        feeder = threading.Thread(target=_feed, args=(process, task.stdin), name="jobs-stdin", daemon=True)
        feeder.start()
        code = process.wait()
        assert code is not None
        duration_s = process.age_s
        feeder.join(_DRAIN_S)
        self._refuse_when_closed()
        out, err = stdout.text(_DRAIN_S), process.stderr_tail(_DRAIN_S)
        return Result(code, out, err, duration_s, process.killed_by)

    def spawn(self, task: Task) -> LocalProcess:
        """Start the task and give its process with unbuffered pipes. Raises as `run` does."""
        self._refuse_when_closed()
        line = self._command_line(task)
        popen = self._starter.submit(_start, line, task, _clean_environment(task, self.isolated)).result()
        process = LocalProcess(popen, task.limits, self)
        self._running.add(process)
        if self._closed.is_set():
            process.close()
        return process

    def close(self) -> None:
        """Kill all that runs and refuse what comes; `run` raises Unavailable for a task that was cut short."""
        self._closed.set()
        for process in list(self._running):
            process.close()

    def _refuse_when_closed(self) -> None:
        if self._closed.is_set():
            raise Unavailable("This process is stopping and runs no more tasks.", retry_after_s=5)

    def _command_line(self, task: Task) -> list[str]:
        _check(task)
        path, why = self._bubblewrap
        if path is not None:
            return sandboxed(task, path, self._hidden)
        if self._sandbox == "preferred":
            return list(task.command)
        raise Unavailable(
            f"No sandbox for running other people's code: {why}.",
            hint="Install it (Debian, Ubuntu: `apt install bubblewrap`) and allow user namespaces.",
            retry_after_s=60,
        )


def _check(task: Task) -> None:
    if not task.scratch.is_dir():
        raise InvalidInput(f"The scratch folder {str(task.scratch)!r} is not there.")
    for path in (*task.inputs, task.scratch):
        if not path.is_absolute() or ".." in path.parts:
            raise InvalidInput(f"The task's path {str(path)!r} is not absolute and normal.")
        if not path.exists():
            raise InvalidInput(f"The task's input {str(path)!r} is not there.")


def _start(line: list[str], task: Task, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    limits = {
        "memory_bytes": task.limits.memory_bytes,
        "file_bytes": task.limits.file_bytes,
        "parent": os.getpid(),
    }
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_LAUNCH), json.dumps(limits), *line],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd=task.scratch,
        env=environment,
        start_new_session=True,
    )


def _clean_environment(task: Task, isolated: bool) -> dict[str, str]:
    """Nothing of the server's environment but the time zone; homes that hold no one's files."""
    home = "/tmp" if isolated else str(task.scratch)  # a private /tmp inside the sandbox
    threads = str(task.limits.threads)
    clean = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "NUMEXPR_NUM_THREADS": threads,
        "VECLIB_MAXIMUM_THREADS": threads,
        "LOKY_MAX_CPU_COUNT": threads,
        "POLARS_MAX_THREADS": threads,
    }
    if "TZ" in os.environ:
        clean["TZ"] = os.environ["TZ"]
    return clean | task.environment


def _feed(process: LocalProcess, data: bytes) -> None:
    """Write `data` to a raw pipe, which may take it in parts, and close it; a reader may have left."""
    rest = memoryview(data)
    with contextlib.suppress(OSError), process.stdin:
        while rest:
            rest = rest[process.stdin.write(rest) :]
