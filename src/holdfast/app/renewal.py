"""Holding a lease for as long as a piece of the worker's work takes."""

from __future__ import annotations

import logging
import threading

from holdfast.app.services import Services
from holdfast.kernel.errors import Conflict, Unavailable
from holdfast.storage import leases

__all__ = ["BEAT_S", "LEASE_MS", "WORKERS", "Renewal"]

LEASE_MS = 15_000
"""After a worker was killed, another takes its work up this much later."""
BEAT_S = 10.0
"""How often a worker says that it is alive."""
WORKERS = "worker:"
"""What the names of the leases begin with by which workers say that they are alive."""
_RENEW_S = 5.0
_log = logging.getLogger("holdfast.worker")


class Renewal:
    """Renews a lease while its block runs; the work may take longer than the lease's time."""

    def __init__(self, services: Services, lease: leases.Lease, ttl_ms: int = LEASE_MS) -> None:
        self._ttl_ms = ttl_ms
        self._services = services
        self._lease = lease
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="holdfast-renew", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _renew(self) -> None:
        while not self._done.wait(_RENEW_S):
            try:
                leases.renew(self._services.storage, self._lease, self._ttl_ms, self._services.clock.now_ms())
            except Unavailable as error:  # the lease may live until the database is back
                _log.warning(
                    "lease not renewed", extra={"fields": {"lease": self._lease.name, "error": str(error)}}
                )
            except Conflict as error:
                _log.error("lease lost", extra={"fields": {"lease": self._lease.name, "error": str(error)}})
                return
