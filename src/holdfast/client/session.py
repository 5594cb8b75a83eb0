"""The module-level verbs of `import holdfast`: one process, one client, one active run."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from holdfast.client.active import ActiveRun, begun_run, join_run
from holdfast.client.client import Client
from holdfast.client.connection import is_offline, user_name
from holdfast.client.journal import Head, journal_root, ship_leftovers
from holdfast.client.logged_model import write_model
from holdfast.client.machine import Machine, checked_interval
from holdfast.client.records import LoggedModel, Run
from holdfast.kernel.errors import Conflict, HoldfastError, Unavailable

__all__ = [
    "active_run",
    "finish_run",
    "init",
    "log_artifact",
    "log_dict",
    "log_figure",
    "log_image",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "session_client",
    "set_tag",
    "set_tags",
    "start_run",
]


_ACTIVE = "holdfast_run"
"""Where processes started by multiprocessing find the run: what its `_config` holds goes along with each process that
it starts, however it does. (The environment of a fork server is that of the time when it was started.)"""


class _Session:
    """What the module-level verbs share."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.client: Client | None = None
        self.experiment: str | None = None
        self.mode: str | None = None
        self.run: ActiveRun | None = None
        self.joined: set[str] = set()
        """Runs of `holdfast run` that were already joined and left."""
        self.has_looked = False
        """Whether this process has looked for what ended ones left."""


_session = _Session()


def init(
    url: str | None = None,
    experiment: str | None = None,
    *,
    token: str | None = None,
    workspace: str | None = None,
    mode: str | None = None,
) -> Client:
    """Choose the server and the experiment of the runs to come; gives the client. Makes no connection.

    What is not given comes from HOLDFAST_URL, HOLDFAST_EXPERIMENT, HOLDFAST_TOKEN, HOLDFAST_WORKSPACE and
    HOLDFAST_MODE. In the mode `offline` runs stay on this machine until `holdfast sync`. Raises Conflict while a run is
    active.
    """
    is_offline(mode)
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
        _session.mode = mode
        return _session.client


def start_run(
    name: str | None = None,
    *,
    experiment: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    capture_console: bool = False,
    system_metrics: bool | float | None = None,
) -> ActiveRun:
    """Start a run, to be used as a context manager or closed by `finish_run`.

    `capture_console` keeps what is printed as artifacts `console/...`; `system_metrics` (by default
    HOLDFAST_SYSTEM_METRICS, else none) logs `system/...` every 10 seconds, or every so many.
    With `run_id` log to a run that another process has started and will end. Within `holdfast run` the first run of the
    process joins the command's run, which ends with the command. Raises Conflict when a run is active.
    """
    if system_metrics is None:  # of a run that is joined its own process tells
        every_s = checked_interval(os.environ.get("HOLDFAST_SYSTEM_METRICS") or 0) if run_id is None else 0.0
    else:
        every_s = checked_interval(system_metrics)
    machine = Machine() if every_s else None
    with _session.lock:
        if _session.run is not None:
            raise Conflict(
                f"The run {_session.run.run_id} is already active.", hint="Call finish_run() first."
            )
        client = _client()
        offline = is_offline(_session.mode)
        given = os.environ.get("HOLDFAST_RUN_ID", "")
        if run_id is None and given and given not in _session.joined:
            run_id = given
            _session.joined.add(run_id)
        chosen = experiment or _session.experiment or os.environ.get("HOLDFAST_EXPERIMENT") or None
        if run_id is not None:
            run = join_run(client, run_id, offline=offline, on_close=_forget)
        elif offline:
            run = begun_run(client, chosen, name, user=user_name(), on_close=_forget, offline=True)
        else:
            made = client.create_run(chosen, name=name, user=user_name())
            run = ActiveRun(client, made, on_close=_forget)
        _session.run = run
        link = Head(run.run_id, client.url, client.connection.workspace, offline, is_owned=False)
        _inherited()[_ACTIVE] = msgspec.json.encode(link)
        if not offline and not _session.has_looked:
            _session.has_looked = True
            threading.Thread(
                target=_ship_left, args=(client,), name="holdfast-leftovers", daemon=True
            ).start()
    run.log_params(params or {})
    run.set_tags(tags or {})
    if machine is not None:
        run.sample_machine(every_s, machine)
    if capture_console:
        run.capture_console()
    return run


