"""The module-level verbs of `import holdfast`: one process, one client, one active run."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.client.active import ActiveRun
from holdfast.client.client import Client
from holdfast.client.connection import user_name
from holdfast.client.logged_model import write_model
from holdfast.client.records import LoggedModel, Run
from holdfast.kernel.errors import Conflict, HoldfastError

__all__ = [
    "active_run",
    "finish_run",
    "init",
    "log_artifact",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "set_tag",
    "set_tags",
    "start_run",
]


class _Session:
    """What the module-level verbs share."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.client: Client | None = None
        self.experiment: str | None = None
        self.run: ActiveRun | None = None
        self.joined: set[str] = set()
        """Runs of `holdfast run` that were already joined and left."""


_session = _Session()


def init(
    url: str | None = None,
    experiment: str | None = None,
    *,
    token: str | None = None,
    workspace: str | None = None,
) -> Client:
    """Choose the server and the experiment of the runs to come; gives the client. Makes no connection.

    What is not given comes from HOLDFAST_URL, HOLDFAST_EXPERIMENT, HOLDFAST_TOKEN and HOLDFAST_WORKSPACE.
    Raises Conflict while a run is active.
    """
    with _session.lock:
        if _session.run is not None:
            raise Conflict(
                f"The run {_session.run.run_id} is active, so the server cannot change.",
                hint="Call finish_run() first.",
            )
        if _session.client is not None:
            _session.client.close()
        _session.client = Client(url, token=token, workspace=workspace)
        _session.experiment = experiment
        return _session.client


def start_run(
    name: str | None = None,
    *,
    experiment: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> ActiveRun:
    """Start a run, to be used as a context manager or closed by `finish_run`.

    Within `holdfast run` the first run of the process joins the command's run, which ends with the command.
    Raises Conflict when a run is active.
    """
    with _session.lock:
        if _session.run is not None:
            raise Conflict(
                f"The run {_session.run.run_id} is already active.", hint="Call finish_run() first."
            )
        client = _client()
        run_id = os.environ.get("HOLDFAST_RUN_ID", "")
        if run_id and run_id not in _session.joined:
            _session.joined.add(run_id)
            run = ActiveRun(client, client.get_run(run_id), owned=False, on_close=_forget)
        else:
            chosen = experiment or _session.experiment or os.environ.get("HOLDFAST_EXPERIMENT") or None
            run = ActiveRun(
                client, client.create_run(chosen, name=name, user=user_name()), owned=True, on_close=_forget
            )
        _session.run = run
    run.log_params(params or {})
    run.set_tags(tags or {})
    return run


def active_run() -> ActiveRun | None:
    """The run that the module-level verbs log to, or None."""
    return _session.run


def finish_run(status: str = "finished") -> Run | None:
    """Deliver what is queued and close the active run; None without one. Raises what could not be
    delivered.
    """
    run = _session.run
    return run.finish(status) if run is not None else None


def log_metric(key: str, value: Any, step: int | None = None, *, time_ms: int | None = None) -> None:
    """Log one point of a metric. Without `step` it is one after the key's last. Returns at once.

    Starts a run when none is active. Raises InvalidInput naming key and value.
    """
    _current().log_metrics({key: value}, step, time_ms=time_ms)


def log_metrics(values: Mapping[str, Any], step: int | None = None, *, time_ms: int | None = None) -> None:
    """Log one point of each of several metrics; see `log_metric`."""
    _current().log_metrics(values, step, time_ms=time_ms)


def log_param(key: str, value: Any) -> None:
    """Log what the run was configured with."""
    _current().log_params({key: value})


def log_params(values: Mapping[str, Any]) -> None:
    """Log several params."""
    _current().log_params(values)


def set_tag(key: str, value: Any) -> None:
    """Set a tag of the run."""
    _current().set_tags({key: value})


def set_tags(values: Mapping[str, Any]) -> None:
    """Set several tags of the run."""
    _current().set_tags(values)


def log_artifact(source: bytes | str | Path, path: str | None = None) -> None:
    """Store a file, a folder with all that is in it, or bytes (then `path` is needed) with the run. Waits.

    `path` is where it stands in the run, by default the file's or folder's name.
    """
    _current().log_artifact(source, path)


def log_model(
    model: Any,
    *,
    name: str = "model",
    reference: Any,
    target: str | None = None,
    register: str | None = None,
    positive: Any = None,
    task: str | None = None,
) -> LoggedModel:
    """Store a fitted scikit-learn style model with the run, and register it as the next version of
    `register`.

    `reference` is a table that the model was *not* fitted on: the inputs and, with `target`, the true labels.
    It gives the signature and is what monitoring compares with. `positive` is the class whose probability is
    the score (by default the last of two). `task` (binary, multiclass, regression) is found from the model
    where it can be. Waits until the server has it. Raises InvalidInput when the model does not fit the
    reference.
    """
    folder = write_model(model, reference=reference, target=target, positive=positive, task=task)
    return _current().upload_model(name, folder, register=register)


def _current() -> ActiveRun:
    with _session.lock:
        return _session.run or start_run()


def _client() -> Client:
    if _session.client is None:
        _session.client = Client()
    return _session.client


def _forget(run: ActiveRun) -> None:
    with _session.lock:
        if _session.run is run:
            _session.run = None


def _at_exit() -> None:
    """Close a run that the program left open: failed when an uncaught exception ended it."""
    run = _session.run
    if run is None:
        return
    error = getattr(sys, "last_value", None)
    status = "finished" if error is None else "killed" if isinstance(error, KeyboardInterrupt) else "failed"
    try:
        run.finish(status)
    except HoldfastError as failure:
        print(f"holdfast: {failure}", file=sys.stderr)  # noqa: T201  # the process is ending: no one can catch it


def _after_fork() -> None:
    """A forked child logs to the same run by its own thread and connections, and does not end the run."""
    _session.lock = threading.RLock()
    if _session.run is not None:
        _session.run.disown()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
