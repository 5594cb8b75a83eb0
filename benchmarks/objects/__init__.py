"""Storing large files and many small ones, until the durable answer, beside `dvc add`."""

from benchmarks.objects.measure import main

__all__ = ["main"]
