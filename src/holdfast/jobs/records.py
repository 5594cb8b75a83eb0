"""The nouns of running a task: what to run, within which limits, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import msgspec

__all__ = ["Executor", "KilledBy", "Limits", "Process", "Result", "Sandbox", "Task"]

Sandbox = Literal["required", "preferred"]
KilledBy = Literal["time", "memory", "processes"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a task may use. Over `wall_s`, `memory_bytes` or `processes` it is killed with all its children.

    wall_s: seconds from start to end, None for no end (a model process that serves).
    memory_bytes: memory of all processes of the task together, and the data segment of each: one process that
        asks for more gets its own MemoryError first. Address space is not limited: numpy and ONNX Runtime
        reserve far more of it than they use.
    threads: what OpenMP, OpenBLAS and MKL are told to use.
    file_bytes: size of any one file that the task writes.
    """

    wall_s: float | None = 600.0
    memory_bytes: int = 4 * 1024**3
    processes: int = 256
    threads: int = 1
    file_bytes: int = 4 * 1024**3


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A command and everything that it may see.

    scratch: existing folder, its working directory, the only place that it can write and that outlives it.
    inputs: files and folders that it may read besides the system's own libraries and this interpreter.
    environment: added to a clean environment; nothing of the caller's is inherited.
    stdin: bytes that `Executor.run` feeds it.
    """

    command: tuple[str, ...]
    scratch: Path
    inputs: tuple[Path, ...] = ()
    environment: dict[str, str] = {}
    limits: Limits = Limits()
    network: bool = False
    stdin: bytes = b""


class Result(msgspec.Struct, frozen=True):
    """What a task did: its exit code (128 + n for signal n), the last 64 KiB of each output, seconds it took,
    and which limit it was killed for, if any.
    """

    exit_code: int
    stdout: str
    stderr: str
    duration_s: float
    killed_by: KilledBy | None

    @property
    def ok(self) -> bool:
        """The task ended by itself with exit code 0."""
        return self.exit_code == 0 and self.killed_by is None


class Process(Protocol):
    """A running task with open pipes. It dies with its parent, and when it breaks a limit."""

    stdin: BinaryIO
    stdout: BinaryIO

    @property
    def killed_by(self) -> KilledBy | None:
        """The limit that it was killed for."""

    def poll(self) -> int | None:
        """The exit code, None while it runs."""

    def wait(self, timeout_s: float | None = None) -> int | None:
        """The exit code once it has ended, None when it still runs after `timeout_s`."""

    def stderr_tail(self, wait_s: float = 0.0) -> str:
        """The last 64 KiB that it wrote to stderr; waits up to `wait_s` for its end."""

    def close(self) -> int:
        """Kill it with all its children, wait for the end and give the exit code. Idempotent, thread-safe."""


class Executor(Protocol):
    """Runs tasks somewhere, isolated from the server's files, keys and network."""

    def run(self, task: Task) -> Result:
        """Run to the end. Raises Unavailable when no sandbox is possible and one is required."""

    def spawn(self, task: Task) -> Process:
        """Start and give the process with its pipes (unbuffered stdin and stdout). Raises as `run` does."""
