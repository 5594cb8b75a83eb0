"""Upkeep of what is stored: packing, garbage collection, compaction of metrics; each under a lease, so that one worker
does it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from holdfast.app.services import Services
from holdfast.kernel.errors import Conflict, Unavailable
from holdfast.storage import leases
from holdfast.storage.objects import Collected
from holdfast.tracking.compaction import compact_metrics, is_compaction_due

__all__ = ["collect_garbage", "compact_points", "pack_objects"]

T = TypeVar("T")
_TTL_MS = 120_000
_RENEW_S = 20.0


def pack_objects(
    services: Services, owner: str, stop: threading.Event, after_ms: int | None = None
) -> int | None:
    """Pack loose objects: how many; None when another process is at it."""
    return _alone(services, owner, stop, "objects:pack", lambda renew: services.objects.pack(renew, after_ms))


def collect_garbage(services: Services, owner: str, stop: threading.Event) -> Collected | None:
    """One pass of garbage collection; None when another process is at it."""
    return _alone(
        services, owner, stop, "objects:collect",
        lambda renew: _collect(services, renew),
    )  # fmt: skip


def _collect(services: Services, renew: Callable[[], None]) -> Collected:
    services.uploads.give_up_old(services.clock.now_ms())
    return services.objects.collect(services.gc_roots, renew)


def compact_points(services: Services, owner: str, stop: threading.Event) -> int | None:
    """Bring the metric points of runs together that are due; None when none is, or another process is at it."""
    now_ms = services.clock.now_ms()
    if not is_compaction_due(services.storage, now_ms):
        return None
    return _alone(
        services,
        owner,
        stop,
        "metrics:compact",
        lambda renew: compact_metrics(services.storage, now_ms, renew),
    )


def _alone(
    services: Services,
    owner: str,
    stop: threading.Event,
    name: str,
    work: Callable[[Callable[[], None]], T],
) -> T | None:
    lease = leases.acquire(services.storage, name, owner, _TTL_MS, services.clock.now_ms())
    if lease is None:
        return None
    held, renewed = lease, time.monotonic()

    def renew() -> None:
        nonlocal held, renewed
        if stop.is_set():
            raise Unavailable("The worker is ending; this work goes on with the next one.")
        if time.monotonic() - renewed > _RENEW_S:
            held, renewed = (
                leases.renew(services.storage, held, _TTL_MS, services.clock.now_ms()),
                time.monotonic(),
            )

    try:
        return work(renew)
    except Conflict:  # another holds the lease by now, and does the work
        return None
    except Unavailable:
        if stop.is_set():
            return None
        raise
    finally:
        leases.release(services.storage, held)
