"""Search over HTTP."""

from __future__ import annotations

from holdfast.identity.records import SIGNED_IN
from holdfast.kernel.paging import parse_limit
from holdfast.overview.search import Search, SearchAnswer
from holdfast.web import Call, Route

__all__ = ["routes"]


def routes(search: Search) -> list[Route]:
    """`/api/v1/search`."""

    def find(call: Call) -> SearchAnswer:
        limit = parse_limit(call.query.get("limit"), default=20, most=100)
        return search.find(call.caller, call.query.get("q", ""), limit)

    return [
        Route(
            "GET", "/api/v1/search", find, SIGNED_IN, summary="Find anything by words", result=SearchAnswer
        ),
    ]
