"""The worker's process: prepares versions, compacts the prediction log, folds monitoring buckets."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from holdfast.app.__main__ import settings_of
from holdfast.app.children import end_with_parent
from holdfast.app.prepare import PREPARE_FOLDER, prepare_pending
from holdfast.app.renewal import BEAT_S, LEASE_MS, WORKERS, Renewal
from holdfast.app.services import Services, open_services
from holdfast.app.upkeep import collect_garbage, compact_points, pack_objects
from holdfast.kernel.errors import HoldfastError, Unavailable
from holdfast.kernel.ids import new_id
from holdfast.predictions.compact import COMPACT_FOLDER, compact_pending
from holdfast.storage import leases
from holdfast.web.logs import configure_logs

__all__ = ["run"]

_log = logging.getLogger("holdfast.worker")
_TICK_S = 0.25
_SLOWEST_RETRY_S = 60.0
_CHECKPOINT_S = 5.0
_CLEAN_EVERY_S = 3600.0
_PACK_EVERY_S = 60.0
_METRICS_EVERY_S = 5.0
_LEFTOVER_S = 86_400.0


def run(options: argparse.Namespace) -> int:
    """Work until SIGTERM, or until the server that started it is gone."""
    configure_logs("worker", options.log_level)
    services = open_services(settings_of(options))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    if options.supervised:
        end_with_parent(stop)
    owner = new_id("w")
    tasks = [
        _Task("beat", lambda: _beat(services, owner), every_s=BEAT_S),
        _Task("prepare", lambda: _prepare(services, owner, stop)),
        _Task("compact", lambda: _compact(services, owner)),
        _Task("fold", lambda: _fold(services, owner)),
        _Task("follow", lambda: _follow(services, stop)),
        _Task("deliver", lambda: _deliver(services, stop)),
        _Task("metrics", lambda: compact_points(services, owner, stop), every_s=_METRICS_EVERY_S),
        _Task("checkpoint", lambda: _checkpoint(services), every_s=_CHECKPOINT_S),
        _Task("pack", lambda: pack_objects(services, owner, stop), every_s=_PACK_EVERY_S),
        _Task("collect", lambda: collect_garbage(services, owner, stop), every_s=_CLEAN_EVERY_S),
        _Task("clean", lambda: _clean(services), every_s=_CLEAN_EVERY_S),
    ]
    threads = [
        threading.Thread(target=task.loop, args=(stop,), name=f"holdfast-{task.name}") for task in tasks
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    services.executor.close()  # a preparation that is cut short is taken up again at the next start
    for thread in threads:
        thread.join()
    _sign_off(services, owner)
    services.close()
    return 0


class _Task:
    """One kind of work, again and again; a failure is logged and tried again, later each time."""

    def __init__(self, name: str, work: Callable[[], object], every_s: float = _TICK_S) -> None:
        self.name = name
        self._work = work
        self._every_s = every_s

    def loop(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        pause = self._every_s
        while not stop.is_set():
            try:
                self._work()
                pause = self._every_s
            except HoldfastError as error:
                pause = min(max(pause, 0.5) * 2, _SLOWEST_RETRY_S)
                fields = {"task": self.name, "code": error.code, "error": str(error), "retry_in_s": pause}
                _log.error("task failed", extra={"fields": fields})
            except Exception as error:  # noqa: BLE001 - the worker goes on with its other work, and says so
                pause = min(max(pause, 0.5) * 2, _SLOWEST_RETRY_S)
                fields = {"task": self.name, "retry_in_s": pause}
                _log.error("task fault", exc_info=error, extra={"fields": fields})
            stop.wait(pause)


def _beat(services: Services, owner: str, ttl_ms: int = int(3 * BEAT_S * 1000)) -> None:
    """Say that this worker is alive, for as long as two beats may be missed."""
    leases.acquire(services.storage, WORKERS + owner, owner, ttl_ms, services.clock.now_ms())


def _sign_off(services: Services, owner: str) -> None:
    try:
        _beat(services, owner, ttl_ms=0)
    except Unavailable as error:  # then the lease runs out by itself
        _log.warning("sign-off not written", extra={"fields": {"error": str(error)}})


def _prepare(services: Services, owner: str, stop: threading.Event) -> None:
    prepare_pending(services, owner, stop)
    services.serving.activate_prepared(services.clock.now_ms())


def _compact(services: Services, owner: str) -> None:
    compact_pending(services.predictions, services.clock, owner)


def _fold(services: Services, owner: str) -> None:
    """Fold what changed, one worker at a time."""
    if not services.monitor.has_pending():
        return
    lease = leases.acquire(services.storage, "fold", owner, LEASE_MS, services.clock.now_ms())
    if lease is None:
        return
    try:
        with Renewal(services, lease):
            _fold_in_child(services)
    finally:
        leases.release(services.storage, lease)


def _fold_in_child(services: Services) -> None:
    """In a child of its own, because Polars and Delta take 120 MB that are given back with it."""
    command = [sys.executable, "-m", "holdfast.app", "fold", "--data", str(services.data)]
    command += ["--objects", services.settings.objects]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HoldfastError(f"Folding the monitoring buckets failed: {done.stderr.strip()[-2000:]}.")


def _follow(services: Services, stop: threading.Event) -> None:
    """Tell what is new in the audit log to inboxes and channels."""
    while not stop.is_set() and services.follower.follow(services.clock.now_ms()):
        continue


def _deliver(services: Services, stop: threading.Event) -> None:
    """Send what is due through channels."""
    while not stop.is_set() and services.courier.deliver_due():
        continue


def _checkpoint(services: Services) -> None:
    services.checkpoints.record(services.clock.now_ms())


def _clean(services: Services) -> None:
    """Remove what processes left behind when they were killed: rows of workers, folders of preparations and
    compactions."""
    leases.forget(services.storage, WORKERS, services.clock.now_ms() - int(_LEFTOVER_S * 1000))
    services.courier.forget_old()
    temporary = Path(tempfile.gettempdir())
    for folder in (*temporary.glob(f"{PREPARE_FOLDER}*"), *temporary.glob(f"{COMPACT_FOLDER}*")):
        found = folder.lstat()
        if found.st_uid == os.getuid() and found.st_mtime < time.time() - _LEFTOVER_S:
            shutil.rmtree(folder, ignore_errors=True)
