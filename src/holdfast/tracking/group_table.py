"""The table of groups of runs on an experiment's page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.tracking.columns import RunColumn, parse_columns
from holdfast.tracking.grouping import GroupFigures, RunGroup, arrange_groups
from holdfast.tracking.query import Filter
from holdfast.tracking.records import RunColumns
from holdfast.tracking.run_table import Column
from holdfast.tracking.search_routes import sort_of
from holdfast.tracking.service import Tracking
from holdfast.web import Call
from holdfast.web.wording import number_text, plural

__all__ = ["GroupTable", "build_groups", "offered_groups"]

_PER_PAGE = 50
_MOST_FIGURES = 8
_MOST_OFFERED = 30


class GroupCell(msgspec.Struct, frozen=True):
    """A metric of a group: its mean, the spread behind ±, and the rest on hover."""

    mean: str | None
    spread: str
    full: str


class GroupRow(msgspec.Struct, frozen=True):
    """A group, with the address of its runs; empty where no filter can name them."""

    values: list[str | None]
    runs: int
    address: str
    cells: list[GroupCell]


class GroupTable(msgspec.Struct, frozen=True):
    """One page of the groups. `problem`: why there are none."""

    rows: list[GroupRow]
    headers: list[Column]
    sentence: str
    sort: str
    descending: bool
    page: int
    pages: int
    problem: str = ""


def offered_groups(known: RunColumns) -> list[tuple[str, str]]:
    """What a form offers to group by, as options."""
    columns = [RunColumn("param", key) for key in known.params[:_MOST_OFFERED]]
    columns += [RunColumn("tag", key) for key in known.tags[:_MOST_OFFERED] if not key.startswith("mlflow.")]
    columns += [RunColumn("attribute", "user"), RunColumn("attribute", "status")]
    return [(one.text, one.title) for one in columns]


def build_groups(
    call: Call,
    tracking: Tracking,
    experiment: int,
    where: Filter,
    columns: Sequence[RunColumn],
    *,
    archived: bool,
) -> GroupTable:
    """The page of groups that the address asks for: `group`, `sort`, `order`, `page`; metrics among `columns`."""
    query = call.query
    figures = [one for one in columns if one.entity in ("metric", "min", "max", "count")][:_MOST_FIGURES]
    sort, descending = _sort(query, figures)
    page = max(1, int(query["page"])) if query.get("page", "x").isdecimal() else 1
    try:
        by = parse_columns(query["group"])
        found = tracking.group_runs(call.caller, [experiment], where, by, figures, deleted=archived)
    except InvalidInput as error:
        problem = f"{error.message} {error.hint}".strip()
        return GroupTable([], [], "", "", descending=False, page=1, pages=1, problem=problem)
    groups = arrange_groups(
        found, sort=sort, descending=descending, offset=(page - 1) * _PER_PAGE, limit=_PER_PAGE
    )
    total = len(found.runs)
    return GroupTable(
        rows=[_row(one, by, query) for one in groups],
        headers=[
            *(
                Column(one.label, sort="values" if at == 0 else "", title=one.title)
                for at, one in enumerate(by)
            ),
            Column("Runs", num=True, sort="runs"),
            *(
                Column(one.label, num=True, sort=one.text, title=f"{one.title}: mean ± standard deviation")
                for one in figures
            ),
        ],
        sentence=f"{plural(sum(found.runs), 'run')} in {plural(total, 'group')}",
        sort="values" if sort is None else "runs" if sort < 0 else figures[sort].text,
        descending=descending,
        page=page,
        pages=max(1, math.ceil(total / _PER_PAGE)),
    )


def _sort(query: Mapping[str, str], figures: Sequence[RunColumn]) -> tuple[int | None, bool]:
    """By what the address asks for; by the groups' values where groups have no such column."""
    try:
        return sort_of(
            f"{query.get('sort', '')} {query.get('order', 'asc')}" if query.get("sort") else "", figures
        )
    except InvalidInput:
        return None, False


def _row(group: RunGroup, by: Sequence[RunColumn], query: Mapping[str, str]) -> GroupRow:
    clauses = [query["filter"]] if query.get("filter") else []
    for one, value in zip(by, group.values, strict=True):
        clause = _clause(one, value)
        if clause is None:
            return GroupRow(group.values, group.runs, "", [_cell(figures) for figures in group.figures])
        clauses.append(clause)
    kept = {name: query[name] for name in ("name", "status", "archived", "columns") if query.get(name)}
    address = f"?{urlencode(kept | {'filter': ' AND '.join(clauses)})}"
    return GroupRow(group.values, group.runs, address, [_cell(figures) for figures in group.figures])


def _clause(column: RunColumn, value: str | None) -> str | None:
    """The group's value as a clause of a filter; None where its quotes can't be written in one."""
    if value is None:
        return f"{column.text} IS NULL"
    quotes = [mark for mark in "'\"" if mark not in value]
    return f"{column.text} = {quotes[0]}{value}{quotes[0]}" if quotes else None


def _cell(figures: GroupFigures) -> GroupCell:
    if figures.mean is None or figures.min is None or figures.max is None:
        return GroupCell(None, "", "no finite value")
    low, high = number_text(figures.min), number_text(figures.max)
    spread = "" if figures.sd is None else number_text(figures.sd, 2)
    return GroupCell(
        number_text(figures.mean),
        spread,
        f"{figures.mean!r}; {low} to {high} in {plural(figures.count, 'run')}",
    )
