"""Attacks on logins, sessions, tokens and workspaces, each refused without side effect."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from holdfast.identity import admission
from holdfast.identity.limits import RequestLimits
from holdfast.kernel.clock import ManualClock
from tests.identity.conftest import PASSWORD, Crew, csrf_of, submit_login
from tests.web.visitor import Visitor

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

OURS = "http://127.0.0.1:5000"


# Sessions


def test_a_session_that_was_planted_is_not_the_one_that_signs_in(
    http: Any, crew: Crew, login: Callable[..., dict[str, str]]
) -> None:
    """Session fixation: the attacker knows the cookie that the victim comes with."""
    crew.add("eve", "viewer", password=PASSWORD)
    crew.add("ada", "admin", password=PASSWORD)
    planted = login("eve")
    victim = Visitor(http, planted)
    assert victim.send("/account", "/login", name="ada", password=PASSWORD).status_code == 303
    assert victim.cookies["holdfast_session"] not in planted["Cookie"]
    assert http.get("/api/v1/whoami", headers=planted).status_code == 401
    made_up = login("ada", cookie="holdfast_session=chosen-by-the-attacker")
    assert "chosen-by-the-attacker" not in made_up["Cookie"]
    assert (
        http.get("/api/v1/whoami", headers={"Cookie": "holdfast_session=chosen-by-the-attacker"}).status_code
        == 401
    )


def test_a_change_by_cookie_alone_is_refused(
    http: Any, crew: Crew, login: Callable[..., dict[str, str]]
) -> None:
    """CSRF: a request with the victim's cookie that its own pages did not send."""
    crew.add("ada", "contributor", password=PASSWORD)
    browser = login("ada")
    bare = {"Cookie": browser["Cookie"]}
    body = {"name": "e"}
    assert http.post("/api/v1/experiments", json=body, headers=bare).status_code == 403
    assert (
        http.post(
            "/api/v1/experiments", json=body, headers={**bare, "Origin": "https://evil.example"}
        ).status_code
        == 403
    )
    assert http.post("/api/v1/experiments", json=body, headers={**bare, "Origin": "null"}).status_code == 403
    assert (
        http.post("/api/v1/experiments", json=body, headers={**bare, "X-Csrf-Token": "guess"}).status_code
        == 403
    )
    assert http.get("/api/v1/experiments", headers=bare).json()["items"] == []
    csrf = csrf_of(http, browser)
    assert (
        http.post("/api/v1/experiments", json=body, headers={**bare, "X-Csrf-Token": csrf}).status_code == 200
    )


def test_over_https_the_cookie_is_secure_and_bound_to_the_host(
    composition: Any, serve: Any, crew: Crew
) -> None:
    from holdfast.app.compose import build_app

    composition.settings = msgspec.structs.replace(composition.settings, trusted_proxies=("127.0.0.1",))
    http = serve(build_app(composition))
    crew.add("ada", "viewer", password=PASSWORD)
    proxied = {"X-Forwarded-Proto": "https", "Origin": "https://127.0.0.1:5000"}
    page = http.get("/login", headers=proxied)
    csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
    cookie = page.headers["set-cookie"].partition(";")[0]
    fields = {"csrf": csrf, "name": "ada", "password": PASSWORD}
    answer = http.post("/login", data=fields, headers={**proxied, "Cookie": cookie})
    session = next(c for c in answer.headers.get_list("set-cookie") if "session" in c)
    assert session.startswith("__Host-holdfast_session=") and "; Secure" in session and "HttpOnly" in session


def test_what_strangers_say_of_proxies_is_not_believed(http: Any, crew: Crew) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "10.9.9.9"}
    assert "Secure" not in http.get("/login", headers=headers).headers["set-cookie"]


# Logins


