"""Files of rows: CSV, JSON lines and Parquet, read in batches of columns and typed by a model's signature."""

from __future__ import annotations

import csv
import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from holdfast.client.frames import columns_of
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.times import parse_time

__all__ = ["Batch", "convert", "count_rows", "is_missing", "read_batches", "to_parquet"]

_MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "None"})
_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})


class Batch(msgspec.Struct, frozen=True):
    """Some rows of a file as columns of raw values; `first_row` counts the rows of the file from 1."""

    first_row: int
    columns: dict[str, list[Any]]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values()), []))


def read_batches(path: Path, size: int = 1000) -> Iterator[Batch]:
    """The rows of a .csv, .jsonl (.ndjson, .json) or .parquet file, `size` at a time.

    Raises InvalidInput naming file and line for what cannot be read, and for Parquet when neither polars nor
    pandas is installed.
    """
    readers: dict[str, Callable[[Path, int], Iterator[Batch]]] = {
        ".csv": _read_csv,
        ".jsonl": _read_json_lines,
        ".ndjson": _read_json_lines,
        ".json": _read_json_lines,
        ".parquet": _read_parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput(
            f"The file {path.name!r} is not one that can be read.",
            hint=f"Known endings: {', '.join(readers)}.",
        )
    if not path.is_file():
        raise InvalidInput(f"There is no file {str(path)!r}.")
    return reader(path, size)


def to_parquet(source: Path, target: Path) -> None:
    """Write a CSV file of runs, as `Client.export_runs` makes it, as Parquet. Raises InvalidInput without polars.

    Types follow from the columns' names, never from values: figures are float64, times UTC datetimes in ms, params, tags and
    names texts.
    """
    if importlib.util.find_spec("polars") is None:
        raise InvalidInput("Writing Parquet needs polars.", hint="pip install polars; or write a .csv file.")
    import polars

    frame = polars.read_csv(source, infer_schema=False)
    infinite = {"Infinity": "inf", "-Infinity": "-inf"}
    typed = []
    for name in frame.columns:
        column = polars.col(name)
        if name.startswith(("metrics.", "min.", "max.", "count.")) or name == "duration":
            typed.append(column.replace(infinite).cast(polars.Float64))
        elif name in ("start_time", "end_time"):
            typed.append(column.str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="ms", time_zone="UTC"))
        elif name == "experiment_id":
            typed.append(column.cast(polars.Int64))
    partial = target.with_name(f".{target.name}.part")
    try:
        frame.with_columns(typed).write_parquet(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def count_rows(path: Path) -> int | None:
    """About how many rows the file has (lines of text), or None for Parquet."""
    if path.suffix.lower() == ".parquet":
        return None
    with path.open("rb") as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    return max(lines - (path.suffix.lower() == ".csv"), 1)


def convert(batch: Batch, column: str, kind: str, path: Path) -> list[Any]:
    """One column as values of `kind` (double, long, string, boolean, datetime as ms UTC), None for missing.

    Raises InvalidInput naming file, row, column and value.
    """
    parse = _PARSERS[kind]
    values: list[Any] = []
    for offset, raw in enumerate(batch.columns[column]):
        try:
            values.append(None if is_missing(raw) else parse(raw))
        except (ValueError, TypeError, OverflowError, InvalidInput) as error:
            raise InvalidInput(
                f"Row {batch.first_row + offset} of {path.name!r}: {column} is {str(raw)[:80]!r}, not {_WORDS[kind]}."
            ) from error
    return values


def is_missing(raw: Any) -> bool:
    """Whether a raw value stands for nothing: null, NaN, an empty cell, NA and the like."""
    return raw is None or raw != raw or (isinstance(raw, str) and raw.strip() in _MISSING)


def _long(raw: Any) -> int:
    if isinstance(raw, str):
        try:
            return int(raw)
        except ValueError:
            raw = float(raw)
    if isinstance(raw, bool) or raw != int(raw):
        raise ValueError(raw)
    return int(raw)


def _double(raw: Any) -> float:
    if isinstance(raw, bool):
        raise ValueError(raw)
    number = float(raw)
    if math.isinf(number):
        raise ValueError(raw)
    return number


def _boolean(raw: Any) -> bool:
    text = str(raw).strip().lower()
    if text not in _TRUE and text not in _FALSE:
        raise ValueError(raw)
    return text in _TRUE


_WORDS: Mapping[str, str] = {
    "double": "a finite number",
    "long": "a whole number",
    "string": "text",
    "boolean": "true or false",
    "datetime": "a time",
}
_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "double": _double,
    "long": _long,
    "string": str,
    "boolean": _boolean,
    "datetime": parse_time,
}


def _read_csv(path: Path, size: int) -> Iterator[Batch]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        try:
            names = next(rows, None)
            if not names:
                raise InvalidInput(f"The file {path.name!r} is empty.")
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise InvalidInput(f"The column {repeated[0]!r} stands more than once in {path.name!r}.")
            yield from _in_batches(names, _checked(rows, len(names), path), size)
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"Line {rows.line_num + 1} of {path.name!r} cannot be read: {error}."
            ) from error


def _checked(rows: Any, width: int, path: Path) -> Iterator[list[str]]:
    for row in rows:
        if not row:
            continue
        if len(row) != width:
            raise InvalidInput(f"Line {rows.line_num} of {path.name!r} has {len(row)} cells, not {width}.")
        yield row


def _in_batches(names: Sequence[str], rows: Iterator[Sequence[Any]], size: int) -> Iterator[Batch]:
    first, held = 1, []
    for row in rows:
        held.append(row)
        if len(held) == size:
            yield Batch(first, _transposed(names, held))
            first, held = first + size, []
    if held:
        yield Batch(first, _transposed(names, held))


def _transposed(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def _read_json_lines(path: Path, size: int) -> Iterator[Batch]:
    first, held = 1, []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                held.append(msgspec.json.decode(line, type=dict[str, Any]))
            except msgspec.DecodeError as error:
                raise InvalidInput(
                    f"Line {number} of {path.name!r} is not a JSON object: {error}."
                ) from error
            if len(held) == size:
                yield Batch(first, _of_rows(held))
                first, held = first + size, []
    if held:
        yield Batch(first, _of_rows(held))
    elif first == 1:
        raise InvalidInput(f"The file {path.name!r} is empty.")


def _of_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _read_parquet(path: Path, size: int) -> Iterator[Batch]:
    columns = columns_of(_parquet_frame(path))
    rows = len(next(iter(columns.values()), []))
    for start in range(0, rows, size):
        yield Batch(start + 1, {name: values[start : start + size] for name, values in columns.items()})


def _parquet_frame(path: Path) -> Any:
    # polars and pandas are optional here: only a Parquet file needs one of them
    try:
        if importlib.util.find_spec("polars") is not None:
            import polars

            return polars.read_parquet(path)
        if importlib.util.find_spec("pandas") is not None:
            import pandas

            return pandas.read_parquet(path)
    except Exception as error:
        raise InvalidInput(f"The file {path.name!r} cannot be read as Parquet: {error}.") from error
    raise InvalidInput(
        f"Reading {path.name!r} needs polars or pandas.", hint="Install one of them: pip install polars"
    )
