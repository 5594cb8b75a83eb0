"""A command recorded as a run: what ran, from which code and packages, what it printed and how it ended."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from holdfast.client.active import ActiveRun, begun_run
from holdfast.client.client import Client
from holdfast.client.connection import is_offline, user_name
from holdfast.client.git import CodeState, code_state
from holdfast.client.lock import installed_distributions
from holdfast.client.machine import Machine, checked_interval
from holdfast.client.records import Run
from holdfast.kernel.errors import HoldfastError, InvalidInput

__all__ = ["CommandResult", "record_command"]

_DIFF = "code.diff"
_PACKAGES = "packages.txt"
_OUTPUT = "output.log"
_EVERY = "HOLDFAST_SYSTEM_METRICS"
_SIGNAL_S = 0.2
_BLOCK = 1 << 16
_PYTHON = re.compile(r"python[0-9.]*(\.exe)?", re.IGNORECASE)
_LIST_PACKAGES = (
    "import importlib.metadata as m\n"
    "print('\\n'.join(sorted({'%s==%s' % (d.metadata['Name'], d.version) for d in m.distributions()"
    " if d.metadata['Name']}, key=str.lower)))"
)


class CommandResult:
    """How a recorded command ended: its run and the exit code to pass on (128 + n for a signal n)."""

    def __init__(self, run: Run, exit_code: int) -> None:
        self.run = run
        self.exit_code = exit_code


def record_command(
    client: Client,
    command: Sequence[str],
    *,
    experiment: str | None = None,
    name: str | None = None,
    environment: Mapping[str, str] | None = None,
    echo: bool = True,
    on_start: Callable[[ActiveRun], None] | None = None,
    mode: str | None = None,
    system_metrics: float | None = None,
) -> CommandResult:
    """Run a command as a tracked run and wait for it.

    The command finds the run through HOLDFAST_RUN_ID. Its output goes to the terminal (with `echo`) and to
    the artifact output.log; signals are passed on. In the mode `offline` (or by HOLDFAST_MODE) nothing is sent before
    `holdfast sync`. `system_metrics` (or HOLDFAST_SYSTEM_METRICS) logs `system/...` of the machine and the command every
    so many seconds. Raises InvalidInput when there is no such command, or psutil is wanted and missing, and
    what the server raises before the command starts; afterwards the command's end counts, and a server that
    went away is reported on standard error.
    """
    program = shutil.which(command[0]) if command else None
    if program is None:
        raise InvalidInput(f"There is no command {command[0] if command else ''!r} to run.")
    every_s = checked_interval(os.environ.get(_EVERY) or 0 if system_metrics is None else system_metrics)
    machine = Machine() if every_s else None
    code = code_state(Path.cwd())
    run = _start(client, experiment, name, _recipe(command, program, code), offline=is_offline(mode))
    _upload_context(run, program, code)
    if on_start is not None:
        on_start(run)
    if machine is not None:
        run.sample_machine(every_s, machine)
    variables = {**os.environ, **(environment or {}), **_link(run)}
    variables.pop(_EVERY, None)  # it is done here, for every process of the command
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / _OUTPUT
        with output.open("wb") as log:
            status = _execute([program, *command[1:]], variables, log, echo)
        exit_code = 128 - status if status < 0 else status
        outcome = "finished" if status == 0 else "killed" if status < 0 else "failed"
        ended: Run | None = None
        try:
            run.add_artifact(_OUTPUT, output)
            ended = run.finish(outcome, exit_code=exit_code)
        except HoldfastError as error:
            print(f"holdfast: the end of run {run.run_id} was not recorded: {error}", file=sys.stderr)  # noqa: T201
            exit_code = exit_code or 1
    return CommandResult(ended or run.finish(), exit_code)


def _start(
    client: Client, experiment: str | None, name: str | None, recipe: dict[str, Any], *, offline: bool
) -> ActiveRun:
    if offline:
        return begun_run(client, experiment, name, user=user_name(), recipe=recipe, offline=True)
    return ActiveRun(client, client.create_run(experiment, name=name, user=user_name(), recipe=recipe))


def _recipe(command: Sequence[str], program: str, code: CodeState | None) -> dict[str, Any]:
    recipe: dict[str, Any] = {
        "command": list(command),
        "cwd": str(Path.cwd()),
        "python": _python_version(program),
        "packages_artifact": _PACKAGES,
        "started_by": user_name(),
    }
    if code is not None:
        recipe.update(git_commit=code.commit, git_dirty=code.dirty)
        if code.diff:
            recipe["git_diff_artifact"] = _DIFF
    return recipe


def _upload_context(run: ActiveRun, program: str, code: CodeState | None) -> None:
    packages = _packages_of(program) if _is_python(program) else installed_distributions()
    run.log_artifact("".join(f"{line}\n" for line in packages).encode(), _PACKAGES)
    if code is not None and code.diff:
        run.log_artifact(code.diff, _DIFF)


def _link(run: ActiveRun) -> dict[str, str]:
    """The environment variables by which the command's own process joins the run."""
    connection = run.client.connection
    link = {"HOLDFAST_URL": connection.url, "HOLDFAST_RUN_ID": run.run_id, "PYTHONUNBUFFERED": "1"}
    if run.is_offline:
        link["HOLDFAST_MODE"] = "offline"
    if connection.token:
        link["HOLDFAST_TOKEN"] = connection.token
    if connection.workspace:
        link["HOLDFAST_WORKSPACE"] = connection.workspace
    return link


