"""The tables of runs and their metrics. Attributes are narrow typed rows over integer run and key ids."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from holdfast.storage import BigId, metadata

__all__ = [
    "batches",
    "experiment_keys",
    "keys",
    "loose",
    "params",
    "pending",
    "runs",
    "segments",
    "summaries",
    "tags",
]


runs = Table(
    "run",
    metadata,
    Column("run_no", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("run_id", String(256), nullable=False),
    Column("experiment_id", BigInteger, nullable=False),
    Column("name", String(250), nullable=False),
    Column("status", String(16), nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("end_time", BigInteger),
    Column("user", String(200), nullable=False),
    Column("recipe", Text),
    Column("exit_code", Integer),
    Column("digest", String(64)),
    Column("deleted_at", BigInteger),
    Column("changed", BigInteger, nullable=False, server_default="0"),  # see `store.changes`
    Column("compacted_to", BigInteger, nullable=False, server_default="0"),  # see `store.segments`
    UniqueConstraint("workspace_id", "run_id"),
    Index("ix_run_workspace_id_experiment_id_run_no", "workspace_id", "experiment_id", "run_no"),
    Index("ix_run_workspace_id_experiment_id_start_time", "workspace_id", "experiment_id", "start_time"),
    Index("ix_run_workspace_id_run_no_name_run_id", "workspace_id", "run_no", "name", "run_id"),  # for search
    Index("ix_run_workspace_id_changed", "workspace_id", "changed"),
    sqlite_autoincrement=True,
)
keys = Table(
    "attribute_key",
    metadata,
    Column("key_id", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    UniqueConstraint("workspace_id", "name"),
)
experiment_keys = Table(
    "experiment_key",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("experiment_id", BigInteger, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("key_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "experiment_id", "kind", "key_id"),
)
"""The names of params, tags and metrics (the kinds) that runs of an experiment have or had."""


def _attributes(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("workspace_id", String(64), nullable=False),
        Column("run_no", BigInteger, nullable=False),
        Column("key_id", BigInteger, nullable=False),
        Column("value", Text, nullable=False),
        PrimaryKeyConstraint("workspace_id", "run_no", "key_id"),
        Index(f"ix_{name}_workspace_id_key_id_run_no", "workspace_id", "key_id", "run_no"),
    )


params = _attributes("run_param")
tags = _attributes("run_tag")
summaries = Table(
    "metric_summary",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("run_no", BigInteger, nullable=False),
    Column("key_id", BigInteger, nullable=False),
    Column("last", Float),  # NULL is NaN: SQLite keeps no NaN
    Column("last_step", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
    Column("min", Float),
    Column("max", Float),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "run_no", "key_id"),
    Index("ix_metric_summary_workspace_id_key_id_last_run_no", "workspace_id", "key_id", "last", "run_no"),
)
batches = Table(
    "metric_batch",
    metadata,
    Column("batch_id", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("run_no", BigInteger, nullable=False),
    Column("body_sha256", String(64), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("points", Integer, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    UniqueConstraint("workspace_id", "run_no", "body_sha256"),
    Index("ix_metric_batch_workspace_id_run_no_batch_id", "workspace_id", "run_no", "batch_id"),
    sqlite_autoincrement=True,
)

pending = Table(
    "metric_pending",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("run_no", BigInteger, nullable=False),
    Column("first_batch", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "run_no"),
)
"""Runs with batches that their summaries don't have yet: the first of these."""
loose = Table(
    "metric_loose",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("run_no", BigInteger, nullable=False),
    Column("batches", BigInteger, nullable=False),
    Column("newest_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "run_no"),
    Index("ix_metric_loose_batches", "batches"),
)
"""Runs with batches to compact: about how many, and when the newest came."""
segments = Table(
    "metric_segment",
    metadata,
    Column("segment_id", BigId, primary_key=True, autoincrement=True),
    Column("workspace_id", String(64), nullable=False),
    Column("run_no", BigInteger, nullable=False),
    Column("key", String(250), nullable=False),  # empty: of several keys
    Column("points", Integer, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("overview", LargeBinary),  # of those of one key
    Index("ix_metric_segment_workspace_id_run_no_key", "workspace_id", "run_no", "key"),
    sqlite_autoincrement=True,
)
"""Points of batches that were compacted; these batches keep their digests alone."""
