"""Reading predictions with their truth: whole event days for the monitor, single predictions for people.

Imported in short-lived children only (Polars, Delta).
"""

from __future__ import annotations

from typing import Any

import polars as pl

from holdfast.predictions.columns import kind_of, plain_name
from holdfast.predictions.frames import FIXED
from holdfast.predictions.records import DAY_MS
from holdfast.predictions.tables import counted_ids, open_table

__all__ = ["find_by_id", "find_by_key", "read_days"]

_LABEL = {"label": pl.String(), "label_received_at": pl.Int64()}


def read_days(predictions: str, labels: str, first_day: int, last_day: int) -> pl.DataFrame:
    """The counted predictions whose event time is within these UTC days (starts in ms, both included), by event time.

    Columns: those of `frames.FIXED` without `repeat_of`, `score_<class>`, `in_<feature>` (Float64, String, Boolean,
    or Int64 for times), and `label`, `label_received_at`: the label received last by prediction id or key, null
    when there is none. Rows with a status other than 200 are failed requests and have no prediction. Rows sent
    again with the same key and inputs stand here once.
    """
    table = open_table(predictions)
    if table is None:
        return pl.DataFrame(schema={**FIXED, **_LABEL}).drop("repeat_of")
    everything = pl.scan_delta(table)
    within = pl.col("event_time").is_between(first_day, last_day + DAY_MS, closed="left")
    rows = everything.filter(within & pl.col("repeat_of").is_null()).drop("repeat_of").collect()
    repeats = counted_ids(everything).collect()
    return _with_labels(_merge_variants(rows), repeats, labels).sort("event_time", "prediction_id")


def find_by_id(predictions: str, labels: str, prediction_id: str, logged_ms: int) -> list[dict[str, Any]]:
    """The prediction of this id as a list of one row, empty when the table does not hold it.

    `logged_ms` is the time within the id; the row was logged on its day or the next.
    """
    near = pl.col("logged_at").is_between(logged_ms - 1, logged_ms + 2 * DAY_MS)
    return _find(predictions, labels, near & (pl.col("prediction_id") == prediction_id))


def find_by_key(predictions: str, labels: str, key: str) -> list[dict[str, Any]]:
    """Every prediction of this key, oldest first."""
    return _find(predictions, labels, pl.col("key") == key)


def _find(predictions: str, labels: str, which: pl.Expr) -> list[dict[str, Any]]:
    table = open_table(predictions)
    if table is None:
        return []
    everything = pl.scan_delta(table)
    rows = _merge_variants(everything.filter(which).collect())
    found = _with_labels(rows, counted_ids(everything).collect(), labels).sort("logged_at", "prediction_id")
    return found.to_dicts()


def _with_labels(rows: pl.DataFrame, repeats: pl.DataFrame, labels: str) -> pl.DataFrame:
    """`rows` with the label that was received last, by id (also by a repeat's id) or by key."""
    table = open_table(labels)
    if table is None or rows.is_empty():
        return rows.with_columns([pl.lit(None, dtype).alias(name) for name, dtype in _LABEL.items()])
    given = pl.scan_delta(table)
    ids = pl.concat(
        [
            rows.select("prediction_id", pl.col("prediction_id").alias("target")),
            repeats.rename({"repeat_of": "target"}).join(
                rows, left_on="target", right_on="prediction_id", how="semi"
            ),
        ]
    )
    keys = rows.filter(pl.col("key").is_not_null()).select("key", pl.col("prediction_id").alias("target"))
    order = ["received_at", "batch", "row"]
    parts = [
        given.filter(pl.col(by).is_not_null())
        .join(owners.lazy(), on=by)
        .select("target", "label", *order)
        .collect()
        for by, owners in (("prediction_id", ids), ("key", keys))
    ]
    last = pl.concat(parts).sort(order).unique("target", keep="last")
    last = last.select("target", "label", pl.col("received_at").alias("label_received_at"))
    return rows.join(last, left_on="prediction_id", right_on="target", how="left")


def _merge_variants(rows: pl.DataFrame) -> pl.DataFrame:
    """Put features that changed their kind back together, as text, and strip the suffixes of stored names."""
    groups: dict[str, list[str]] = {}
    for column in rows.columns:
        groups.setdefault(plain_name(column), []).append(column)
    return rows.select(
        pl.col(columns[0]).alias(plain)
        if len(columns) == 1
        else pl.coalesce([_as_text(rows, column) for column in columns]).alias(plain)
        for plain, columns in groups.items()
    )


def _as_text(rows: pl.DataFrame, column: str) -> pl.Expr:
    """A column's values as text; whole numbers without a point."""
    values = pl.col(column)
    if kind_of(rows.schema[column]) != "number":
        return values.cast(pl.String())
    whole = values.cast(pl.Int64(), strict=False)
    return pl.when(values == whole).then(whole.cast(pl.String())).otherwise(values.cast(pl.String()))
