"""Search over everything that the server keeps."""

from __future__ import annotations

from holdfast.client.api import Api
from holdfast.client.records import SearchAnswer

__all__ = ["SearchVerbs"]


class SearchVerbs:
    """The searching part of `Client`."""

    _api: Api

    def search(self, text: str, *, limit: int = 20) -> SearchAnswer:
        """What has the words of `text` in its name, id, params or tags, the best first."""
        return self._api.get("/api/v1/search", SearchAnswer, q=text, limit=limit)
