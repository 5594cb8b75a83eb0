"""How long writes take and how many connections are in use, counted for Prometheus."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

__all__ = ["BOUNDS_S", "Connections", "WriteFigures"]

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the histogram's buckets, in seconds; one more is without bound."""


class Connections(msgspec.Struct, frozen=True):
    """A pool's connections to the database: those in use, and how many there may be."""

    pool: str
    in_use: int
    most: int


class WriteFigures:
    """Units of work by outcome, from the call until its commit was durable. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Count the block as `committed`, or as `refused` when it raises."""
        started, outcome = time.perf_counter(), "refused"
        try:
            yield
            outcome = "committed"
        finally:
            self._observe(outcome, time.perf_counter() - started)

    def histograms(self) -> dict[str, tuple[list[int], float]]:
        """By outcome: how many fell into each bucket, and their seconds in sum."""
        with self._lock:
            return {outcome: (list(n), self._seconds[outcome]) for outcome, n in self._counts.items()}

    def _observe(self, outcome: str, seconds: float) -> None:
        with self._lock:
            counts = self._counts.setdefault(outcome, [0] * (len(BOUNDS_S) + 1))
            counts[bisect_left(BOUNDS_S, seconds)] += 1
            self._seconds[outcome] = self._seconds.get(outcome, 0.0) + seconds
