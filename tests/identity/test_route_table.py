"""The permission matrix: every route, asked by every role, from another workspace, and by nobody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from holdfast.app.compose import all_routes
from holdfast.identity.records import (
    ACCOUNT,
    DEPLOYMENT_ROLES,
    PERMISSIONS,
    PUBLIC,
    ROLE_PERMISSIONS,
    SIGNED_IN,
    WORKSPACE_FREE,
)
from holdfast.web import Call, Form, Route
from holdfast.web.dispatch import Door
from holdfast.web.shell import build_shell
from tests.identity.conftest import Crew

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

OPEN_TO_ALL = {
    "/health",
    "/ready",
    "/version",
    "/login",
    "/login/sso",
    "/login/sso/callback",
    "/sign-in",
    "/api/v1/login",
    "/api/3.0/mlflow/server-info",
}
HELD = {
    **{role: held | {SIGNED_IN, ACCOUNT} for role, held in ROLE_PERMISSIONS.items()},
    "none": frozenset({SIGNED_IN, ACCOUNT}),
    "deployment admin": ROLE_PERMISSIONS["admin"] | DEPLOYMENT_ROLES["admin"] | {SIGNED_IN, ACCOUNT},
    "inference": DEPLOYMENT_ROLES["inference"] | {SIGNED_IN, ACCOUNT},
}


def address(route: Route) -> str:
    return re.sub(r"{\w+(:path)?}", "x", route.path)


@pytest.fixture
def table(composition: Composition) -> list[Route]:
    return all_routes(composition)


@pytest.fixture
def headers(crew: Crew) -> dict[str, dict[str, str]]:
    """A token of each role in the workspace `default`."""
    for role in ROLE_PERMISSIONS:
        crew.add(f"a-{role}", role)
    crew.add("a-none")
    crew.add("a-deployment-admin", is_admin=True)
    crew.add("a-inference", "inference", "*", kind="service")
    return {role: crew.headers(f"a-{role.replace(' ', '-')}") for role in HELD}


def ask(http: Any, route: Route, headers: dict[str, str], workspace: str = "") -> Any:
    """The answer to a request that has a body of the right kind, and nothing in it."""
    media = "application/x-www-form-urlencoded" if route.body is Form else "application/json"
    sent = {**headers, "Content-Type": media} | ({"X-Holdfast-Workspace": workspace} if workspace else {})
    return http.request(route.method, address(route), headers=sent)


@pytest.mark.parametrize("role", HELD)
def test_every_route_lets_a_role_in_or_refuses_it_as_it_declares(
    http: Any, table: list[Route], headers: dict[str, dict[str, str]], role: str
) -> None:
    for route in table:
        answer = ask(http, route, headers[role])
        what = (role, route.method, route.path, route.permission, answer.status_code, answer.text[:200])
        if route.permission in HELD[role] | {PUBLIC}:
            assert answer.status_code < 500, what
            assert "lacks the permission" not in answer.text, what
            assert route.path in OPEN_TO_ALL or answer.status_code != 401, what
        else:
            assert answer.status_code == 403, what
            assert "does not belong to this browser" not in answer.text, what


@pytest.mark.parametrize("role", ROLE_PERMISSIONS)
def test_another_workspace_looks_like_none(
    http: Any, crew: Crew, table: list[Route], headers: dict[str, dict[str, str]], role: str
) -> None:
    crew.c.workspaces.create(crew.admin(), "other")
    for route in table:
        if route.permission == PUBLIC:
            continue
        there = ask(http, route, headers[role], "other")
        nowhere = ask(http, route, headers[role], "never-made")
        assert (there.status_code, nowhere.status_code) == (404, 404), (route.method, route.path)
        if route.path.startswith("/api/v1/"):
            told = [msgspec.json.decode(one.content)["error"] for one in (there, nowhere)]
            assert told[0]["message"].replace("other", "never-made") == told[1]["message"]
            assert told[0].get("hint") == told[1].get("hint")


def test_nobody_gets_beyond_what_is_public(http: Any, table: list[Route], headers: dict[str, Any]) -> None:
    for route in table:
        answer = ask(http, route, {})
        if route.permission == PUBLIC:
            assert route.path in OPEN_TO_ALL
        else:
            assert answer.status_code == 401, (route.method, route.path)
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_wrong_credential_is_401_on_every_route(
    http: Any, table: list[Route], headers: dict[str, Any]
) -> None:
    for given in ("Bearer wrong", "Bearer", "Basic YTpi", "nonsense"):
        for route in table:
            answer = http.request(route.method, address(route), headers={"Authorization": given})
            assert answer.status_code == 401, (given, route.method, route.path)


def test_every_route_declares_a_known_permission(table: list[Route]) -> None:
    assert {(route.path, route.permission) for route in table if route.permission not in PERMISSIONS} == set()


def test_few_routes_are_public(table: list[Route]) -> None:
    assert {route.path for route in table if route.permission == PUBLIC} == OPEN_TO_ALL


def test_reading_permissions_stand_on_reading_methods_alone(table: list[Route]) -> None:
    searching = re.compile(
        r"/api/[23]\.0/mlflow/.+/(search|search-datasets|get-latest-versions|batchGetInfos)"
    )
    writing = [
        route
        for route in table
        if route.method not in ("GET", "HEAD") and not searching.fullmatch(route.path)
    ]
    assert [(route.method, route.path) for route in writing if route.permission.endswith(":read")] == []


def test_every_permission_of_a_role_is_asked_for_by_a_route_or_by_the_inference_server(
    table: list[Route],
) -> None:
    asked = {route.permission for route in table} | {
        "predictions:infer",
        "predictions:replay",
        "registry:approve",
    }
    assert PERMISSIONS - asked == set()
    assert WORKSPACE_FREE <= PERMISSIONS


def test_no_route_stands_twice_and_each_says_what_it_does(table: list[Route]) -> None:
    named = [(route.method, route.path) for route in table]
    assert len(set(named)) == len(named)
    assert [route.path for route in table if not route.summary] == []


def test_a_refusal_comes_before_the_handler_and_the_body(composition: Composition, serve: Any) -> None:
    called: list[Call] = []
    route = Route("POST", "/api/v1/thing", called.append, "identity:admin", dict)
    door = Door(composition.identity, composition.clock, lambda _r, p: p.template)
    http = serve(build_shell([route], door, observe=lambda *_: None))
    assert http.post("/api/v1/thing", content=b"not JSON").status_code == 403
    assert called == []


def test_who_am_i(http: Any, composition: Composition) -> None:
    token = (composition.settings.data / "admin.token").read_text().strip()
    assert http.get("/api/v1/whoami").json()["id"] == "open"
    admin = http.get("/api/v1/whoami", headers={"Authorization": f"Bearer {token}"}).json()
    assert (admin["role"], admin["auth"], admin["workspaces"]) == ("admin", "admin-token", ["default"])
    assert admin["permissions"] == sorted(ROLE_PERMISSIONS["admin"] | DEPLOYMENT_ROLES["admin"])


def test_administration_needs_the_secret(http: Any, composition: Composition) -> None:
    token = (composition.settings.data / "admin.token").read_text().strip()
    assert http.get("/api/v1/roles").status_code == 403
    answer = http.get("/api/v1/roles", headers={"Authorization": f"Bearer {token}"})
    assert set(answer.json()) == set(ROLE_PERMISSIONS)
    assert token not in msgspec.json.encode(answer.json()).decode()
