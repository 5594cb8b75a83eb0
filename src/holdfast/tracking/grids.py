"""Tables among artifacts, of which only what is shown is read: CSV, JSON of rows, and what a Parquet child answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO

import msgspec

__all__ = ["CSV_BUDGET", "Cell", "Grid", "NoTable", "Window", "make_grid", "read_csv", "read_split"]

CSV_BUDGET = 32_000_000
_MOST_COLUMNS = 60
_MOST_ROWS, _MOST_CELLS = 200, 2400
_MOST_CHARS, _MOST_TITLE = 100, 1000


class NoTable(Exception):
    """The bytes are no such table; the text says why."""


class Window(msgspec.Struct, frozen=True):
    """Which part of a table is asked for: its first row and column, from 0, and the most rows and columns."""

    row: int = 0
    column: int = 0
    most_rows: int = _MOST_ROWS
    most_columns: int = _MOST_COLUMNS

    def columns(self, known: int) -> range:
        """The columns to show, of all that there are."""
        return range(known)[self.column : self.column + self.most_columns]

    def rows(self, known_columns: int) -> int:
        """How many rows fit on a page beside so many columns."""
        return max(1, min(self.most_rows, _MOST_CELLS // (len(self.columns(known_columns)) + 2)))


class Cell(msgspec.Struct, frozen=True, gc=False):
    """A value as it is shown; None for a missing one. `full` has more of it where `text` was cut."""

    text: str | None
    full: str = ""


class Grid(msgspec.Struct, frozen=True):
    """A part of a table."""

    columns: list[str]
    is_number: list[bool]
    """Of each column shown: whether all its values here are numbers."""
    rows: list[list[Cell]]
    first_row: int
    first_column: int
    all_columns: int
    all_rows: int | None
    """None where nobody has counted them."""
    has_more: bool
    is_cut: bool = False
    """Whether rows that follow lie beyond what is read of such a file."""

    @property
    def numbered(self) -> list[tuple[int, list[Cell]]]:
        """The rows with their numbers, from 1."""
        return list(enumerate(self.rows, self.first_row + 1))


def make_grid(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    window: Window,
    *,
    all_columns: int,
    all_rows: int | None,
    has_more: bool,
    is_cut: bool = False,
) -> Grid:
    """A grid of plain values, those of the window's columns alone."""
    return Grid(
        columns=[_cut(name, _MOST_CHARS) for name in columns],
        is_number=[_is_numeric([row[at] for row in rows]) for at in range(len(columns))],
        rows=[[_cell(value) for value in row] for row in rows],
        first_row=window.row,
        first_column=window.column,
        all_columns=all_columns,
        all_rows=all_rows,
        has_more=has_more,
        is_cut=is_cut,
    )


def read_csv(file: BinaryIO, window: Window, delimiter: str = ",") -> Grid:
    """Rows of a CSV file whose first line names the columns; at most 32 MB of it are read. Raises NoTable."""
    source = _Bounded(file, CSV_BUDGET)
    text = io.TextIOWrapper(io.BufferedReader(source), "utf-8-sig", errors="replace", newline="")
    head = text.readline(1 << 20)
    if delimiter == "," and "," not in head and ";" in head:
        delimiter = ";"
    rows = csv.reader(_lines(head, text), delimiter=delimiter)
    try:
        names = next(rows, [])
        per_page = window.rows(len(names))
        taken = list(islice((row for row in rows if row), window.row, window.row + per_page + 1))
    except csv.Error as error:
        raise NoTable(str(error)) from error
    if source.is_spent and len(taken) <= per_page:
        taken = taken[:-1]  # it may end in the middle
    is_end = not source.is_spent and len(taken) <= per_page
    width = max([len(names), *map(len, taken)])
    names += [f"column {at + 1}" for at in range(len(names), width)]
    part = window.columns(width)
    shown = [[row[at] if at < len(row) else None for at in part] for row in taken[:per_page]]
    return make_grid(
        [names[at] for at in part],
        shown,
        window,
        all_columns=width,
        all_rows=window.row + len(taken) if is_end and (taken or not window.row) else None,
        has_more=len(taken) > per_page,
        is_cut=source.is_spent and len(taken) <= per_page,
    )


class _Split(msgspec.Struct):
    columns: list[Any]
    data: list[msgspec.Raw]


_split = msgspec.json.Decoder(_Split)


def read_split(data: bytes, window: Window) -> Grid:
    """Rows of `{"columns": [...], "data": [[...], ...]}`; only those shown are decoded. Raises NoTable."""
    try:
        table = _split.decode(data)
        names = [_text(name) for name in table.columns]
        part = window.columns(len(names))
        taken = table.data[window.row : window.row + window.rows(len(names))]
        rows = [msgspec.json.decode(row, type=list[Any]) for row in taken]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NoTable(str(error)) from error
    shown = [[row[at] if at < len(row) else None for at in part] for row in rows]
    more = window.row + len(taken) < len(table.data)
    return make_grid(
        [names[at] for at in part],
        shown,
        window,
        all_columns=len(names),
        all_rows=len(table.data),
        has_more=more,
    )


def _lines(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


class _Bounded(io.RawIOBase):
    """The first bytes of a file."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._left = limit
        self.is_spent = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self.is_spent = bool(self._file.read(1)) or self.is_spent
            return 0
        block = self._file.read(min(self._left, len(buffer)))
        buffer[: len(block)] = block
        self._left -= len(block)
        return len(block)


def _is_numeric(values: Sequence[Any]) -> bool:
    """Whether there are numbers among the values and, besides missing ones, nothing else."""
    known = [value for value in values if value not in (None, "")]
    return bool(known) and all(_reads_as_number(value) for value in known)


def _reads_as_number(value: Any) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: Any) -> Cell:
    if value is None:
        return Cell(None)
    text = _text(value)
    return Cell(text) if len(text) <= _MOST_CHARS else Cell(_cut(text, _MOST_CHARS), _cut(text, _MOST_TITLE))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    return msgspec.json.encode(value).decode()


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
