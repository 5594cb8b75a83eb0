"""How long a person waits for a page of many runs, and of a metric with many points, in a real browser."""

from benchmarks.pages.measure import main

__all__ = ["main"]
