"""How soon holdfast is there, how much memory it takes at rest, how large it is installed."""

from benchmarks.startup.measure import main

__all__ = ["main"]
