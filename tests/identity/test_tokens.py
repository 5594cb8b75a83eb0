"""API tokens: told once, kept as a digest, scoped, ending, revoked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import InvalidInput
from tests.identity.conftest import PASSWORD, Crew

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

DAY_MS = 86_400_000


def test_a_token_is_told_once_and_kept_as_a_digest(http: Any, composition: Composition, crew: Crew) -> None:
    crew.add("ada", "viewer")
    secret = crew.token("ada")
    assert re.fullmatch(r"holdfast_[A-Za-z0-9_-]{43}", secret)
    listed = http.get("/api/v1/tokens", headers={"Authorization": f"Bearer {secret}"})
    (token,) = listed.json()["items"]
    assert (token["name"], token["hint"]) == ("test", secret[:13])
    assert secret not in listed.text
    rows = composition.storage.read(lambda tx: str(tx.exec_driver_sql("SELECT * FROM token").all()))
    assert secret not in rows and secret[13:] not in rows


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_is_its_principal(http: Any, crew: Crew, scheme: str) -> None:
    made = crew.add("ada", "viewer")
    who = http.get("/api/v1/whoami", headers={"Authorization": f"{scheme} {crew.token('ada')}"}).json()
    assert (who["id"], who["name"], who["role"], who["auth"]) == (made, "ada", "viewer", "token")


def test_a_scope_narrows_what_a_token_may(http: Any, crew: Crew) -> None:
    crew.add("ada", "contributor")
    headers = crew.headers("ada", permissions=["tracking:read"])
    assert http.get("/api/v1/experiments", headers=headers).status_code == 200
    assert http.post("/api/v1/experiments", json={"name": "e"}, headers=headers).status_code == 403
    assert http.get("/api/v1/whoami", headers=headers).json()["permissions"] == ["tracking:read"]


def test_a_scope_gives_nothing_beyond_the_role(http: Any, crew: Crew) -> None:
    crew.add("ada", "viewer")
    headers = crew.headers("ada", permissions=["tracking:write", "deployment:admin"])
    assert http.post("/api/v1/experiments", json={"name": "e"}, headers=headers).status_code == 403
    assert http.get("/api/v1/users", headers=headers).status_code == 403


def test_a_token_of_a_workspace_is_in_it_and_in_no_other(http: Any, crew: Crew) -> None:
    crew.c.workspaces.create(crew.admin(), "labs")
    crew.add("ada", is_admin=True)
    headers = crew.headers("ada", workspace="")
    scoped = {"Authorization": f"Bearer {crew.token('ada', workspace='labs')}"}
    assert http.get("/api/v1/whoami", headers=headers).json()["workspace"] == "default"
    who = http.get("/api/v1/whoami", headers=scoped).json()
    assert (who["workspace"], who["workspaces"]) == ("labs", ["labs"])
    assert "deployment:admin" not in who["permissions"]
    there = {**scoped, "X-Holdfast-Workspace": "default"}
    assert http.get("/api/v1/experiments", headers=there).status_code == 404
    assert http.get("/api/v1/users", headers=scoped).status_code == 403


def test_a_token_ends(http: Any, composition: Any, crew: Crew, clock: ManualClock) -> None:
    composition.identity._clock = composition.clock = clock
    crew.add("ada", "viewer")
    headers = crew.headers("ada", days=2)
    clock.advance(2 * DAY_MS - 1)
    assert http.get("/api/v1/experiments", headers=headers).status_code == 200
    clock.advance(1)
    answer = http.get("/api/v1/experiments", headers=headers)
    assert (answer.status_code, "expired" in answer.json()["error"]["message"]) == (401, True)


def test_a_revoked_token_is_refused_at_once(http: Any, crew: Crew) -> None:
    crew.add("ada", "viewer")
    crew.add("eve", "viewer")
    headers, others = crew.headers("ada"), crew.headers("eve")
    (token,) = http.get("/api/v1/tokens", headers=headers).json()["items"]
    assert http.delete(f"/api/v1/tokens/{token['id']}", headers=others).status_code == 404
    assert http.delete(f"/api/v1/tokens/{token['id']}", headers=headers).status_code == 200
    answer = http.get("/api/v1/experiments", headers=headers)
    assert (answer.status_code, "revoked" in answer.json()["error"]["message"]) == (401, True)


def test_last_use_is_written_once_a_minute(
    http: Any, composition: Any, crew: Crew, clock: ManualClock
) -> None:
    composition.identity._clock = composition.clock = clock
    crew.add("ada", "viewer")
    headers = crew.headers("ada")

    def last_used() -> int:
        (token,) = http.get("/api/v1/tokens", headers=headers).json()["items"]
        return int(token["last_used_at"])

    first = clock.now_ms()
    assert last_used() == first
    clock.advance(59_999)
    composition.identity.forget()
    assert last_used() == first
    clock.advance(1)
    composition.identity.forget()
    assert last_used() == first + 60_000


@pytest.mark.parametrize("scope", [
    {"permissions": []}, {"permissions": ["world:end"]}, {"days": 0}, {"days": 10**9}, {"name": ""}, {"name": "a\nb"},
])  # fmt: skip
def test_a_scope_that_is_none_is_refused(http: Any, crew: Crew, scope: dict[str, Any]) -> None:
    crew.add("ada", "viewer")
    answer = http.post("/api/v1/tokens", json={"name": "t", **scope}, headers=crew.headers("ada"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, InvalidInput.code)


def test_a_name_and_password_give_a_token(http: Any, crew: Crew) -> None:
    crew.add("ada", "viewer", password=PASSWORD)
    wrong = http.post("/api/v1/login", json={"name": "ada", "password": "not this one"})
    assert wrong.status_code == 401
    made = http.post("/api/v1/login", json={"name": "ada", "password": PASSWORD, "label": "laptop"}).json()
    assert (made["token"]["name"], made["token"]["expires_at"] - made["token"]["created_at"]) == (
        "laptop",
        30 * DAY_MS,
    )
    headers = {"Authorization": f"Bearer {made['secret']}"}
    assert http.get("/api/v1/whoami", headers=headers).json()["name"] == "ada"


def test_who_has_no_account_makes_no_token_of_its_own(http: Any, composition: Composition) -> None:
    secret = (composition.settings.data / "admin.token").read_text().strip()
    assert http.post("/api/v1/tokens", json={"name": "t"}).status_code == 403
    answer = http.post("/api/v1/tokens", json={"name": "t"}, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 403


def test_administrators_make_and_end_the_tokens_of_others(http: Any, crew: Crew) -> None:
    crew.add("ada", is_admin=True)
    crew.add("nightly", "contributor", kind="service")
    headers = crew.headers("ada")
    made = http.post("/api/v1/tokens", json={"name": "ci", "of": "nightly"}, headers=headers).json()
    theirs = {"Authorization": f"Bearer {made['secret']}"}
    assert http.get("/api/v1/whoami", headers=theirs).json()["name"] == "nightly"
    assert http.get("/api/v1/tokens?of=ada", headers=theirs).status_code == 403
    listed = http.get("/api/v1/tokens?of=nightly", headers=headers).json()["items"]
    assert [one["name"] for one in listed] == ["ci"]
    assert len(http.get("/api/v1/tokens", params={"of": "*"}, headers=headers).json()["items"]) == 2
    assert http.delete(f"/api/v1/tokens/{made['token']['id']}", headers=headers).status_code == 200
    assert http.get("/api/v1/whoami", headers=theirs).status_code == 401


def test_many_tokens_work_side_by_side(http: Any, crew: Crew, make_caller: Callable[..., Any]) -> None:
    names = {f"u{number}" for number in range(5)}
    for name in names:
        crew.add(name, "viewer")
    found = {http.get("/api/v1/whoami", headers=crew.headers(name)).json()["name"] for name in names}
    assert found == names
