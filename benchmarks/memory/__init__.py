"""Memory of every process under mixed load, and whether it grows."""

from benchmarks.memory.measure import main

__all__ = ["main"]