def test_guessing_a_password_is_slowed_down(
    http: Any, composition: Any, crew: Crew, clock: ManualClock
) -> None:
    composition.sessions._clock = clock
    crew.add("ada", "viewer", password=PASSWORD)
    composition.sessions._passwords.is_right = lambda stored, given: given == PASSWORD
    for _ in range(10):
        assert submit_login(http, "ada", "not this one").status_code == 401
    answer = submit_login(http, "ada", PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 900
    by_api = http.post("/api/v1/login", json={"name": "ada", "password": PASSWORD})
    assert (by_api.status_code, by_api.json()["error"]["code"]) == (429, "too_many_requests")
    clock.advance(15 * 60_000)
    assert submit_login(http, "ada", PASSWORD).status_code == 303


def test_a_right_login_does_not_count(http: Any, composition: Any, crew: Crew) -> None:
    crew.add("ada", "viewer", password=PASSWORD)
    composition.sessions._passwords.is_right = lambda stored, given: given == PASSWORD
    for _ in range(12):
        assert submit_login(http, "ada", PASSWORD).status_code == 303


def test_guessing_names_from_one_address_is_slowed_down(http: Any, composition: Any) -> None:
    composition.sessions._passwords.is_right = lambda stored, given: False
    found = [
        http.post("/api/v1/login", json={"name": f"user{n}", "password": "x"}).status_code for n in range(101)
    ]
    assert found == [401] * 100 + [429]


def test_one_who_asks_too_often_is_told_to_wait(http: Any, composition: Any, crew: Crew) -> None:
    composition.identity._limits = RequestLimits(2)
    crew.add("ada", "viewer")
    crew.add("eve", "viewer")
    ada, eve = crew.headers("ada"), crew.headers("eve")
    answers = [http.get("/api/v1/version", headers=ada) for _ in range(30)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and refused[0].headers["retry-after"] == "1"
    assert http.get("/api/v1/version", headers=eve).status_code == 200


def test_secrets_are_compared_in_constant_time(
    http: Any, composition: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secrets that this process holds are compared by `hmac.compare_digest`; tokens and sessions are looked up by
    their SHA-256, which tells nothing of the secret."""
    compared: list[tuple[object, object]] = []
    real = hmac.compare_digest
    monkeypatch.setattr(admission.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    assert http.get("/api/v1/whoami", headers={"Authorization": "Bearer 0"}).status_code == 401
    assert {len(str(part)) for pair in compared for part in pair} == {64}
    assert compared


# Tokens


@pytest.mark.parametrize("wanted", [
    {"permissions": ["tracking:read", "tracking:write"]}, {"permissions": ["deployment:admin"]},
    {"workspace": "labs"}, {"days": 3650},
])  # fmt: skip
def test_a_narrow_token_makes_no_wider_one(http: Any, crew: Crew, wanted: dict[str, Any]) -> None:
    crew.c.workspaces.create(crew.admin(), "labs")
    crew.add("ada", "admin")
    scope = {"permissions": ["account", "tracking:read"], "workspace": "default", "days": 7}
    headers = crew.headers("ada", **{k: v for k, v in scope.items() if k != "workspace"})
    narrow = {"Authorization": f"Bearer {crew.token('ada', **scope)}"}
    answer = http.post("/api/v1/tokens", json={"name": "wider", **wanted}, headers=narrow)
    assert answer.status_code == 403, answer.text
    assert len(http.get("/api/v1/tokens", headers=headers).json()["items"]) == 2


def test_a_token_without_a_scope_named_gets_the_maker_s(http: Any, crew: Crew) -> None:
    crew.add("ada", "admin")
    narrow = {
        "Authorization": f"Bearer {crew.token('ada', permissions=['account', 'tracking:read'], days=7)}"
    }
    made = http.post("/api/v1/tokens", json={"name": "same"}, headers=narrow).json()["token"]
    assert made["permissions"] == ["account", "tracking:read"]
    assert made["expires_at"] - made["created_at"] <= 7 * 86_400_000


def test_a_token_changes_no_password_and_sees_no_sessions_of_others(http: Any, crew: Crew) -> None:
    crew.add("ada", "admin", password=PASSWORD)
    crew.add("eve", "admin", password=PASSWORD)
    headers = crew.headers("ada")
    body = {"old": PASSWORD, "new": "another good password"}
    assert http.put("/api/v1/account/password", json=body, headers=headers).status_code == 403
    assert (
        http.put("/api/v1/users/eve/password", json={"password": "a b c d e f"}, headers=headers).status_code
        == 403
    )
    assert http.get("/api/v1/users/eve/sessions", headers=headers).status_code == 403
    assert http.get("/api/v1/tokens?of=eve", headers=headers).status_code == 403


def test_the_administrator_of_a_workspace_is_none_elsewhere(http: Any, crew: Crew) -> None:
    crew.c.workspaces.create(crew.admin(), "labs")
    crew.add("ada", "admin", "labs")
    crew.add("eve")
    headers = crew.headers("ada", "labs")
    give = {"role": "admin"}
    assert http.put("/api/v1/role-grants/eve", json=give, headers=headers).status_code == 200
    for workspace in ("default", "*"):
        there = {**headers, "X-Holdfast-Workspace": workspace}
        assert http.put("/api/v1/role-grants/ada", json=give, headers=there).status_code == 404
    assert http.post("/api/v1/workspaces", json={"name": "mine"}, headers=headers).status_code == 403


# Hosts


@pytest.mark.parametrize(("host", "status"), [
    ("holdfast.example.com", 200), ("HOLDFAST.example.com:443", 200), ("a.labs.example", 200), ("127.0.0.1", 200),
    ("evil.example", 403), ("example.com", 403), ("labs.example", 403), ("holdfast.example.com.evil.example", 403),
    ("192.168.0.7", 403), ("", 403),
])  # fmt: skip
def test_only_the_names_of_this_server_are_served(
    composition: Any, serve: Any, host: str, status: int
) -> None:
    from holdfast.app.compose import build_app

    composition.settings = msgspec.structs.replace(
        composition.settings, allow_hosts=("holdfast.example.com", "*.labs.example")
    )
    assert serve(build_app(composition)).get("/health", headers={"Host": host}).status_code == status


def test_beyond_loopback_there_is_no_open_mode_and_no_built_in_secret(
    tmp_path: Path, migrated: Path, serve: Any
) -> None:
    import shutil

    from holdfast.app.compose import Composition, build_app
    from holdfast.settings import Settings

    data = tmp_path / "exposed"
    data.mkdir()
    shutil.copy(migrated, data / "holdfast.db")
    exposed = Composition(Settings(data=data, host="0.0.0.0"))
    try:
        http = serve(build_app(exposed))
        headers = {"Host": "192.168.0.7:5000"}
        assert http.get("/health", headers=headers).status_code == 200
        assert http.get("/api/v1/runs", headers=headers).status_code == 401
        secret = (data / "admin.token").read_text().strip()
        assert (
            http.get("/api/v1/runs", headers={**headers, "Authorization": f"Bearer {secret}"}).status_code
            == 401
        )
        assert http.get("/metrics", headers=headers).status_code == 401
        assert http.get("/static/icon.svg", headers=headers).status_code == 200
        assert http.get("/health", headers={"Host": "evil.example"}).status_code == 403
    finally:
        exposed.close()


# Workspaces


def test_two_workspaces_never_see_each_other(http: Any, composition: Composition, crew: Crew) -> None:
    crew.c.workspaces.create(crew.admin(), "labs")
    crew.add("ada", "admin")
    crew.add("eve", "admin", "labs")
    ada, eve = crew.headers("ada"), crew.headers("eve", "labs")
    experiment = http.post("/api/v1/experiments", json={"name": "secret"}, headers=ada).json()
    run = http.post("/api/v1/runs", json={"experiment": "secret"}, headers=ada).json()["run_id"]
    for path in (
        f"/api/v1/experiments/{experiment['experiment_id']}", "/api/v1/experiments/secret", f"/api/v1/runs/{run}",
        f"/runs/{run}", f"/experiments/{experiment['experiment_id']}", "/api/v1/audit/0",
    ):  # fmt: skip
        assert http.get(path, headers=eve).status_code == 404, path
    assert http.get("/api/v1/experiments", headers=eve).json()["items"] == []
    assert http.post(f"/api/v1/runs/{run}/finish", json={}, headers=eve).status_code == 404
    assert http.post("/api/v1/experiments", json={"name": "secret"}, headers=eve).status_code == 200
    mlflow = {**{k: v for k, v in eve.items() if k == "Authorization"}, "X-MLFLOW-WORKSPACE": "labs"}
    assert len(http.get("/api/v1/experiments", headers=mlflow).json()["items"]) == 1


def test_mlflow_s_header_chooses_among_the_workspaces_of_its_caller(http: Any, crew: Crew) -> None:
    for name in ("labs", "closed"):
        crew.c.workspaces.create(crew.admin(), name)
    crew.add("ada", "contributor")
    crew.c.roles.grant(crew.admin("labs"), "ada", "contributor")
    bearer = crew.headers("ada")

    def ask(workspace: str, name: str) -> Any:
        headers = bearer | ({"X-MLFLOW-WORKSPACE": workspace} if workspace else {})
        return http.post("/api/2.0/mlflow/experiments/create", json={"name": name}, headers=headers)

    assert ask("default", "here").status_code == ask("labs", "there").status_code == 200
    for workspace, name in (("default", "here"), ("labs", "there")):
        headers = bearer | {"X-MLFLOW-WORKSPACE": workspace}
        found = http.post(
            "/api/2.0/mlflow/experiments/search", json={"max_results": 9}, headers=headers
        ).json()
        assert {one["name"] for one in found["experiments"]} - {"Default"} == {name}
    for workspace, code in (("nowhere", "RESOURCE_DOES_NOT_EXIST"), ("closed", "RESOURCE_DOES_NOT_EXIST")):
        answer = ask(workspace, "x")
        assert answer.json()["error_code"] == code, answer.text
        assert repr(workspace) in answer.text


def test_mlflow_s_experiment_0_is_the_workspace_s_own(http: Any, crew: Crew) -> None:
    crew.c.workspaces.create(crew.admin(), "labs")
    crew.add("ada", "admin")
    crew.add("eve", "admin", "labs")
    numbers = []
    for headers in (crew.headers("ada"), crew.headers("eve")):
        http.post("/api/v1/runs", json={"experiment": "0"}, headers=headers)
        found = http.get("/api/v1/experiments/0", headers=headers).json()
        assert found["name"] == "Default"
        numbers.append(found["experiment_id"])
    assert len(set(numbers)) == 2


def test_a_page_s_workspace_is_in_its_address_and_then_in_a_cookie(
    http: Any, crew: Crew, login: Callable[..., dict[str, str]]
) -> None:
    crew.c.workspaces.create(crew.admin(), "labs")
    crew.c.workspaces.create(crew.admin(), "hidden")
    crew.add("ada", "viewer", password=PASSWORD)
    crew.c.roles.grant(crew.admin("labs"), "ada", "viewer")
    browser = login("ada")
    page = http.get("/experiments?workspace=labs", headers=browser)
    assert page.status_code == 200
    assert "workspace=default" in page.text and "workspace=hidden" not in page.text
    chosen = page.headers["set-cookie"].partition(";")[0]
    assert chosen == "holdfast_workspace=labs"
    later = {**browser, "Cookie": f"{browser['Cookie']}; {chosen}"}
    assert http.get("/api/v1/whoami", headers=later).json()["workspace"] == "labs"
    for hidden in ("hidden", "none"):
        answer = http.get(f"/experiments?workspace={hidden}", headers=browser)
        assert (answer.status_code, "set-cookie" in answer.headers) == (404, False)
    stale = {**browser, "Cookie": f"{browser['Cookie']}; holdfast_workspace=hidden"}
    assert http.get("/api/v1/whoami", headers=stale).json()["workspace"] == "default"
