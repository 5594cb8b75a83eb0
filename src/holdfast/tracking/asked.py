"""Which runs are asked for: filter, order, columns and page, as the address of a page has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.tracking.columns import RunColumn, parse_columns
from holdfast.tracking.query import RUNS, Clause, Order, parse_filter, parse_order

__all__ = ["Asked", "read_asked"]

_Part = TypeVar("_Part")


class Asked(msgspec.Struct, frozen=True):
    """A question about runs."""

    where: list[Clause]
    order: list[Order]
    columns: list[RunColumn]
    """Empty: those that the table finds worth showing."""
    page: int
    problem: str = ""
    """Why a part of the address was left out of the question."""
    filter_text: str = ""
    """The question as one filter."""

    @property
    def sort(self) -> str:
        """The column that is sorted by, as it is written; empty for the newest first."""
        return RunColumn(self.order[0].entity, self.order[0].key).text if self.order else ""

    @property
    def descending(self) -> bool:
        """Whether that column descends."""
        return not self.order or self.order[0].descending


def read_asked(query: Mapping[str, str]) -> Asked:
    """The question in an address's `filter`, `status`, `name`, `sort`, `order`, `columns` and `page`.

    A part that can't be read is left out and told in `problem`, so that its page can show it where it was entered.
    """
    problems: list[str] = []

    def attempt(read: Callable[[], list[_Part]]) -> list[_Part]:
        try:
            return read()
        except InvalidInput as error:
            problems.append(f"Not applied: {error.message} {error.hint}".strip())
            return []

    where = attempt(lambda: parse_filter(query.get("filter", ""), RUNS))
    order = attempt(lambda: _order(query.get("sort", ""), query.get("order", "")))
    columns = attempt(lambda: parse_columns(query.get("columns", "")))
    texts = [query["filter"]] if where else []
    if query.get("status"):
        where.append(Clause("attribute", "status", "=", query["status"]))
        texts.append(f"status = {_quoted(query['status'])}")
    if query.get("name"):
        where.append(Clause("attribute", "name", "ILIKE", f"%{query['name']}%"))
        texts.append(f"name ILIKE {_quoted('%' + query['name'] + '%')}")
    return Asked(where, order, columns, _page(query.get("page", "")), " ".join(problems), " AND ".join(texts))


def _quoted(text: str) -> str:
    """A text in a filter; one with quotes of both kinds can't be written there."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def _page(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def _order(sort: str, direction: str) -> list[Order]:
    if not sort:
        return []
    return [msgspec.structs.replace(parse_order([sort], RUNS)[0], descending=direction != "asc")]
