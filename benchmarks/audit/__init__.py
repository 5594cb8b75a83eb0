"""The audit log: appends, verification, proofs, and what it adds to a change. Needs nothing but this package."""

from benchmarks.audit.measure import main

__all__ = ["main"]
