"""All runs that a question finds, as CSV (RFC 4180), row by row."""

from __future__ import annotations

import csv
import datetime
import io
import math
from collections.abc import Iterable, Iterator, Sequence

from holdfast.tracking.columns import RunColumn, value_of
from holdfast.tracking.records import Run

__all__ = ["csv_of"]

_FIXED = ("run_id", "name", "experiment_id", "status", "start_time", "end_time", "user")
_BLOCK = 64 * 1024


def csv_of(runs: Iterable[Run], columns: Sequence[RunColumn]) -> Iterator[bytes]:
    """UTF-8 text with a header: who and when, then the columns as they are written in filters.

    Times are ISO 8601 in UTC; numbers have all their digits, NaN and infinities are `NaN`, `Infinity` and `-Infinity`; what
    a run has not is empty.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*_FIXED, *(column.text for column in columns)])
    for run in runs:
        end = None if run.end_time is None else _moment(run.end_time)
        fixed = (run.run_id, run.name, run.experiment_id, run.status, _moment(run.start_time), end, run.user)
        writer.writerow([*fixed, *(_shown(value_of(run, column)) for column in columns)])
        if text.tell() >= _BLOCK:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _moment(ms: int) -> str:
    """Always with three digits of a second, so that programs read a column by one format."""
    whole = datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


def _shown(value: float | str | None) -> str | float | None:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
