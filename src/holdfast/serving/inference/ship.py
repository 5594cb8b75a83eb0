"""Ships closed log segments to the control plane: a thread that deletes each only after it was taken."""

from __future__ import annotations

import logging
import os
import threading

from holdfast.kernel.errors import HoldfastError, Unavailable
from holdfast.predictions.segments import scan_header
from holdfast.serving.inference.control_plane import ControlPlane
from holdfast.serving.inference.spool import Spool, SpooledSegment

__all__ = ["Shipper"]

_log = logging.getLogger("holdfast.inference.ship")
_FIRST_RETRY_S = 0.5
_LONGEST_RETRY_S = 10.0


class Shipper:
    """Ships what the spool has closed, per endpoint and boot in order, when woken and after failures."""

    def __init__(self, spool: Spool, control_plane: ControlPlane, boot: str) -> None:
        self._spool = spool
        self._control_plane = control_plane
        self._boot = boot
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="holdfast-ship", daemon=True)
        self.waiting = 0

    def start(self) -> None:
        """Start the thread; leftovers of earlier boots go first."""
        self._thread.start()

    def wake(self) -> None:
        """A segment was closed."""
        self._wake.set()

    def stop(self, within_s: float) -> None:
        """Try once more to ship everything, for at most about `within_s`; what is left waits for the next start."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(within_s)
        self._control_plane.interrupt()

    def _run(self) -> None:
        retry_s = _FIRST_RETRY_S
        while True:
            self._wake.clear()
            is_last = self._stopping.is_set()
            try:
                self._ship_all()
                retry_s = _FIRST_RETRY_S
                timeout = None
            except Unavailable as error:
                _log.warning(
                    "segments wait", extra={"fields": {"error": error.message, "again_in_s": retry_s}}
                )
                timeout, retry_s = retry_s, min(retry_s * 2, _LONGEST_RETRY_S)
            if is_last:
                return
            self._wake.wait(timeout)

    def _ship_all(self) -> None:
        segments = list(self._spool.closed())
        self.waiting = len(segments)
        for segment in segments:
            self._ship(segment)
            self.waiting -= 1
        self._spool.prune(self._boot)

    def _ship(self, segment: SpooledSegment) -> None:
        with segment.path.open("rb") as file:
            os.fsync(file.fileno())
            data = file.read()
        try:
            replica = scan_header(data).replica  # the name that this server had when it wrote it
            self._control_plane.put_segment(segment.endpoint_id, replica, segment.boot, segment.seq, data)
        except Unavailable:
            raise
        except HoldfastError as error:
            _log.error("segment refused", extra={"fields": {"path": str(segment.path), "error": str(error)}})
            self._spool.reject(segment)
            return
        self._spool.remove(segment)
