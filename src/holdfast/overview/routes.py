"""Search over HTTP."""

from __future__ import annotations

from typing import Annotated

import msgspec

from holdfast.identity.records import SIGNED_IN
from holdfast.overview.search import Search, SearchAnswer
from holdfast.web import Call, Route

__all__ = ["routes"]


class SearchQuery(msgspec.Struct, frozen=True):
    """What to look for: words, and how many things to find."""

    q: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20


def routes(search: Search) -> list[Route]:
    """`/api/v1/search`."""

    def find(call: Call) -> SearchAnswer:
        asked: SearchQuery = call.params
        return search.find(call.caller, asked.q, asked.limit)

    return [
        Route(
            "GET", "/api/v1/search", find, SIGNED_IN, summary="Find anything by words", result=SearchAnswer,
            query=SearchQuery,
        ),
    ]  # fmt: skip
