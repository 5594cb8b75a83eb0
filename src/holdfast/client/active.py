"""The run that a process is logging to."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from holdfast.client.bundles import files_below
from holdfast.client.client import Client
from holdfast.client.records import LoggedModel, Run
from holdfast.client.sender import Point, Sender
from holdfast.client.unsent import UnsentFile
from holdfast.client.values import checked_key, checked_step, metric_value, param_text, tag_text
from holdfast.kernel.clock import Clock, SystemClock
from holdfast.kernel.errors import HoldfastError, InvalidInput

__all__ = ["ActiveRun"]


class ActiveRun:
    """A run that is being logged to. Thread-safe. As a context manager it finishes as the block ends.

    An exception makes it failed, KeyboardInterrupt killed. A run that is not `owned` (joined from
    `holdfast run`) is only flushed: its owner finishes it.
    """

    def __init__(
        self,
        client: Client,
        run: Run,
        *,
        owned: bool = True,
        on_close: Callable[[ActiveRun], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.client = client
        self.run_id = run.run_id
        self.experiment_id = run.experiment_id
        self.name = run.name
        self._owned = owned
        self._on_close = on_close
        self._clock = clock or SystemClock()
        self._steps = {key: summary.last_step for key, summary in run.metrics.items()}
        self._params = dict(run.params)
        self._start_sender()

    def _start_sender(self) -> None:
        self._lock = threading.Lock()
        self._sender = Sender(lambda body: self.client.send_batch(self.run_id, body), UnsentFile(self.run_id))

    @property
    def url(self) -> str:
        """The address of the run's page."""
        return f"{self.client.url}/runs/{self.run_id}"

    def log_metric(
        self, key: str, value: Any, step: int | None = None, *, time_ms: int | None = None
    ) -> None:
        """Log one point of a metric; without `step` it is one after the key's last. Returns at once."""
        self.log_metrics({key: value}, step, time_ms=time_ms)

    def log_metrics(
        self, values: Mapping[str, Any], step: int | None = None, *, time_ms: int | None = None
    ) -> None:
        """Log one point of each metric, all of them or, on InvalidInput, none."""
        now = self._clock.now_ms() if time_ms is None else time_ms
        floats = {checked_key("metric", key): metric_value(key, value) for key, value in values.items()}
        points: list[Point] = []
        with self._lock:
            for key, value in floats.items():
                at = self._steps.get(key, -1) + 1 if step is None else checked_step(key, step)
                points.append((key, value, at, now))
            for key, _, at, _ in points:
                self._steps[key] = at
        self._sender.add_points(points)

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
            self._params.update(texts)
        self._sender.add_params(texts)

    def set_tag(self, key: str, value: Any) -> None:
        """Set a tag."""
        self.set_tags({key: value})

    def set_tags(self, values: Mapping[str, Any]) -> None:
        """Set several tags. Returns at once."""
        if values:
            self._sender.add_tags(
                {checked_key("tag", key): tag_text(key, value) for key, value in values.items()}
            )

    def log_artifact(self, source: bytes | str | Path, path: str | None = None) -> None:
        """Store a file, a folder with all that is in it, or bytes (then `path` is needed). Waits."""
        if isinstance(source, bytes):
            if not path:
                raise InvalidInput(
                    "Bytes have no name of their own.", hint="Give log_artifact a path for them."
                )
            self.client.upload_artifact(self.run_id, path, source)
            return
        root = Path(source)
        if not root.exists():
            raise InvalidInput(f"There is no file or folder {str(root)!r} to log.")
        top = path or root.resolve().name
        if root.is_file():
            self.client.upload_artifact(self.run_id, top, root)
            return
        self.client.upload_artifacts(self.run_id, files_below(str(root), top))

    def upload_model(
        self, name: str, files: Mapping[str, bytes], *, register: str | None = None
    ) -> LoggedModel:
        """Store a model's files with the run, seal them and, with `register`, make them a version of it."""
        self.flush()
        model = self.client.create_logged_model(self.run_id, name)
        for path, content in files.items():
            self.client.upload_model_file(model.model_id, path, content)
        sealed = self.client.finalize_logged_model(model.model_id)
        version = self.client.register_version(register, sealed.model_id).version if register else None
        return msgspec.structs.replace(sealed, registered_version=version)

    def flush(self) -> None:
        """Wait until everything logged so far is on the server. Raises what could not be delivered."""
        self._sender.flush()

    def finish(self, status: str = "finished") -> Run:
        """Deliver what is queued and close the run. Raises what could not be delivered, after closing it."""
        failure: HoldfastError | None = None
        try:
            self._sender.close()
        except HoldfastError as error:
            failure = error
        if self._on_close is not None:
            self._on_close(self)
        if failure is not None and failure.status == 503:
            raise failure
        run = self.client.finish_run(self.run_id, status) if self._owned else self.client.get_run(self.run_id)
        if failure is not None:
            raise failure
        return run

    def disown(self) -> None:
        """After a fork: log by this process's own thread and leave the run open at the end."""
        self._owned = False
        self._start_sender()

    def __enter__(self) -> ActiveRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = _status(error)
        if error is None:
            self.finish(status)
            return
        try:
            self.finish(status)
        except HoldfastError as failure:
            # The block's own error matters more and passes on; this one must not vanish behind it.
            print(f"holdfast: {failure}", file=sys.stderr)  # noqa: T201


def _status(error: BaseException | None) -> str:
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "finished"
    return "killed" if isinstance(error, KeyboardInterrupt) else "failed"
