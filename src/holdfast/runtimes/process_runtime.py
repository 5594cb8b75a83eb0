"""The original model in a sandboxed process of its own environment."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from holdfast.jobs.records import Executor, Limits, Process, Task
from holdfast.kernel.errors import HoldfastError, InvalidInput, Unavailable
from holdfast.runtimes.channel import Channel, EndedError, LateError
from holdfast.runtimes.records import Deployable, Outputs, RuntimeKind, Scalar

__all__ = ["PROGRAM", "SERVING_LIMITS", "ProcessRuntime"]

PROGRAM = Path(__file__).parent.resolve() / "program"
SERVING_LIMITS = Limits(wall_s=None, memory_bytes=4 * 1024**3, processes=64, file_bytes=256 * 1024**2)
_START_S = 120.0
_MOST_ANSWER_BYTES = 256 * 1024**2
_FIRST_PAUSE_S, _LAST_PAUSE_S = 1.0, 30.0


class _Answer(msgspec.Struct):
    """A line of the program: ready, an answer, an error, or what is wrong with the model's answer."""

    id: int = 0
    ready: bool = False
    label: list[Scalar | None] | None = None
    probabilities: list[list[float | None]] | None = None
    error: str = ""
    fault: str = ""
    traceback: str = ""


class ProcessRuntime:
    """Answers from the original (see `records.Runtime`). Thread-safe: one request at a time, the others wait.

    A process that dies or misses the deadline is killed, its request is answered Unavailable, and the next request
    starts it again; while it does not start, requests are refused at once with a growing pause.
    """

    kind: RuntimeKind = "process"

    def __init__(
        self,
        folder: Path,
        deployable: Deployable,
        executor: Executor,
        python: Path,
        *,
        deadline_s: float = 10.0,
        limits: Limits = SERVING_LIMITS,
    ) -> None:
        """Start the process and wait until the model is loaded.

        folder: the model's files. python: the interpreter of its environment. deadline_s: longest wait for an
        answer, including the wait for earlier requests. Raises InvalidInput with the model's own words when it
        does not load, Unavailable when the process can't run.
        """
        self._deployable = deployable
        self._executor = executor
        self._deadline_s = deadline_s
        self._with_probabilities = any(each.name == "probabilities" for each in deployable.signature.outputs)
        self._classes = None if deployable.classes is None else frozenset(deployable.classes)
        self._scratch = Path(tempfile.mkdtemp(prefix="holdfast-model-")).resolve()
        self._task = Task(
            command=(str(python), "-I", "-B", str(PROGRAM / "__main__.py"), "serve", str(folder.resolve())),
            scratch=self._scratch,
            inputs=(PROGRAM, folder.resolve()),
            limits=limits,
        )
        self._turn = threading.Lock()
        self._process: Process | None = None
        self._channel: Channel | None = None
        self._requests = 0
        self._closed = False
        self._pause_s, self._start_after = 0.0, 0.0
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def predict(self, columns: Mapping[str, Sequence[Any]]) -> Outputs:
        """The outputs for checked columns; raises as `records.Runtime` says, and HoldfastError for an answer with a
        label that is no class, with NaN, or with probabilities that do not sum to 1.
        """
        rows = len(next(iter(columns.values())))
        if not rows:
            return Outputs([], [] if self._with_probabilities else None)
        deadline = time.monotonic() + self._deadline_s
        if not self._turn.acquire(timeout=self._deadline_s):
            raise Unavailable(f"The model was busy for {self._deadline_s:g} s.", retry_after_s=1)
        try:
            answer = self._ask(columns, deadline)
        finally:
            self._turn.release()
        if answer.error:
            raise InvalidInput(f"The model refuses the rows: {answer.error[:500]}")
        if answer.fault:
            raise _wrong(answer.fault[:500])
        return self._outputs(answer, rows)

    def close(self) -> None:
        """Kill the process and remove its scratch folder. Idempotent; a request in flight is answered Unavailable."""
        self._closed = True
        process = self._process
        if process is not None:
            process.close()
        with self._turn:
            self._stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _ask(self, columns: Mapping[str, Sequence[Any]], deadline: float) -> _Answer:
        """Send the rows and wait for the answer to this request. Holding the turn."""
        if self._process is None or self._process.poll() is not None:
            self._restart()
            deadline = max(deadline, time.monotonic() + self._deadline_s)
        assert self._channel is not None
        self._requests += 1
        line = msgspec.json.encode({"id": self._requests, "columns": columns}) + b"\n"
        try:
            answer = msgspec.json.decode(self._channel.exchange(line, deadline), type=_Answer)
        except LateError:
            self._stop()
            raise Unavailable(
                f"The model did not answer within {self._deadline_s:g} s; it is started again.",
                retry_after_s=1,
            ) from None
        except (EndedError, msgspec.DecodeError):
            raise self._ended("while it predicted") from None
        if answer.id != self._requests:
            raise self._ended("after an answer to another request")
        return answer

    def _restart(self) -> None:
        if self._closed:
            raise Unavailable("The model is being unloaded.", retry_after_s=1)
        wait_s = self._start_after - time.monotonic()
        if wait_s > 0:
            raise Unavailable(
                "The model's process does not start; the next try comes later.", retry_after_s=wait_s
            )
        self._stop()
        try:
            self._start()
        except InvalidInput as error:
            raise Unavailable(
                f"The model does not load any more: {error.message}", retry_after_s=30
            ) from error

    def _start(self) -> None:
        """Start the process and wait for its ready line. A failure doubles the pause before the next try."""
        self._pause_s = min(max(_FIRST_PAUSE_S, 2 * self._pause_s), _LAST_PAUSE_S)
        self._start_after = time.monotonic() + self._pause_s
        self._process = self._executor.spawn(self._task)
        self._channel = Channel(self._process, _MOST_ANSWER_BYTES)
        try:
            first = msgspec.json.decode(
                self._channel.exchange(b"", time.monotonic() + _START_S), type=_Answer
            )
        except LateError:
            self._stop()
            raise Unavailable(f"The model did not load within {_START_S:g} s.", retry_after_s=30) from None
        except (EndedError, msgspec.DecodeError):
            raise self._ended("while it loaded") from None
        if not first.ready:
            self._stop()
            raise InvalidInput(
                f"The model does not load: {first.error[:500]}",
                hint="See the traceback in the details.",
                details={"traceback": first.traceback[-4000:]},
            )
        self._pause_s, self._start_after = 0.0, 0.0

    def _ended(self, when: str) -> Unavailable:
        """Kill what is left of the process; the error says how it ended."""
        process = self._process
        if process is None:
            return Unavailable("The model is being unloaded.", retry_after_s=1)
        code = process.wait(timeout_s=2)  # its pipe closes a moment before its exit code is there
        said = process.stderr_tail(wait_s=0.5).strip().splitlines()
        self._stop()
        how = "it closed its pipe" if code is None else f"exit code {code}"
        how = f"killed over its {process.killed_by} limit" if process.killed_by else how
        last = f" It said: {said[-1][-300:]}" if said else ""
        return Unavailable(f"The model's process ended ({how}) {when}.{last}", retry_after_s=1)

    def _stop(self) -> None:
        process, self._process, self._channel = self._process, None, None
        if process is not None:
            with contextlib.suppress(OSError):
                process.close()

    def _outputs(self, answer: _Answer, rows: int) -> Outputs:
        """The answer as a record, once its shape is what the deployable says."""
        label = [each for each in answer.label or [] if each is not None]
        foreign = [each for each in label if self._classes is not None and each not in self._classes]
        if foreign:
            raise _wrong(f"it gives the label {foreign[0]!r}, which is not among its classes")
        if len(label) != rows:
            raise Unavailable(f"The model gave {len(label)} labels for {rows} rows.", retry_after_s=1)
        if not self._with_probabilities:
            return Outputs(label, None)
        width = len(self._deployable.classes or ())
        matrix = [[each for each in row if each is not None] for row in answer.probabilities or []]
        if len(matrix) != rows or any(len(row) != width for row in matrix):
            raise Unavailable(f"The model gave no {rows} x {width} probabilities.", retry_after_s=1)
        return Outputs(label, matrix)


def _wrong(fault: str) -> HoldfastError:
    """The error for an answer that can't be right, which is the model's fault and not the caller's."""
    return HoldfastError(
        f"The model's answer can't be right: {fault}.",
        hint="Nothing is answered for these rows. Mend the model and deploy it again.",
    )
