"""Runs found, grouped, exported and compared, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.storage import Objects
from holdfast.tracking.columns import RunColumn, all_columns, parse_columns, split_list, value_of
from holdfast.tracking.comparing import Comparison, compare_runs
from holdfast.tracking.curves import Curves, load_curves
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.exporting import csv_of
from holdfast.tracking.grouping import RunGroups, arrange_groups
from holdfast.tracking.query import RUNS, Filter, Order, parse_filter, parse_order
from holdfast.tracking.records import Run, RunStatus
from holdfast.tracking.service import Tracking
from holdfast.web import Call, Route, Stream

__all__ = ["search_routes", "sort_of"]

MOST_FIGURES = 20


class RunsQuery(msgspec.Struct, frozen=True):
    """Which runs."""

    experiment: str = ""
    """Name or number; without one, all experiments."""
    filter: str = ""
    deleted: bool = False


class ExportQuery(RunsQuery, frozen=True):
    """Which runs, in which order, with what of each."""

    order: str = ""
    """Orders separated by commas: `min.loss, metrics.accuracy DESC`; the newest start first without one."""
    columns: str = ""
    """Columns separated by commas; every metric's last value and every param without one."""


class SearchQuery(ExportQuery, frozen=True):
    """The same, and which part of them."""

    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class GroupQuery(RunsQuery, frozen=True, kw_only=True):
    """Runs in groups: by which params, tags, name, user or status, with the figures of which metrics."""

    by: str
    """Up to 3 columns separated by commas: `params.depth, user`."""
    columns: str = ""
    """Metrics separated by commas: `metrics.loss, min.loss`; the last values of the first 20 without one."""
    order: str = ""
    """A column, for its mean, or `runs`; `DESC` after it for the greatest first. By the groups' values without one."""
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class FoundRun(msgspec.Struct, frozen=True):
    """A run with its values in the columns, in their order; null for what it has not."""

    run_id: str
    experiment_id: int
    name: str
    status: RunStatus
    start_time: int
    end_time: int | None
    values: list[float | str | None]


class FoundRuns(msgspec.Struct, frozen=True):
    """A part of the runs that match, and how many do."""

    total: int
    columns: list[str]
    items: list[FoundRun]


class CurvesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs, by their ids separated by commas, and what of them: a metric over an axis, from where to where on it."""

    runs: str
    key: str
    x: str = "step"
    """step, time, relative, or metrics.KEY."""
    points: Annotated[int, msgspec.Meta(ge=2, le=10_000)] = 500
    """At most so many of each run."""
    start: float | None = None
    end: float | None = None


class CompareQuery(msgspec.Struct, frozen=True):
    """Which runs, by their ids separated by commas; the first is the baseline without one. By what differs, or by all."""

    runs: str
    baseline: str = ""
    all: bool = False


def search_routes(experiments: Experiments, tracking: Tracking, objects: Objects) -> list[Route]:
    """The routes that find, group, export and compare runs."""

    def numbers_of(call: Call) -> list[int]:
        asked: RunsQuery = call.params
        if asked.experiment:
            return [experiments.get_experiment(call.caller, asked.experiment).experiment_id]
        return [one.experiment_id for one in experiments.list_experiments(call.caller).items]

    def question(call: Call) -> tuple[list[int], Filter, list[Order], list[RunColumn]]:
        asked: ExportQuery = call.params
        numbers = numbers_of(call)
        where = parse_filter(asked.filter, RUNS)
        order = parse_order(split_list(asked.order), RUNS)
        columns = parse_columns(asked.columns) or all_columns(tracking.list_columns(call.caller, numbers))
        return numbers, where, order, columns

    def export(call: Call) -> Stream:
        numbers, where, order, columns = question(call)
        runs = tracking.iterate_runs(call.caller, numbers, where, order, deleted=call.params.deleted)
        headers = {"Content-Disposition": 'attachment; filename="runs.csv"'}
        return Stream(csv_of(runs, columns), "text/csv; charset=utf-8", headers)

    def search(call: Call) -> FoundRuns:
        asked: SearchQuery = call.params
        numbers, where, order, columns = question(call)
        runs = tracking.find_runs(
            call.caller,
            numbers,
            where,
            order,
            deleted=asked.deleted,
            offset=asked.offset,
            limit=asked.limit,
        )
        return FoundRuns(
            tracking.count_runs(call.caller, numbers, where, deleted=asked.deleted),
            [column.text for column in columns],
            [_found(run, columns) for run in runs],
        )

    def groups(call: Call) -> RunGroups:
        asked: GroupQuery = call.params
        numbers, by, columns = numbers_of(call), parse_columns(asked.by), parse_columns(asked.columns)
        if not asked.columns:
            known = tracking.list_columns(call.caller, numbers).metrics
            columns = [RunColumn("metric", key) for key in known[:MOST_FIGURES]]
        where = parse_filter(asked.filter, RUNS)
        found = tracking.group_runs(call.caller, numbers, where, by, columns, deleted=asked.deleted)
        sort, descending = sort_of(asked.order, columns)
        page = arrange_groups(found, sort=sort, descending=descending, offset=asked.offset, limit=asked.limit)
        named = [one.text for one in by], [one.text for one in columns]
        return RunGroups(*named, len(found.runs), page)

    def compare(call: Call) -> Comparison:
        asked: CompareQuery = call.params
        ids = [part for one in asked.runs.split(",") if (part := one.strip())]
        return compare_runs(tracking, objects, call.caller, ids, asked.baseline, all_rows=asked.all)

    def curves(call: Call) -> Curves:
        asked: CurvesQuery = call.params
        return load_curves(
            tracking,
            call.caller,
            [part for one in asked.runs.split(",") if (part := one.strip())],
            asked.key,
            x=asked.x,
            points=asked.points,
            start=asked.start,
            end=asked.end,
        )

    return [
        Route(
            "GET",
            "/api/v1/runs/curves",
            curves,
            "tracking:read",
            summary="A metric of several runs as curves",
            result=Curves,
            query=CurvesQuery,
        ),
        Route(
            "GET",
            "/api/v1/runs/search",
            search,
            "tracking:read",
            summary="Find runs by a filter",
            result=FoundRuns,
            query=SearchQuery,
        ),
        Route(
            "GET",
            "/api/v1/runs/export",
            export,
            "tracking:read",
            summary="All runs that a filter finds, as CSV",
            query=ExportQuery,
        ),
        Route(
            "GET",
            "/api/v1/runs/groups",
            groups,
            "tracking:read",
            summary="Group runs, with the figures of their metrics",
            result=RunGroups,
            query=GroupQuery,
        ),
        Route(
            "GET",
            "/api/v1/runs/compare",
            compare,
            "tracking:read",
            summary="Compare runs",
            result=Comparison,
            query=CompareQuery,
        ),
    ]


def _found(run: Run, columns: Sequence[RunColumn]) -> FoundRun:
    return FoundRun(
        run.run_id,
        run.experiment_id,
        run.name,
        run.status,
        run.start_time,
        run.end_time,
        [value_of(run, column) for column in columns],
    )


def sort_of(order: str, columns: Sequence[RunColumn]) -> tuple[int | None, bool]:
    """Which place among the columns groups are sorted by (-1: their size, None: their values), and whether descending.

    Raises InvalidInput for another column.
    """
    if not order.strip():
        return None, False
    word, _, direction = order.strip().rpartition(" ")
    descending = direction.upper() == "DESC"
    if not word or direction.upper() not in ("ASC", "DESC"):
        word = order.strip()
    if word in ("runs", "values"):
        return (-1 if word == "runs" else None), descending
    texts = [one.text for one in columns]
    if word not in texts:
        raise InvalidInput(
            f"Groups can't be sorted by {word[:80]!r}.",
            hint=f"Sort by runs, values or {', '.join(texts[:9])}.",
        )
    return texts.index(word), descending
