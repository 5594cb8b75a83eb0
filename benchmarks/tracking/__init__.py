"""Experiment tracking beside MLflow's own server: ingest, the stock client, search, charts, files, memory."""

from benchmarks.tracking.measure import main

__all__ = ["main"]
