"""Follows the control plane: a thread that polls the desired state, and one that reports how this replica stands."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from holdfast.kernel.errors import HoldfastError, IntegrityError, Unavailable
from holdfast.serving.inference.cache import Cache
from holdfast.serving.inference.control_plane import ControlPlane
from holdfast.serving.records import DesiredState, Heartbeat

__all__ = ["Follower", "Reporter"]

_log = logging.getLogger("holdfast.inference.follow")
_WAIT_S = 20
_FIRST_RETRY_S = 0.25
_LONGEST_RETRY_S = 5.0
_BEAT_S = 5.0


class Follower:
    """Long-polls the desired state and hands each newer, validly signed one to `apply` after it is on disk."""

    def __init__(
        self,
        control_plane: ControlPlane,
        cache: Cache,
        generation: int,
        apply: Callable[[DesiredState], None],
    ) -> None:
        self._control_plane = control_plane
        self._cache = cache
        self._generation = generation
        self._is_first = True
        self._apply = apply
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="holdfast-follow", daemon=True)
        self.problem = ""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, also out of a waiting poll."""
        self._stopping.set()
        self._control_plane.interrupt()
        self._thread.join(2.0)

    def _run(self) -> None:
        retry_s = _FIRST_RETRY_S
        while not self._stopping.is_set():
            try:
                self._poll()
                self.problem, retry_s = "", _FIRST_RETRY_S
            except HoldfastError as error:
                if self._stopping.is_set():
                    return
                if self.problem != error.message:
                    level = logging.ERROR if isinstance(error, IntegrityError) else logging.WARNING
                    _log.log(level, "desired state is not followed", extra={"fields": {"error": str(error)}})
                self.problem = error.message
                if not isinstance(error, Unavailable):
                    retry_s = _LONGEST_RETRY_S
                self._stopping.wait(retry_s)
                retry_s = min(retry_s * 2, _LONGEST_RETRY_S)

    def _poll(self) -> None:
        # Only once it has answered is it worth waiting: the first answer also says that nothing is deployed.
        signed = self._control_plane.desired_state(self._generation, 0 if self._is_first else _WAIT_S)
        state = self._cache.check(signed, self._generation)
        if state.generation > self._generation or self._is_first:
            self._cache.save_state(signed)
            self._generation = state.generation
            self._apply(state)
        self._is_first = False


class Reporter:
    """Sends `heartbeat()` every 5 s, and at once when something changed."""

    def __init__(
        self, control_plane: ControlPlane, replica: str, heartbeat: Callable[[str], Heartbeat]
    ) -> None:
        self._control_plane = control_plane
        self._replica = replica
        self._heartbeat = heartbeat
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="holdfast-report", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Something changed."""
        self._changed.set()

    def stop(self) -> None:
        """Say good-bye and end the thread."""
        self._stopping.set()
        self._changed.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        while True:
            self._changed.clear()
            is_last = self._stopping.is_set()
            try:
                self._control_plane.report(
                    self._replica, self._heartbeat("stopped" if is_last else "serving")
                )
            except HoldfastError as error:
                _log.debug("heartbeat failed", extra={"fields": {"error": str(error)}})
            if is_last:
                return
            self._changed.wait(_BEAT_S)
