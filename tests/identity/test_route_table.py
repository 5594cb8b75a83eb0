"""A walk of the route table: every route declares a permission, and refuses who lacks it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from holdfast.app.compose import all_routes
from holdfast.identity.records import PERMISSIONS, PUBLIC, ROLE_PERMISSIONS
from holdfast.identity.service import may
from holdfast.kernel.principal import Principal
from holdfast.web import Call, Route
from holdfast.web.dispatch import Door
from holdfast.web.shell import build_shell

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

OPEN_TO_ALL = {
    "/health", "/sign-in", "/ready", "/version", "/metrics", "/api/v1/version", "/api/v1/openapi.json", "/api/v1/whoami",
}  # fmt: skip


def address(route: Route) -> str:
    return re.sub(r"{\w+(:path)?}", "x", route.path)


@pytest.fixture
def table(composition: Composition) -> list[Route]:
    return all_routes(composition)


def test_every_route_declares_a_known_permission(table: list[Route]) -> None:
    assert {(route.path, route.permission) for route in table if route.permission not in PERMISSIONS} == set()


def test_few_routes_are_public(table: list[Route]) -> None:
    assert {route.path for route in table if route.permission == PUBLIC} == OPEN_TO_ALL


def test_reading_permissions_stand_on_reading_methods_alone(table: list[Route]) -> None:
    writing = [route for route in table if route.method not in ("GET", "HEAD")]
    assert [(route.method, route.path) for route in writing if route.permission.endswith(":read")] == []


def test_no_route_stands_twice_and_each_says_what_it_does(table: list[Route]) -> None:
    named = [(route.method, route.path) for route in table]
    assert len(set(named)) == len(named)
    assert [route.path for route in table if not route.summary] == []


def test_every_guarded_route_refuses_who_lacks_its_permission(
    composition: Composition, table: list[Route], serve: Any
) -> None:
    """Each route is asked by a principal that has every permission but the route's own."""
    missing = ""

    def authenticate(_headers: Any) -> Principal:
        return Principal("p", "eve", "nobody", "session", extra=tuple(PERMISSIONS - {missing}))

    door = Door(authenticate, may, composition.clock, "default", lambda _request, page: page.template)
    http = serve(build_shell(table, door, observe=lambda *_: None))
    for route in table:
        missing = route.permission
        if missing == PUBLIC:
            continue
        answer = http.request(route.method, address(route), headers={"Content-Type": "application/json"})
        assert answer.status_code == 403, (route.method, route.path)
        if route.path.startswith("/api/"):
            assert answer.json()["error"]["details"] == {"permission": missing}


def test_a_refusal_comes_before_the_handler_and_the_body(composition: Composition, serve: Any) -> None:
    called: list[Call] = []
    route = Route("POST", "/api/v1/thing", called.append, "identity:admin", dict)
    door = Door(
        composition.identity.authenticate, may, composition.clock, "default", lambda _r, p: p.template
    )
    http = serve(build_shell([route], door, observe=lambda *_: None))
    assert http.post("/api/v1/thing", content=b"not JSON").status_code == 403
    assert called == []


def test_a_wrong_secret_is_401_on_every_route(http: Any, table: list[Route]) -> None:
    for route in table:
        answer = http.request(route.method, address(route), headers={"Authorization": "Bearer wrong"})
        assert answer.status_code == 401, (route.method, route.path)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_who_am_i(http: Any, composition: Composition) -> None:
    token = (composition.settings.data / "admin.token").read_text().strip()
    assert http.get("/api/v1/whoami").json()["id"] == "open"
    admin = http.get("/api/v1/whoami", headers={"Authorization": f"Bearer {token}"}).json()
    assert (admin["role"], admin["auth"]) == ("admin", "admin-token")
    assert admin["permissions"] == sorted(ROLE_PERMISSIONS["admin"])


def test_administration_needs_the_secret(http: Any, composition: Composition) -> None:
    token = (composition.settings.data / "admin.token").read_text().strip()
    assert http.get("/api/v1/roles").status_code == 403
    answer = http.get("/api/v1/roles", headers={"Authorization": f"Bearer {token}"})
    assert set(answer.json()) == set(ROLE_PERMISSIONS)
    assert token not in msgspec.json.encode(answer.json()).decode()
