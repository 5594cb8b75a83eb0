"""The clock: against the database server's, against what was written, and against its own steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from holdfast.app.doctor.records import Finding, attention, bad, ok
from holdfast.app.services import Services
from holdfast.kernel.clock import Clock
from holdfast.kernel.times import iso

__all__ = ["ClockWatch", "check_clock"]

_APART_MS, _FAR_APART_MS = 2_000, 60_000
_AHEAD_MS = 60_000
_LONG_MS = 180 * 86_400_000
_STEP_MS = 60_000


class ClockWatch:
    """Tells by how much the wall clock was moved while this process ran."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._monotonic = clock, monotonic
        self._wall_ms, self._started = clock.now_ms(), monotonic()

    def moved_ms(self) -> int:
        """Milliseconds forward (positive) or backward since the start."""
        passed_ms = (self._monotonic() - self._started) * 1000
        return round(self._clock.now_ms() - self._wall_ms - passed_ms)


def check_clock(services: Services, watch: ClockWatch | None) -> Iterator[Finding]:
    """Whether this machine's clock agrees with every other witness of the time."""
    before = services.clock.now_ms()
    if services.storage.kind == "postgresql":
        theirs = services.storage.read(
            lambda tx: tx.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp()) * 1000").scalar_one()
        )
        after = services.clock.now_ms()
        yield _against_server(int(theirs) - (before + after) // 2)
    if watch is not None and abs(watch.moved_ms()) > _STEP_MS:
        yield bad(
            "clock",
            f"was moved by {_span(watch.moved_ms())} since the server started",
            "Set it right (timedatectl, chrony), then start the server anew.",
        )
    yield from _against_writings(services)


def _against_server(apart_ms: int) -> Finding:
    text = f"{_span(apart_ms)} apart from the database server's"
    advice = "Keep both by NTP (timedatectl, chrony): leases and sessions compare their times."
    if abs(apart_ms) > _FAR_APART_MS:
        return bad("clock", text, advice)
    return attention("clock", text, advice) if abs(apart_ms) > _APART_MS else ok("clock", text)


def _against_writings(services: Services) -> Iterator[Finding]:
    """Against the newest audit entry and the newest file: nothing can have been written in the future."""
    now_ms = services.clock.now_ms()
    newest = {"audit entry": services.audit.status().newest_at}
    files = [services.data / name for name in ("holdfast.db", "holdfast.db-wal", "holdfast.lock")]
    newest["file"] = max((int(path.stat().st_mtime * 1000) for path in files if path.exists()), default=None)
    known = {name: at for name, at in newest.items() if at is not None}
    for name, at in known.items():
        if at > now_ms + _AHEAD_MS:
            yield bad(
                "clock",
                f"is at {iso(now_ms)}, {_span(at - now_ms)} before the newest {name} ({iso(at)})",
                "It has been moved backward, or was ahead when that was written: set it right before work goes on.",
            )
            return
    last = max(known.values(), default=now_ms)
    if now_ms - last > _LONG_MS:
        yield attention(
            "clock",
            f"is at {iso(now_ms)}, {_span(now_ms - last)} after the newest trace of work ({iso(last)})",
            "Either nothing has run since, or the clock has been moved forward: compare it with another.",
        )
        return
    yield ok("clock", f"{iso(now_ms)}, after everything that was written")


def _span(ms: int) -> str:
    return f"{abs(ms)} ms" if abs(ms) < 10_000 else str(timedelta(seconds=abs(ms) // 1000))
