"""The work: workers, inference servers, the log's backlog, folding."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from holdfast.app.doctor.records import Finding, attention, bad, ok
from holdfast.app.renewal import WORKERS
from holdfast.app.services import Services
from holdfast.storage import leases

__all__ = ["check_work"]

_LATE_MS, _TOO_LATE_MS = 120_000, 3_600_000
_MANY_SEGMENTS = 1_000
_MANY_SPOOLED = 100


def check_work(services: Services) -> Iterator[Finding]:
    """Whether somebody does the work, and how much of it waits."""
    now_ms = services.clock.now_ms()
    workers = leases.held(services.storage, WORKERS, now_ms)
    if workers:
        yield ok("workers", f"{len(workers)} alive")
    else:
        yield attention(
            "workers",
            "none is alive: the log is not compacted and no alert is raised",
            "Start the server, which starts one, or holdfast worker.",
        )
    yield _check_replicas(services, now_ms)
    yield _check_backlog(services, now_ms)
    yield _check_folding(services, has_workers=bool(workers))
    yield from _check_spool(services.data / "inference" / "spool")


def _check_replicas(services: Services, now_ms: int) -> Finding:
    replicas = services.serving.replicas(now_ms)
    alive = [replica for replica in replicas if replica.is_alive]
    lost = [replica for replica in replicas if not replica.is_alive and replica.status != "stopped"]
    if not alive:
        return attention(
            "inference",
            "no inference server is alive",
            "Start the server, which starts one, or holdfast serve.",
        )
    text = f"{len(alive)} alive: {', '.join(replica.url for replica in alive)}"
    failed = sorted({name for one in alive for name, e in one.endpoints.items() if e.state == "failed"})
    if failed:
        return bad(
            "inference",
            f"{text}; failed: {', '.join(failed)}",
            "Look at holdfast endpoint show NAME for the reason.",
        )
    if lost:
        names = ", ".join(replica.replica for replica in lost)
        return attention(
            "inference", f"{text}; not heard of: {names}", "Start them again, or leave it if they are gone."
        )
    return ok("inference", text)


def _check_backlog(services: Services, now_ms: int) -> Finding:
    log = services.predictions.backlog()
    lag_ms = 0 if log.oldest_at is None else now_ms - log.oldest_at
    text = f"{log.segments:,} segments and {log.label_batches:,} label batches wait for compaction"
    if log.oldest_at is not None:
        text += f", the oldest for {timedelta(seconds=max(0, lag_ms) // 1000)}"
    advice = "See that a worker runs, and why its task compact fails (its log on standard error)."
    if lag_ms > _TOO_LATE_MS:
        return bad("prediction log", text, advice)
    if lag_ms > _LATE_MS or log.segments > _MANY_SEGMENTS:
        return attention("prediction log", text, advice)
    if log.damaged:
        return attention(
            "prediction log",
            f"{log.damaged:,} segments arrived damaged; what could be read of them was kept",
            "Check the disk and memory of the inference servers.",
        )
    return ok("prediction log", text)


def _check_folding(services: Services, *, has_workers: bool) -> Finding:
    waiting = services.monitor.waiting()
    if not waiting:
        return ok("monitoring", "every endpoint is folded")
    text = f"waiting to be folded: {', '.join(waiting[:10])}{' and more' if len(waiting) > 10 else ''}"
    if has_workers:
        return ok("monitoring", text)
    return attention("monitoring", text, "Start a worker: alerts are raised when it folds.")


def _check_spool(folder: Path) -> Iterator[Finding]:
    """The log of this machine's inference server that has not been shipped."""
    if not folder.is_dir():
        return
    closed, rejected = list(folder.glob("*/*/*.seg")), list(folder.glob("*/*/*.rejected"))
    if rejected:
        yield bad(
            "spool",
            f"{len(rejected):,} segments were refused by the control plane ({rejected[0]})",
            "They stay where they are; look into the inference server's log for the reason.",
        )
    if len(closed) > _MANY_SPOOLED:
        yield attention(
            "spool",
            f"{len(closed):,} closed segments wait for shipping in {folder}",
            "See that the inference server reaches the control plane.",
        )
    elif not rejected:
        yield ok("spool", f"{len(closed):,} closed segments wait for shipping")
