"""Starlette's router with an index: it tries hundreds of routes in turn, which takes longer than most handlers do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import Lifespan, Receive, Scope, Send

__all__ = ["IndexedRouter"]


class IndexedRouter(Router):
    """Finds the same route as Starlette's router: the first that takes both address and method.

    Routes without parameters are found by their address, the others tried where the address begins as theirs does.
    What none takes goes through Starlette's own search, which answers with 404, 405 or another slash.
    """

    def __init__(self, routes: Sequence[BaseRoute], lifespan: Lifespan[Any]) -> None:
        super().__init__(routes=routes, lifespan=lifespan)
        self._exact: dict[tuple[str, str], Route] = {}
        self._tried: list[tuple[str, BaseRoute]] = []
        for route in routes:
            if isinstance(route, Route) and not route.param_convertors:
                for method in route.methods or ():
                    if not self._is_taken(method, route.path):
                        self._exact.setdefault((method, route.path), route)
            self._tried.append((getattr(route, "path", "").partition("{")[0], route))

    def _is_taken(self, method: str, path: str) -> bool:
        """Whether an earlier route with parameters takes it."""
        scope = {"type": "http", "method": method, "path": path}
        return any(route.matches(scope)[0] is Match.FULL for _, route in self._tried)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            exact = self._exact.get((scope["method"], path))
            for beginning, route in self._tried if exact is None else (("", exact),):
                if not path.startswith(beginning):
                    continue
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope["route"] = route
                    scope.update(found)
                    await route.handle(scope, receive, send)
                    return
        await super().app(scope, receive, send)
