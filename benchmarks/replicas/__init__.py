"""Governed changes a second: several control planes on one PostgreSQL, and one on SQLite, from 16 clients."""

from benchmarks.replicas.measure import main

__all__ = ["main"]
