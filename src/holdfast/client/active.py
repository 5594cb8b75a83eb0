"""The run that a process is logging to."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from holdfast.chunks import check_path
from holdfast.client.bundles import files_below
from holdfast.client.client import Client
from holdfast.client.console import Console
from holdfast.client.journal import Courier, Head, Journal, Shipper, journal_root, ship_leftovers
from holdfast.client.journal.folder import remove_journal
from holdfast.client.journal.records import Operation
from holdfast.client.machine import Machine, Sampler, checked_interval
from holdfast.client.media import MediaVerbs
from holdfast.client.notebook import NotebookVerbs
from holdfast.client.records import LoggedModel, Run
from holdfast.client.values import (
    checked_key,
    checked_step,
    checked_time,
    metric_value,
    param_text,
    tag_text,
)
from holdfast.kernel.clock import Clock, SystemClock
from holdfast.kernel.errors import Conflict, HoldfastError, InvalidInput
from holdfast.kernel.ids import new_id

__all__ = ["ActiveRun", "begun_run", "join_run", "known_run"]

_open_runs: weakref.WeakSet[ActiveRun] = weakref.WeakSet()


class ActiveRun(MediaVerbs, NotebookVerbs):
    """A run that is being logged to. Thread-safe. As a context manager it finishes as the block ends.

    What a call logs is in the process's journal as it returns, and survives the process; a thread ships it, or, when
    `offline`, `holdfast sync` does later. `flush` and `finish` wait `patience_s` for a server that is away.
    An exception makes the run failed, KeyboardInterrupt killed. A run that is
    not `owned` (joined from `holdfast run`) is only flushed: its owner finishes it.
    """

    def __init__(
        self,
        client: Client,
        run: Run,
        *,
        owned: bool = True,
        offline: bool = False,
        on_close: Callable[[ActiveRun], None] | None = None,
        clock: Clock | None = None,
        root: Path | None = None,
        patience_s: float = 30.0,
    ) -> None:
        super().__init__()
        self.client = client
        self.run_id = run.run_id
        self.experiment_id = run.experiment_id
        self.name = run.name
        self.is_offline = offline
        self._run = run
        self._owned = owned
        self._on_close = on_close
        self._now = (clock or SystemClock()).now_ms
        self._root = root or journal_root()
        self._patience_s = patience_s
        self._steps = {key: summary.last_step for key, summary in run.metrics.items()}
        self._params = dict(run.params)
        self._ended: Run | None = None
        self._lock = threading.RLock()
        self._journal: Journal | None = None
        self._shipper: Shipper | None = None
        self._at_end: list[Callable[[], None]] = []
        self._console: Console | None = None
        if owned:
            self._open()
        _open_runs.add(self)

    def log_metric(
        self, key: str, value: Any, step: int | None = None, *, time_ms: int | None = None
    ) -> None:
        """Log one point of a metric; without `step` it is one after the key's last. Returns at once."""
        if type(value) is not float:
            value = metric_value(key, value)
        now = self._now() if time_ms is None else checked_time(time_ms)
        if step is not None:
            step = checked_step(key, step)
        journal = self._journal or self._open()
        with journal.lock:
            steps = self._steps
            if type(key) is not str or key not in steps:
                checked_key("metric", key)
            at = steps.get(key, -1) + 1 if step is None else step
            journal.add_point(key, value, at, now)
            steps[key] = at
        if self._shipper is not None and self._shipper.is_idle:
            self._shipper.wake()

    def log_metrics(
        self, values: Mapping[str, Any], step: int | None = None, *, time_ms: int | None = None
    ) -> None:
        """Log one point of each metric, all of them or, on InvalidInput, none. More than 1,000 arrive in parts."""
        keys = tuple(values)
        floats: list[float] = list(values.values())
        for value in floats:
            if type(value) is not float:
                floats = [metric_value(key, value) for key, value in values.items()]
                break
        now = self._now() if time_ms is None else checked_time(time_ms)
        if not keys:
            return
        if step is not None:
            step = checked_step(keys[0], step)
        journal = self._journal or self._open()
        with journal.lock:
            known = self._steps
            if not journal.knows(keys):
                for key in keys:
                    checked_key("metric", key)
            if step is None:
                steps = [known.get(key, -1) + 1 for key in keys]
                if steps.count(steps[0]) != len(steps):
                    journal.add_points(keys, floats, steps, now)
                    known.update(zip(keys, steps, strict=True))
                    keys = ()
                step = steps[0]
            if keys:
                journal.add_points(keys, floats, step, now)
                known.update(dict.fromkeys(keys, step))
        if self._shipper is not None and self._shipper.is_idle:
            self._shipper.wake()

    def log_param(self, key: str, value: Any) -> None:
        """Log what the run was configured with."""
        self.log_params({key: value})

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Log several params. Returns at once. Raises InvalidInput for a key that has another value
        already.
        """
        texts = {checked_key("param", key): param_text(key, value) for key, value in values.items()}
        with self._lock:
            for key, text in texts.items():
                if self._params.get(key, text) != text:
                    raise InvalidInput(
                        f"The param {key!r} is {self._params[key]!r} already and cannot become {text!r}.",
                        hint="Params are written once; start another run, or log what changes as a metric.",
                    )
            self._add_values("params", texts)
            self._params.update(texts)

    def set_tag(self, key: str, value: Any) -> None:
        """Set a tag."""
        self.set_tags({key: value})

    def set_tags(self, values: Mapping[str, Any]) -> None:
        """Set several tags. Returns at once."""
        self._add_values(
            "tags", {checked_key("tag", key): tag_text(key, value) for key, value in values.items()}
        )

    def log_artifact(self, source: bytes | str | Path, path: str | None = None) -> None:
        """Store a file, a folder with all that is in it, or bytes (then `path` is needed). Waits, unless the run is
        offline: then a copy is kept in the journal.
        """
        if isinstance(source, bytes):
            if not path:
                raise InvalidInput(
                    "Bytes have no name of their own.", hint="Give log_artifact a path for them."
                )
            self._store([(path, source)])
            return
        root = Path(source)
        if not root.exists():
            raise InvalidInput(f"There is no file or folder {str(root)!r} to log.")
        top = path or root.resolve().name
        if root.is_file():
            self._store([(top, root)])
        elif self.is_offline:
            self._store([(name, Path(file)) for name, file in files_below(str(root), top)])
        else:
            self.client.upload_artifacts(self.run_id, files_below(str(root), top))

    def add_artifact(self, path: str, content: bytes | Path) -> None:
        """Store bytes, or a copy of a file, as the artifact `path`. Returns at once."""
        check_path(path)
        journal = self._journal or self._open()
        journal.add(Operation("artifact", path=path, file=journal.keep_file(content)))
        self._wake()

    def upload_model(
        self, name: str, files: Mapping[str, bytes], *, register: str | None = None
    ) -> LoggedModel:
        """Store a model's files with the run, seal them and, with `register`, make them a version of it.

        Of an offline run the model is pending until `holdfast sync`.
        """
        model_id = new_id("m-")
        if not self.is_offline:
            self.flush()
            return self.client.store_model(self.run_id, name, files, model_id=model_id, register=register)
        journal = self._journal or self._open()
        kept = {path: journal.keep_file(content) for path, content in files.items()}
        journal.add(Operation("model", name=name, files=kept, model_id=model_id, register=register))
        return LoggedModel(model_id, "pending", self.run_id, name=name, created_at=self._now())

    def flush(self) -> None:
        """Wait until everything logged so far is on the server. Raises what could not be delivered.

        Of an offline run everything is in the journal already.
        """
        if self._shipper is not None:
            self._shipper.flush()

    def finish(self, status: str = "finished", *, exit_code: int | None = None) -> Run:
        """Deliver what is left and close the run. Raises what could not be delivered, after closing it."""
        if status not in ("finished", "failed", "killed"):
            raise InvalidInput(f"The status {status!r} is not finished, failed or killed.")
        self._stop_threads()
        with self._lock:
            if self._ended is not None:
                return self._ended
            try:
                return self._end(status, exit_code)
            finally:
                if self._on_close is not None:
                    self._on_close(self)

    def _stop_threads(self) -> None:
        """End what logs by itself. Not under the lock: it is waited for, and logs a last time."""
        with self._lock:
            ends, self._at_end = self._at_end, []
        for end in reversed(ends):
            try:
                end()
            except HoldfastError as error:
                print(f"holdfast: {error}", file=sys.stderr)  # noqa: T201  # the run has to be closed all the same

    def capture_console(self) -> None:
        """Keep what is printed from now on as the artifacts `console/...`, while it is printed as before.

        Stored every 5 seconds (of an offline run 30) and at the end. Raises InvalidInput on Windows.
        """
        if self._console is None:
            self._console = Console(self.add_artifact, every_s=30.0 if self.is_offline else 5.0)
            self._at_end.append(self._console.stop)

    def sample_machine(self, every_s: float = 10.0, machine: Machine | None = None) -> None:
        """Log `system/...` metrics of the process and the machine every so many seconds. Raises InvalidInput without
        psutil."""
        sampler = Sampler(self.log_metrics, checked_interval(every_s), machine or Machine())
        self._at_end.append(sampler.stop)

    def disown(self) -> None:
        """After a fork: log by a journal of this process's own and leave the run open at the end."""
        self._owned = False
        self._lock = threading.RLock()
        self._at_end = []
        self._console = None
        if self._journal is not None:
            self._journal.forget()
        self._journal = self._shipper = None

    def _end(self, status: str, exit_code: int | None) -> Run:
        """Close the journal; everything is delivered, or stays in it."""
        ended_at = self._now()
        ended = _closed(self._run, status, ended_at, exit_code) if self._owned else self._run
        journal, shipper = self._journal, self._shipper
        self._ended = ended
        failure: HoldfastError | None = None
        last: Operation | None = None
        if journal is not None:
            if self._owned:
                failure = self._ship_children()
                last = Operation("finish", status=status, time=ended_at, exit_code=exit_code)
            journal.close(last)
            self._journal = None
            try:
                if shipper is not None:
                    shipper.close()
            except HoldfastError as error:
                failure = error
            finally:
                is_delivered = shipper is not None and shipper.is_delivered
                if is_delivered:
                    remove_journal(journal.folder)
                journal.let_go()
        if failure is not None:
            raise failure
        if not self.is_offline:
            arrived = shipper.courier.run if shipper is not None and shipper.courier is not None else None
            self._ended = ended = arrived or self.client.get_run(self.run_id)
        return ended

    def _ship_children(self) -> HoldfastError | None:
        """Deliver what processes that this one forked have left, before the run is closed."""
        if self.is_offline:
            return None
        errors = [
            shipped.error
            for shipped in ship_leftovers(
                self._root,
                lambda head: self.client,
                run_id=self.run_id,
                choose=lambda head: not head.is_owned,
            )
            if shipped.error is not None
        ]
        return errors[0] if errors else None

    def _store(self, files: list[tuple[str, bytes | Path]]) -> None:
        for path, content in files:
            if self.is_offline:
                self.add_artifact(path, content)
            else:
                self.client.upload_artifact(self.run_id, path, content)

    def _add_values(self, kind: str, values: dict[str, str]) -> None:
        if values:
            (self._journal or self._open()).add(Operation(kind, values=values))
            self._wake()

    def _wake(self) -> None:
        if self._shipper is not None and self._shipper.is_idle:
            self._shipper.wake()

    def _open(self) -> Journal:
        """The journal of this process, made when the first thing is logged. Raises Conflict after the end."""
        with self._lock:
            if self._journal is not None:
                return self._journal
            if self._ended is not None:
                raise Conflict(
                    f"The run {self.run_id} has ended here, so nothing more is logged to it.",
                    hint="Start another run.",
                )
            connection = self.client.connection
            head = Head(self.run_id, self.client.url, connection.workspace, self.is_offline, self._owned)
            journal = Journal(head, self._root)
            if not self.is_offline:
                self._shipper = Shipper(
                    journal, lambda: Courier(self.client, journal.folder, head), retry_s=self._patience_s
                )
            self._journal = journal
            _ship_before_exit(self)
            return journal

    def __enter__(self) -> ActiveRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = _status(error)
        if error is not None and self._console is not None:  # Python prints it when the run is closed already
            self._console.note("".join(traceback.format_exception(kind, error, trace)))
        if error is None:
            self.finish(status)
            return
        try:
            self.finish(status)
        except HoldfastError as failure:
            # The block's own error matters more and passes on; this one must not vanish behind it.
            print(f"holdfast: {failure}", file=sys.stderr)  # noqa: T201


