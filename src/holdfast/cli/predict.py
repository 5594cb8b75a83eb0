"""`holdfast predict`: predict the rows of a file."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import click

from holdfast.cli.endpoint import endpoint_names
from holdfast.cli.errors import suggesting
from holdfast.cli.options import json_option, with_client
from holdfast.cli.output import print_json, progress
from holdfast.client.api import encode
from holdfast.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from holdfast.client import Client, Endpoint, Predictions
    from holdfast.client.bulk import Rows

__all__ = ["predict"]


@click.command()
@with_client
@click.argument("endpoint", metavar="ENDPOINT")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--key", default="key", show_default=True, metavar="COLUMN", help="Your own name of each row.")
@click.option("--time", "time_column", default="event_time", show_default=True, metavar="COLUMN",
              help="When each row happened.")  # fmt: skip
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the predictions here (.csv or .jsonl).")  # fmt: skip
@click.option(
    "--batch", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="Rows per request."
)
@json_option
def predict(
    client: Client, endpoint: str, file: Path, key: str, time_column: str, output: Path | None, batch: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Predict every row of FILE (CSV, JSON lines, Parquet).

    Columns that the model does not take are left out. Rows with a key can get their true outcome later by
    `holdfast feedback`, and a file that is predicted again counts once.
    """
    from holdfast.client.bulk import FileColumns, predict_all, rows_of  # here, so that --help does not wait
    from holdfast.client.tables import count_rows, read_batches

    with suggesting(endpoint, lambda: endpoint_names(client)):
        known = client.served_endpoint(endpoint)
    names = FileColumns(key=key, time=time_column)
    batches = (rows_of(item, known, file, names) for item in read_batches(file, batch))
    start, done, ids = time.monotonic(), 0, ("", "")
    with progress() as display, _writer(output, known) as writer:
        task = display.add_task(file.name, total=count_rows(file))
        for rows, answer in predict_all(client, endpoint, batches):
            writer.write(rows, answer)
            done += rows.count
            ids = (ids[0] or answer.prediction_ids[0], answer.prediction_ids[-1])
            display.update(task, completed=done)
        display.update(task, total=done)
    seconds = time.monotonic() - start
    if as_json:
        print_json({"endpoint": endpoint, "rows": done, "seconds": round(seconds, 3), "first_prediction_id": ids[0],
                    "last_prediction_id": ids[1], "output": None if output is None else str(output)})  # fmt: skip
        return
    click.echo(f"Predicted {done:,} rows of {file} at {endpoint} in {seconds:.1f} s.")
    if output is not None:
        click.echo(f"Predictions are in {output}.")


class _Writer(Protocol):
    def write(self, rows: Rows, answer: Predictions) -> None: ...


class _Nothing:
    """Without --output."""

    def write(self, rows: Rows, answer: Predictions) -> None:
        pass


class _Lines:
    """Writes one line per row: prediction_id, key, event_time as it came in, prediction and the score of each class."""

    def __init__(self, file: IO[str], classes: Sequence[str], *, as_csv: bool) -> None:
        self._file = file
        self._scores = [f"score_{name}" for name in classes]
        self._csv = csv.writer(file) if as_csv else None
        if self._csv is not None:
            self._csv.writerow(["prediction_id", "key", "event_time", "prediction", *self._scores])

    def write(self, rows: Rows, answer: Predictions) -> None:
        for row, prediction_id in enumerate(answer.prediction_ids):
            key = None if rows.keys is None else rows.keys[row]
            at = None if rows.written_times is None else rows.written_times[row]
            scores = answer.probabilities[row] if answer.probabilities is not None else []
            if self._csv is not None:
                self._csv.writerow([prediction_id, key, at, answer.labels[row], *scores])
            else:
                line: dict[str, Any] = {"prediction_id": prediction_id, "key": key, "event_time": at,
                                        "prediction": answer.labels[row]}  # fmt: skip
                line.update(zip(self._scores, scores, strict=False))
                self._file.write(encode(line).decode() + "\n")


@contextmanager
def _writer(output: Path | None, endpoint: Endpoint) -> Iterator[_Writer]:
    if output is None:
        yield _Nothing()
        return
    if output.suffix.lower() not in (".csv", ".jsonl", ".ndjson"):
        raise InvalidInput(
            f"The output {output.name!r} is not one that can be written.", hint="Use .csv or .jsonl."
        )
    try:
        with output.open("w", newline="", encoding="utf-8") as file:
            yield _Lines(file, endpoint.classes, as_csv=output.suffix.lower() == ".csv")
    except OSError as error:
        raise InvalidInput(f"The output {str(output)!r} cannot be written: {error.strerror}.") from error
