"""Many rows at once: predictions and ground truth of whole tables, in batches over a few connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from holdfast.client.client import Client
from holdfast.client.records import Endpoint, Predictions
from holdfast.client.tables import Batch, convert, is_missing
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.times import parse_time

__all__ = ["FileColumns", "Rows", "feedback_rows", "predict_all", "rows_of"]

CONNECTIONS = 4


class Rows(msgspec.Struct, frozen=True):
    """Rows to predict: columns of inputs and, where there are any, the caller's keys and event times (ms,
    UTC).
    """

    columns: dict[str, list[Any]]
    keys: Sequence[str | None] | None = None
    event_times: Sequence[int | None] | None = None
    first_row: int | None = None
    """Where in the file the rows begin, counted from 1."""
    written_times: Sequence[Any] | None = None
    """The event times as the file has them."""

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values()), []))


class FileColumns(msgspec.Struct, frozen=True):
    """Which columns of a file hold what; the defaults are the names that holdfast knows."""

    key: str = "key"
    time: str = "event_time"
    label: str = "label"
    prediction_id: str = "prediction_id"


def predict_all(
    client: Client, endpoint: str, batches: Iterable[Rows], *, connections: int = CONNECTIONS
) -> Iterator[tuple[Rows, Predictions]]:
    """Predict each batch and give it with its answer, in order, keeping `connections` requests under way.

    Raises what the first failed request raises; batches after it may or may not have been predicted.
    """
    waiting: deque[tuple[Rows, Future[Predictions]]] = deque()
    pool = ThreadPoolExecutor(connections, thread_name_prefix="holdfast-predict")
    try:
        for rows in batches:
            sent = pool.submit(
                client.predict, endpoint, rows.columns, keys=rows.keys, event_times=rows.event_times
            )
            waiting.append((rows, sent))
            if len(waiting) > connections:
                yield _answered(*waiting.popleft())
        while waiting:
            yield _answered(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _answered(rows: Rows, answer: Future[Predictions]) -> tuple[Rows, Predictions]:
    try:
        return rows, answer.result()
    except InvalidInput as error:
        if rows.first_row is not None and "row" in error.message.lower():
            began = f"It counts from 0, and row 0 is row {rows.first_row} of the file."
            error.hint = f"{error.hint} {began}".lstrip()
        raise


def rows_of(batch: Batch, endpoint: Endpoint, path: Path, names: FileColumns) -> Rows:
    """A file's rows as the endpoint takes them, typed by its signature.

    Raises InvalidInput naming what is missing or does not fit. Columns that are no input are left out.
    """
    inputs = (endpoint.signature or {}).get("inputs", [])
    missing = [item["name"] for item in inputs if item["name"] not in batch.columns]
    if missing:
        raise InvalidInput(
            f"The file {path.name!r} lacks the input {', '.join(map(repr, missing))} of {endpoint.name!r}.",
            hint=f"Its columns: {', '.join(batch.columns)}.",
        )
    for asked, default in ((names.key, "key"), (names.time, "event_time")):
        if asked != default and asked not in batch.columns:
            raise _no_column(asked, batch, path)
    columns = {item["name"]: convert(batch, item["name"], item["type"], path) for item in inputs}
    times = batch.columns.get(names.time)
    written = None if times is None else [None if is_missing(value) else value for value in times]
    return Rows(
        columns,
        _keys(batch, names.key),
        _times(batch, names.time, path),
        batch.first_row,
        written,
    )


def feedback_rows(client: Client, endpoint: str, batch: Batch, path: Path, names: FileColumns) -> int:
    """Deliver the labels of a file's rows; gives how many were taken. Rows without a label are left out."""
    if names.label not in batch.columns:
        raise _no_column(names.label, batch, path)
    by_id = names.prediction_id in batch.columns
    if not by_id and names.key not in batch.columns:
        raise InvalidInput(
            f"The file {path.name!r} has neither {names.prediction_id!r} nor {names.key!r} to name predictions by.",
            hint=f"Its columns: {', '.join(batch.columns)}.",
        )
    labels = batch.columns[names.label]
    kept = [row for row, label in enumerate(labels) if not is_missing(label)]
    if not kept:
        return 0
    named = _names(batch, names.prediction_id if by_id else names.key, kept, path)
    times = _times(batch, names.time, path)
    try:
        return client.feedback(
            endpoint,
            [labels[row] for row in kept],
            keys=None if by_id else named,
            prediction_ids=named if by_id else None,
            event_times=None if times is None else [times[row] for row in kept],
        )
    except InvalidInput as error:
        at = error.details.get("row")
        if not isinstance(at, int) or not 0 <= at < len(kept):
            raise
        raise InvalidInput(
            f"Row {batch.first_row + kept[at]} of {path.name!r}: {error.details.get('reason', error.message)}",
            hint=error.hint,
        ) from error


def _names(batch: Batch, column: str, kept: list[int], path: Path) -> list[str]:
    """What names the predictions of the kept rows. Raises InvalidInput for a row without."""
    names: list[str] = []
    for row in kept:
        value = batch.columns[column][row]
        if is_missing(value):
            raise InvalidInput(f"Row {batch.first_row + row} of {path.name!r} has a label and no {column!r}.")
        names.append(str(value))
    return names


def _keys(batch: Batch, name: str) -> list[str | None] | None:
    column = batch.columns.get(name)
    return None if column is None else [None if is_missing(value) else str(value) for value in column]


def _times(batch: Batch, name: str, path: Path) -> list[int | None] | None:
    column = batch.columns.get(name)
    if column is None:
        return None
    times: list[int | None] = []
    for offset, value in enumerate(column):
        try:
            times.append(None if is_missing(value) else parse_time(value, name))
        except InvalidInput as error:
            raise InvalidInput(
                f"Row {batch.first_row + offset} of {path.name!r}: {error.message}", hint=error.hint
            ) from None
    return times


def _no_column(name: str, batch: Batch, path: Path) -> InvalidInput:
    return InvalidInput(
        f"The file {path.name!r} has no column {name!r}.", hint=f"Its columns: {', '.join(batch.columns)}."
    )