def begun_run(
    client: Client,
    experiment: str | None,
    name: str | None,
    *,
    offline: bool,
    user: str = "",
    recipe: Mapping[str, Any] | None = None,
    start_time: int | None = None,
    patience_s: float = 30.0,
    on_close: Callable[[ActiveRun], None] | None = None,
) -> ActiveRun:
    """A run that begins in the journal and is made at the server as that is shipped; of an `offline` one when
    `holdfast sync` is called. Its id, and so its address, are final. Times are ms, UTC."""
    run_id, began = new_id(), start_time or time.time_ns() // 1_000_000
    called = name or f"offline-{run_id[-8:]}"
    run = Run(run_id, 0, called, "running", began, user=user, recipe=dict(recipe) if recipe else None)
    active = ActiveRun(client, run, offline=offline, on_close=on_close, patience_s=patience_s)
    active._open().add(
        Operation("create", experiment=experiment, name=called, user=user, time=began, recipe=run.recipe)
    )
    return active


def join_run(
    client: Client,
    run_id: str,
    *,
    offline: bool = False,
    on_close: Callable[[ActiveRun], None] | None = None,
) -> ActiveRun:
    """A run that another process has started and will end. Raises NotFound where there is none, unless `offline`."""
    if offline:
        run = Run(run_id, 0, f"offline-{run_id[-8:]}", "running", time.time_ns() // 1_000_000)
    else:
        run = client.get_run(run_id)
    return ActiveRun(client, run, owned=False, offline=offline, on_close=on_close)


def known_run(client: Client, run_id: str) -> ActiveRun:
    """A run that another process has started and will end, which is not asked for: its steps and params are not known
    here. A server that is away is not waited for long: what is logged is kept."""
    return ActiveRun(client, Run(run_id, 0, "", "running", 0), owned=False, patience_s=3.0)


def _closed(run: Run, status: str, end_time: int, exit_code: int | None) -> Run:
    return msgspec.structs.replace(run, status=status, end_time=end_time, exit_code=exit_code)


def _status(error: BaseException | None) -> str:
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "finished"
    return "killed" if isinstance(error, KeyboardInterrupt) else "failed"


def _ship_before_exit(run: ActiveRun) -> None:
    """A process that multiprocessing forked ends without the interpreter's own end."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is None or processes.parent_process() is None:
        return
    from multiprocessing import util  # such a process has it

    util.Finalize(run, run.finish, exitpriority=10)


def _after_fork() -> None:
    for run in list(_open_runs):
        run.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