def session_client() -> tuple[Client, bool]:
    """The client of the module-level verbs, and whether their runs are offline."""
    with _session.lock:
        return _client(), is_offline(_session.mode)


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
    (_session.run or _current()).log_metric(key, value, step, time_ms=time_ms)


def log_metrics(values: Mapping[str, Any], step: int | None = None, *, time_ms: int | None = None) -> None:
    """Log one point of each of several metrics; see `log_metric`."""
    (_session.run or _current()).log_metrics(values, step, time_ms=time_ms)


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


def log_image(key: str, image: Any, step: int | None = None) -> str:
    """Log an image: an array (H x W, H x W x 3 or 4), a PIL image, or the path or bytes of an image file.

    Gives its path, `media/<key>/<step>.png`; without `step` it is one after the key's last. Returns at once.
    """
    return _current().log_image(key, image, step)


def log_figure(key: str, figure: Any, step: int | None = None, *, form: str | None = None) -> str:
    """Log a figure of matplotlib (`png`) or plotly (`html`, `json` or `png`) as `figures/<key>/<step>.<form>`."""
    return _current().log_figure(key, figure, step, form=form)


def log_table(key: str, table: Any, step: int | None = None, *, form: str | None = None) -> str:
    """Log a pandas or polars frame, a dict of columns or a list of dicts as `tables/<key>/<step>.<form>`.

    `form` is `json` or `parquet`.
    """
    return _current().log_table(key, table, step, form=form)


def log_text(text: str, path: str) -> None:
    """Store a text as the artifact `path`. Returns at once."""
    _current().log_text(text, path)


def log_dict(document: Any, path: str) -> None:
    """Store a dict or list as the artifact `path`, JSON or YAML by its ending. Returns at once."""
    _current().log_dict(document, path)


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
    run = _session.run
    if run is not None:
        return run
    with _session.lock:
        if _session.run is not None:
            return _session.run
        link = _inherited().get(_ACTIVE) if _is_worker() else None
        if link is None:
            return start_run()
        # A process that the run's process started by multiprocessing logs to the same run.
        head = msgspec.json.decode(link, type=Head)
        if _session.client is None:
            _session.client = Client(head.url, workspace=head.workspace)
            _session.mode = "offline" if head.is_offline else "online"
        return start_run(run_id=head.run_id)


def _inherited() -> dict[str, bytes]:
    """What multiprocessing hands on to the processes that this one starts."""
    from multiprocessing import process  # not before a run is started: it takes milliseconds

    kept: dict[str, bytes] = vars(process.current_process())["_config"]
    return kept


def _is_worker() -> bool:
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and processes.parent_process() is not None


def _ship_left(client: Client) -> None:
    """Ship what processes left that were killed while they logged to this server."""
    connection = client.connection

    def choose(head: Head) -> bool:
        return not head.is_offline and (head.url, head.workspace) == (client.url, connection.workspace)

    def make(_: Head) -> Client:
        return Client(connection.url, token=connection.token, workspace=connection.workspace)

    try:
        for shipped in ship_leftovers(journal_root(), make, choose=choose):
            if shipped.error is not None and not isinstance(shipped.error, Unavailable):
                print(f"holdfast: the journal {shipped.folder}: {shipped.error}", file=sys.stderr)  # noqa: T201
    except (HoldfastError, OSError) as error:
        print(f"holdfast: journals of ended processes were not read: {error}", file=sys.stderr)  # noqa: T201


def _client() -> Client:
    if _session.client is None:
        _session.client = Client()
    return _session.client


def _forget(run: ActiveRun) -> None:
    with _session.lock:
        if _session.run is run:
            _session.run = None
            if not _is_worker():
                _inherited().pop(_ACTIVE, None)


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
    """A forked child's calls do not wait for the parent's threads."""
    _session.lock = threading.RLock()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
