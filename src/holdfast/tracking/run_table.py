"""The runs table of an experiment: which columns differ, sorted and paged as the address says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from holdfast.tracking.records import Run
from holdfast.web.wording import column_texts

__all__ = ["RUN_KINDS", "Column", "RunRow", "RunTable", "build_table"]

PER_PAGE = 100
_MOST_COLUMNS = 8
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


class RunRow(msgspec.Struct, frozen=True):
    """A run with the values of the columns that differ."""

    run: Run
    kind: str
    duration_ms: int | None
    metrics: list[tuple[str, float] | None]
    """Text and full value per metric column."""
    params: list[str | None]


class RunTable(msgspec.Struct, frozen=True):
    """One page of the table."""

    rows: list[RunRow]
    columns: list[Column]
    same: list[tuple[str, str]]
    """Params that have one value in every matching run."""
    matching: int
    page: int
    pages: int
    sort: str
    descending: bool


def build_table(runs: Sequence[Run], query: Mapping[str, str], now_ms: int) -> RunTable:
    """The page of `runs` that `query` asks for: name, status (filters), sort, order, page."""
    matching = [run for run in runs if _matches(run, query)]
    metrics = _metric_columns(matching)
    params, same = _param_columns(matching)
    sort = query.get("sort", "")
    descending = query.get("order", "desc") != "asc"
    if sort:
        matching = _sorted(matching, sort, descending, now_ms)
    pages = max(1, math.ceil(len(matching) / PER_PAGE))
    page = min(pages, max(1, _whole(query.get("page", "1"))))
    shown = matching[(page - 1) * PER_PAGE : page * PER_PAGE]
    return RunTable(
        rows=_rows(shown, metrics, params, now_ms),
        columns=_columns(metrics, params),
        same=same,
        matching=len(matching),
        page=page,
        pages=pages,
        sort=sort,
        descending=descending,
    )


def duration_of(run: Run, now_ms: int) -> int:
    """How long a run took, or has been running, in ms."""
    return max(0, (run.end_time if run.end_time is not None else now_ms) - run.start_time)


def _rows(runs: Sequence[Run], metrics: Sequence[str], params: Sequence[str], now_ms: int) -> list[RunRow]:
    columns = [_metric_cells(runs, key) for key in metrics]
    return [
        RunRow(
            run,
            RUN_KINDS[run.status],
            duration_of(run, now_ms),
            [cells[at] for cells in columns],
            [run.params.get(key) for key in params],
        )
        for at, run in enumerate(runs)
    ]


def _metric_cells(runs: Sequence[Run], key: str) -> list[tuple[str, float] | None]:
    values = [run.metrics[key].last if key in run.metrics else None for run in runs]
    texts = column_texts(values)
    return [
        None if text is None or value is None else (text, value)
        for text, value in zip(texts, values, strict=True)
    ]


def _columns(metrics: Sequence[str], params: Sequence[str]) -> list[Column]:
    return [
        Column("Name", sort="name"),
        Column("Status", sort="status"),
        Column("Started", sort="started"),
        Column("Duration", num=True, sort="duration"),
        *(Column(key, num=True, sort=f"metric.{key}", title=f"Metric {key}, last value") for key in metrics),
        *(Column(key, sort=f"param.{key}", title=f"Param {key}") for key in params),
    ]


def _matches(run: Run, query: Mapping[str, str]) -> bool:
    status, name = query.get("status", ""), query.get("name", "").casefold()
    return (not status or run.status == status) and name in run.name.casefold()


def _metric_columns(runs: Sequence[Run]) -> list[str]:
    """Metrics by how many runs have them, then by name."""
    counts: dict[str, int] = {}
    for run in runs:
        for key in run.metrics:
            counts[key] = counts.get(key, 0) + 1
    return sorted(counts, key=lambda key: (-counts[key], key))[:_MOST_COLUMNS]


def _param_columns(runs: Sequence[Run]) -> tuple[list[str], list[tuple[str, str]]]:
    values: dict[str, set[str | None]] = {}
    for key in {key for run in runs for key in run.params}:
        values[key] = {run.params.get(key) for run in runs}
    differ = sorted(key for key, found in values.items() if len(found) > 1)
    same = sorted((key, str(next(iter(found)))) for key, found in values.items() if len(found) == 1)
    return (differ[:_MOST_COLUMNS], same) if len(runs) > 1 else ([], same)


def _sorted(runs: Sequence[Run], sort: str, descending: bool, now_ms: int) -> list[Run]:
    """Runs by one column; those without a value stand last in both orders."""
    keyed = [(_sort_key(run, sort, now_ms), run) for run in runs]
    known = sorted(
        (pair for pair in keyed if pair[0] is not None), key=lambda pair: pair[0], reverse=descending
    )
    return [run for _, run in known] + [run for key, run in keyed if key is None]


def _sort_key(run: Run, sort: str, now_ms: int) -> Any:
    if sort.startswith("metric."):
        summary = run.metrics.get(sort.removeprefix("metric."))
        return None if summary is None or math.isnan(summary.last) else summary.last
    if sort.startswith("param."):
        value = run.params.get(sort.removeprefix("param."))
        return None if value is None else _natural(value)
    plain: dict[str, Any] = {"name": run.name, "status": run.status, "started": run.start_time}
    return duration_of(run, now_ms) if sort == "duration" else plain.get(sort)


def _natural(value: str) -> tuple[int, float, str]:
    """Numbers by size before texts by letter."""
    try:
        number = float(value)
    except ValueError:
        return 1, 0.0, value
    return (0, number, "") if not math.isnan(number) else (1, 0.0, value)


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1
