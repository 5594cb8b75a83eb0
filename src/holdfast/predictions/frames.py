"""Log segments and label batches as Polars frames, with the columns of the two Delta tables.

Imported in short-lived children only: Polars costs 80 MB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import polars as pl

from holdfast.predictions.columns import KINDS, column_for
from holdfast.predictions.feedback import LabelRows
from holdfast.predictions.segments import Batch, Failure, Scan, Schema

__all__ = ["FIXED", "event_days", "label_frame", "prediction_frame"]

FIXED: dict[str, pl.DataType] = {
    "prediction_id": pl.String(),
    "key": pl.String(),
    "event_time": pl.Int64(),
    "logged_at": pl.Int64(),
    "logged_date": pl.String(),
    "status": pl.Int64(),
    "version": pl.Int64(),
    "prediction": pl.String(),
    "score": pl.Float64(),
    "repeat_of": pl.String(),
    "input_hash": pl.String(),
    "latency_us": pl.Int64(),
    "replica": pl.String(),
    "reason": pl.String(),
}
"""The columns that every prediction table has, in order; `score_<class>` and `in_<feature>` follow."""
_STORED = {"number": pl.Float64(), "text": pl.String(), "boolean": pl.Boolean(), "time": pl.Int64()}
_DAY_MS = 86_400_000
_encode = msgspec.msgpack.Encoder().encode


def prediction_frame(scans: Sequence[Scan], taken: Mapping[str, str]) -> pl.DataFrame:
    """One row per logged row of all segments, in the order logged. `taken`: the table's columns and kinds."""
    parts = []
    held = dict(taken)
    for scan in scans:
        schemas = {record.schema_id: record for record in scan.records if isinstance(record, Schema)}
        batches: dict[int, list[Batch]] = {}
        for record in scan.records:
            if isinstance(record, Batch) and record.schema_id in schemas:
                batches.setdefault(record.schema_id, []).append(record)
        for schema_id, records in batches.items():
            parts.append(_batch_frame(schemas[schema_id], records, scan.header.replica, held))
        failures = [record for record in scan.records if isinstance(record, Failure)]
        if failures:
            parts.append(_failure_frame(failures, scan.header.replica))
    if not parts:
        return pl.DataFrame(schema=FIXED)
    return pl.concat(parts, how="diagonal").sort("logged_at", maintain_order=True)


def _batch_frame(schema: Schema, batches: list[Batch], replica: str, held: dict[str, str]) -> pl.DataFrame:
    sizes = [len(batch.labels) for batch in batches]
    logged = [batch.logged_at for batch, size in zip(batches, sizes, strict=True) for _ in range(size)]
    events = [
        at if given is None else given
        for batch, size in zip(batches, sizes, strict=True)
        for given, at in zip(batch.event_times or [None] * size, [batch.logged_at] * size, strict=True)
    ]
    inputs = [
        [value for batch in batches for value in batch.columns[at]] for at in range(len(schema.features))
    ]
    scores = [
        [value for batch in batches for value in batch.scores[at]] for at in range(len(batches[0].scores))
    ]
    data: dict[str, Any] = {
        "prediction_id": [
            f"{b.request_id}.{row}" for b, size in zip(batches, sizes, strict=True) for row in range(size)
        ],
        "key": [key for b, size in zip(batches, sizes, strict=True) for key in b.keys or [None] * size],
        "event_time": events,
        "logged_at": logged,
        "status": [200] * len(logged),
        "version": [schema.version] * len(logged),
        "prediction": [label for batch in batches for label in batch.labels],
        "input_hash": _input_hashes(schema, inputs),
        "latency_us": [b.latency_us for b, size in zip(batches, sizes, strict=True) for _ in range(size)],
        "replica": [replica] * len(logged),
    }
    frame = _fixed(data)
    columns = [*_score_columns(schema, scores, held), *_input_columns(schema, inputs, held)]
    return frame.with_columns(columns)