def _is_python(program: str) -> bool:
    return _PYTHON.fullmatch(Path(program).name) is not None


def _python_version(program: str) -> str:
    """The version of the command's Python, or of this one when the command is no Python."""
    if not _is_python(program):
        return sys.version.split()[0]
    code = "import platform; print(platform.python_version())"
    return subprocess.run([program, "-c", code], capture_output=True, text=True, check=False).stdout.strip()


def _packages_of(program: str) -> list[str]:
    listed = subprocess.run([program, "-c", _LIST_PACKAGES], capture_output=True, text=True, check=False)
    return listed.stdout.splitlines()


def _execute(arguments: Sequence[str], variables: Mapping[str, str], log: IO[bytes], echo: bool) -> int:
    """Run to the end and give the return code of `subprocess`: negative for a signal."""
    lock = threading.Lock()
    with _Signals() as signals:
        process = subprocess.Popen(
            arguments, env=dict(variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        signals.pass_to(process)
        streams = ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
        threads = [
            threading.Thread(
                target=_tee, args=(source, terminal.buffer if echo else None, log, lock), daemon=True
            )
            for source, terminal in streams
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            # A signal that comes just before a wait without end would be handled only after it.
            while thread.is_alive():
                thread.join(_SIGNAL_S)
        return process.wait()


def _tee(source: IO[bytes], terminal: IO[bytes] | None, log: IO[bytes], lock: threading.Lock) -> None:
    """Copy a stream: to the terminal as it comes, to the log line by line, so that no line is cut by the other
    stream's. A closed terminal (`| head`) must not stop the command: the log goes on.
    """
    begun = b""
    while block := os.read(source.fileno(), _BLOCK):
        lines, newline, begun = (begun + block).rpartition(b"\n")
        if len(begun) > _BLOCK:  # a line without end
            lines, begun = lines + newline + begun, b""
            newline = b""
        with lock:
            log.write(lines + newline)
        if terminal is not None:
            try:
                terminal.write(block)
                terminal.flush()
            except (BrokenPipeError, ValueError):
                terminal = None
    with lock:
        log.write(begun)
    source.close()


class _Signals:
    """Passes signals on to the command, also those that come before it has started. Ctrl-C in a terminal reaches
    it by itself, so it is only outlived here.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}
        self._from_terminal = sys.stdin is not None and sys.stdin.isatty()

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if os.name == "posix" else ("SIGINT",)
            for number in (getattr(signal, name) for name in names):
                self._before[number] = signal.signal(number, self._forward)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def pass_to(self, process: subprocess.Popen[bytes]) -> None:
        """The command has started: it gets what came meanwhile, and all that comes."""
        self._process = process
        for number in self._early:
            self._forward(number, None)

    def _forward(self, number: int, _: object) -> None:
        if self._process is None:
            self._early.append(number)
        elif self._process.poll() is None and not (number == signal.SIGINT and self._from_terminal):
            self._process.send_signal(number)
