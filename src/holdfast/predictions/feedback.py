"""Reading a delivery of true labels: columns are checked, labels become canonical text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from holdfast.kernel.errors import HoldfastError, InvalidInput
from holdfast.kernel.times import parse_time
from holdfast.predictions.keys import read_keys, read_prediction_ids
from holdfast.predictions.labels import LabelReader

__all__ = ["MOST_ROWS", "LabelRows", "read_feedback"]

MOST_ROWS = 500_000
_KNOWN = {"key", "prediction_id", "label", "event_time"}


class LabelRows(msgspec.Struct, frozen=True, omit_defaults=True):
    """The stored form of a label batch (MessagePack): one of `key` and `prediction_id`, and canonical labels."""

    label: list[str]
    key: list[str | None] | None = None
    prediction_id: list[str] | None = None
    event_time: list[int | None] | None = None
    """When the truth was known, ms UTC, where the caller said so."""


def read_feedback(columns: dict[str, list[Any]], reader: LabelReader) -> LabelRows:
    """The labels of a delivery. Raises InvalidInput naming the column, and the row (from 0) and value if one is bad."""
    _check_columns(columns)
    labels = _read_each("label", columns["label"], reader.read)
    times = None
    if "event_time" in columns:
        times = _read_each(
            "event_time", columns["event_time"], lambda at: None if at is None else parse_time(at)
        )
    if "key" in columns:
        return LabelRows(labels, key=read_keys(columns["key"], needed=True), event_time=times)
    return LabelRows(labels, prediction_id=read_prediction_ids(columns["prediction_id"]), event_time=times)


def _check_columns(columns: dict[str, list[Any]]) -> None:
    unknown = sorted(set(columns) - _KNOWN)
    if unknown:
        raise InvalidInput(
            f"Feedback has no column {unknown[0]!r}.", hint=f"It has {', '.join(sorted(_KNOWN))}."
        )
    if ("key" in columns) == ("prediction_id" in columns):
        raise InvalidInput(
            "Feedback needs one of the columns 'key' and 'prediction_id'.", hint="Send exactly one."
        )
    if "label" not in columns:
        raise InvalidInput("Feedback needs the column 'label'.")
    rows = len(columns["label"])
    for name, values in columns.items():
        if len(values) != rows:
            raise InvalidInput(f"The column {name!r} has {len(values)} values and 'label' has {rows}.")
    if not 1 <= rows <= MOST_ROWS:
        raise InvalidInput(
            f"Feedback of {rows} rows is not accepted.", hint=f"Send 1 to {MOST_ROWS} rows at a time."
        )


def _read_each(column: str, values: Sequence[Any], read: Any) -> list[Any]:
    found = []
    for row, value in enumerate(values):
        try:
            found.append(read(value))
        except HoldfastError as error:
            raise InvalidInput(
                f"Column {column!r}, row {row}: {error.message}",
                hint=error.hint,
                details={"column": column, "row": row, "reason": error.message},
            ) from None
    return found
