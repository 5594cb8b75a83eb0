"""The runs table of an experiment: which columns are worth showing, and one page of rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

from holdfast.tracking.asked import Asked
from holdfast.tracking.columns import RunColumn, duration_of, value_of
from holdfast.tracking.records import Run
from holdfast.web.wording import column_texts, number_text

__all__ = [
    "RUN_KINDS",
    "Column",
    "RunRow",
    "RunTable",
    "build_rows",
    "build_table",
    "choose_columns",
    "rows_per_page",
]

_MOST_SHOWN = 6
_NODES, _NODES_OF_A_ROW = 1040, 15
RUN_KINDS = {
    "scheduled": "busy",
    "running": "busy",
    "finished": "ok",
    "failed": "harm",
    "killed": "attention",
}
"""Status of a run -> how it is coloured."""


class Column(msgspec.Struct, frozen=True):
    """A column's header; `sort` is its name in the address, empty when it does not sort."""

    label: str
    num: bool = False
    sort: str = ""
    title: str = ""
    wide: bool = False


class Cell(msgspec.Struct, frozen=True):
    """A value as it is shown, with its full form; no text for none."""

    text: str | None
    full: str = ""
    is_number: bool = False


class RunRow(msgspec.Struct, frozen=True):
    """A run with the values of the columns."""

    run: Run
    kind: str
    duration_ms: int
    cells: list[Cell]


class RunTable(msgspec.Struct, frozen=True):
    """One page of the table."""

    rows: list[RunRow]
    headers: list[Column]
    columns: list[RunColumn]
    same: list[tuple[str, str]]
    """Params that have one value in every run shown."""
    matching: int
    page: int
    pages: int
    per_page: int


def rows_per_page(columns: int) -> int:
    """So many rows that two pages of them stay below 3,000 elements with everything around."""
    return max(15, min(50, _NODES // (_NODES_OF_A_ROW + columns)))


def choose_columns(runs: Sequence[Run], asked: Asked) -> list[RunColumn]:
    """The columns asked for; else the metrics that most runs have and the params that differ among `runs`."""
    if asked.columns:
        return asked.columns
    counts = Counter(key for run in runs for key in run.metrics)
    metrics = sorted(counts, key=lambda key: (-counts[key], key))[:_MOST_SHOWN]
    params = [key for key, values in _params(runs).items() if len(values) > 1][:_MOST_SHOWN]
    chosen = [RunColumn("metric", key) for key in metrics] + [RunColumn("param", key) for key in params]
    sorted_by = [RunColumn(one.entity, one.key) for one in asked.order if one.entity != "attribute"]
    return [*chosen, *(one for one in sorted_by if one not in chosen)]


def same_params(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Params with one value in every run, where there are several runs."""
    if len(runs) < 2:
        return []
    return [(key, str(next(iter(found)))) for key, found in _params(runs).items() if len(found) == 1]


def build_table(
    runs: Sequence[Run], columns: Sequence[RunColumn], matching: int, asked: Asked, now_ms: int
) -> RunTable:
    """The page of `runs` that was asked for, of `matching` runs in all."""
    per_page = rows_per_page(len(columns))
    return RunTable(
        rows=build_rows(runs, columns, now_ms),
        headers=_headers(columns),
        columns=list(columns),
        same=same_params(runs),
        matching=matching,
        page=asked.page,
        pages=max(1, math.ceil(matching / per_page)),
        per_page=per_page,
    )


def build_rows(runs: Sequence[Run], columns: Sequence[RunColumn], now_ms: int) -> list[RunRow]:
    """The rows of runs; numbers of a column have the same places."""
    filled = [_cells(runs, column) for column in columns]
    return [
        RunRow(run, RUN_KINDS[run.status], duration_of(run, now_ms), [cells[at] for cells in filled])
        for at, run in enumerate(runs)
    ]


def _cells(runs: Sequence[Run], column: RunColumn) -> list[Cell]:
    values = [value_of(run, column) for run in runs]
    if not column.is_number:
        return [Cell(None if value is None else str(value), str(value)) for value in values]
    numbers = [None if value is None else float(value) for value in values]
    texts = column_texts(numbers)
    return [
        Cell(text, "" if value is None else _full(value), is_number=True)
        for text, value in zip(texts, numbers, strict=True)
    ]


def _full(value: float) -> str:
    return number_text(value) if not math.isfinite(value) or value == int(value) else repr(value)


def _headers(columns: Sequence[RunColumn]) -> list[Column]:
    return [
        Column("Name", sort="name"),
        Column("Status", sort="status"),
        Column("Started", sort="start_time"),
        Column("Duration", num=True, sort="duration"),
        *(Column(one.label, num=one.is_number, sort=one.text, title=one.title) for one in columns),
    ]


def _params(runs: Sequence[Run]) -> dict[str, set[str | None]]:
    keys = sorted({key for run in runs for key in run.params})
    return {key: {run.params.get(key) for run in runs} for key in keys}
