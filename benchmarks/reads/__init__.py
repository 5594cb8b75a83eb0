"""Simple reads at a fixed rate beside a writer at full speed."""

from benchmarks.reads.measure import main

__all__ = ["main"]