def _fixed(data: Mapping[str, Any]) -> pl.DataFrame:
    rows = len(data["prediction_id"])
    series = [
        pl.Series(name, data[name], dtype=dtype)
        if name in data
        else pl.Series(name, [None] * rows, dtype=dtype)
        for name, dtype in FIXED.items()
    ]
    frame = pl.DataFrame(series)
    return frame.with_columns(
        pl.from_epoch(pl.col("logged_at"), time_unit="ms").dt.strftime("%Y-%m-%d").alias("logged_date")
    )


def _failure_frame(failures: Sequence[Failure], replica: str) -> pl.DataFrame:
    return _fixed(
        {
            "prediction_id": [f"{failure.request_id}.0" for failure in failures],
            "event_time": [failure.event_time for failure in failures],
            "logged_at": [failure.logged_at for failure in failures],
            "status": [failure.status for failure in failures],
            "version": [failure.version for failure in failures],
            "latency_us": [failure.latency_us for failure in failures],
            "replica": [replica] * len(failures),
            "reason": [failure.reason for failure in failures],
        }
    )


def _score_columns(
    schema: Schema, scores: Sequence[list[float | None]], held: dict[str, str]
) -> list[pl.Series]:
    """`score` (the positive class's probability; of a regression the value) and, for classes, `score_<class>`."""
    if not scores:
        return []
    if schema.task == "regression":
        return [_number("score", scores[0])]
    columns = []
    for name, values in zip(schema.classes, scores, strict=True):
        column = column_for(f"score_{name}", "number", held)
        held[column] = "number"
        columns.append(_number(column, values))
        if name == schema.positive:
            columns.append(_number("score", values))
    return columns


def _number(name: str, values: Sequence[float | None]) -> pl.Series:
    return pl.Series(name, values, dtype=pl.Float64(), strict=False).fill_nan(None)


def _input_columns(schema: Schema, inputs: Sequence[list[Any]], held: dict[str, str]) -> list[pl.Series]:
    columns = []
    for feature, type_name, values in zip(schema.features, schema.types, inputs, strict=True):
        kind = KINDS[type_name]
        name = column_for(f"in_{feature}", kind, held)
        held[name] = kind
        if kind == "number":
            columns.append(_number(name, values))
        else:
            columns.append(pl.Series(name, values, dtype=_STORED[kind]))
    return columns


def _input_hashes(schema: Schema, inputs: Sequence[list[Any]]) -> list[str]:
    """A 64-bit BLAKE2b of each row's features by name, equal across versions that take the same features."""
    order = sorted(range(len(schema.features)), key=schema.features.__getitem__)
    names = _encode([schema.features[at] for at in order])
    columns = [
        [None if value is None or value != value else float(value) for value in inputs[at]]
        if KINDS[schema.types[at]] == "number"
        else inputs[at]
        for at in order
    ]
    return [
        hashlib.blake2b(names + _encode(row), digest_size=8).hexdigest() for row in zip(*columns, strict=True)
    ]


def label_frame(batch: LabelRows, batch_id: str, received_at: int) -> pl.DataFrame:
    """The rows of one label batch: prediction_id or key, label, when it was received and in which order."""
    rows = len(batch.label)
    return pl.DataFrame(
        [
            pl.Series("prediction_id", batch.prediction_id or [None] * rows, dtype=pl.String()),
            pl.Series("key", batch.key or [None] * rows, dtype=pl.String()),
            pl.Series("label", batch.label, dtype=pl.String()),
            pl.Series("received_at", [received_at] * rows, dtype=pl.Int64()),
            pl.Series("batch", [batch_id] * rows, dtype=pl.String()),
            pl.Series("row", range(rows), dtype=pl.Int64()),
        ]
    )


def event_days(event_times: pl.Series) -> list[tuple[int, int]]:
    """The UTC days of these times as runs (first day, last day), both starts of days in ms and included."""
    days = (event_times.drop_nulls() // _DAY_MS).unique().sort().to_list()
    runs: list[tuple[int, int]] = []
    for day in days:
        if runs and runs[-1][1] == (day - 1) * _DAY_MS:
            runs[-1] = (runs[-1][0], day * _DAY_MS)
        else:
            runs.append((day * _DAY_MS, day * _DAY_MS))
    return runs
