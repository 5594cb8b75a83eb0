"""The control plane's own small duty: metric summaries follow what was logged within about a second."""

from __future__ import annotations

import logging
import threading

from holdfast.kernel.errors import HoldfastError
from holdfast.tracking.metrics import Metrics

__all__ = ["Settler"]

_LOG = logging.getLogger(__name__)
_GATHER_S = 1.0
"""How long batches gather after the first: each run's rows are written once for all of them."""


class Settler:
    """A thread that settles when a batch has come, and once at the start for what an earlier process left."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="holdfast-settle", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._metrics.arrived.set()
        self._thread.start()

    def stop(self) -> None:
        """End it, when what it is at is done: what is left over is settled by the next search or process."""
        self._stop.set()
        self._metrics.arrived.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._metrics.arrived.wait()
            if self._stop.wait(_GATHER_S):
                return
            self._metrics.arrived.clear()
            try:
                self._metrics.settle()
            except HoldfastError as error:  # the database is away: what is missing stays noted there
                _LOG.warning("metric summaries wait", extra={"reason": str(error)})
                self._metrics.arrived.set()
