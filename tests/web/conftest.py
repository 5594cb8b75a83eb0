"""A small application of the test's own routes, behind the real guards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.identity.service import OPEN
from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import NotFound
from holdfast.kernel.principal import Principal
from holdfast.web import Call, Route, Visit
from holdfast.web.dispatch import Door
from holdfast.web.shell import build_shell


class Everybody:
    """An admission that lets everybody in."""

    def admit(self, _visit: Visit, _permission: str, *, wait: bool) -> tuple[Principal, str]:
        return OPEN, "default"


@pytest.fixture
def door(clock: ManualClock) -> Door:
    return Door(Everybody(), clock, lambda _request, page: f"<title>{page.title}</title>{page.context}")


@pytest.fixture
def shell(door: Door, serve: Callable[[Any], Any]) -> Callable[..., Any]:
    """An HTTP client of an application with these routes."""
    return lambda *routes: serve(build_shell(routes, door, observe=lambda *_: None))


@pytest.fixture
def thing(shell: Callable[..., Any]) -> Any:
    """An application with one thing that can be read, written and not found."""

    def missing(call: Call) -> None:
        raise NotFound(
            f"There is no thing {call.path['name']!r}.", hint="List things.", details={"known": ["a"]}
        )

    return shell(
        Route("GET", "/api/v1/thing", lambda _call: {"name": "thing"}, "public"),
        Route("POST", "/api/v1/thing", lambda call: call.body, "public", dict),
        Route("GET", "/api/v1/things/{name}", missing, "public"),
        Route("GET", "/things/{name}", missing, "public"),
    )
