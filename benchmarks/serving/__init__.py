"""One-row inference with the prediction log on, against the same stack's echo."""

from benchmarks.serving.measure import main

__all__ = ["main"]
