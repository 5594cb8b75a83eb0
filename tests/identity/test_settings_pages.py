"""The settings pages of identity, as a signed-in administrator and as somebody who is not one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.identity.conftest import PASSWORD, Crew

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

Login = Callable[..., dict[str, str]]


class Browser:
    """Opens pages and sends their forms, with a session's cookie."""

    def __init__(self, http: Any, headers: dict[str, str]) -> None:
        self.http, self.headers = http, {**headers, "Accept": "text/html"}

    def open(self, path: str) -> Any:
        return self.http.get(path, headers=self.headers)

    def send(self, page: str, action: str, **fields: str) -> Any:
        csrf = re.search(r'name="csrf" value="(\w+)"', self.open(page).text)
        assert csrf is not None
        return self.http.post(action, data={"csrf": csrf[1], **fields}, headers=self.headers)


@pytest.fixture
def root(http: Any, crew: Crew, login: Login) -> Browser:
    crew.add("root", is_admin=True, password=PASSWORD)
    return Browser(http, login("root"))


def test_a_person_is_added_with_a_role_disabled_and_enabled(root: Browser, composition: Composition) -> None:
    made = root.send(
        "/settings/people", "/settings/people", name="ada", kind="user", role="viewer", password=PASSWORD
    )
    assert (made.status_code, made.headers["location"]) == (303, "/settings/people#ada")
    page = root.open("/settings/people").text
    assert 'id="ada"' in page
    assert "viewer in default" in page
    assert root.send("/settings/people", "/settings/people/ada/disable").status_code == 303
    ada = composition.people.find("ada")
    assert ada is not None and ada.is_disabled
    root.send("/settings/people", "/settings/people/ada/enable")
    assert composition.people.find("ada").is_disabled is False  # type: ignore[union-attr]


def test_a_refusal_tells_why_and_keeps_what_was_entered(root: Browser) -> None:
    answer = root.send(
        "/settings/people", "/settings/people", name="Ada L", kind="user", email="ada@example.org"
    )
    assert answer.status_code == 400
    assert "is not a name for a user" in answer.text
    assert 'value="ada@example.org"' in answer.text
    alone = root.send("/settings/people", "/settings/people/root/disable")
    assert alone.status_code == 409
    assert "No administrator of the deployment would be left" in alone.text


def test_a_token_is_shown_once_and_revoked(root: Browser, crew: Crew, http: Any) -> None:
    crew.add("bot", "contributor", kind="service")
    made = root.send(
        "/settings/tokens", "/settings/tokens", name="nightly", of="bot", days="7", workspace="default"
    )
    secret = re.search(r"holdfast_[\w-]+", made.text.partition("The new token")[2])
    assert secret is not None
    bearer = {"Authorization": f"Bearer {secret[0]}"}
    assert http.get("/api/v1/whoami", headers=bearer).json()["name"] == "bot"
    page = root.open("/settings/tokens").text
    assert secret[0] not in page
    assert "nightly" in page
    revoke = re.search(r"/settings/tokens/(t-[\w-]+)/revoke", page)
    assert revoke is not None
    assert root.send("/settings/tokens", revoke[0]).status_code == 303
    assert http.get("/api/v1/whoami", headers=bearer).status_code == 401
    wrong = root.send("/settings/tokens", "/settings/tokens", name="x", of="bot", permissions="fly")
    assert wrong.status_code == 400
    assert "is not a permission" in wrong.text


def test_roles_are_given_and_taken_here_and_on_the_deployment(root: Browser, crew: Crew) -> None:
    crew.add("ada")
    for fields in ({"of": "person", "name": "ada"}, {"of": "group", "name": "data science", "place": "*"}):
        assert root.send("/settings/roles", "/settings/roles", role="approver", **fields).status_code == 303
    page = root.open("/settings/roles").text
    assert "data science" in page
    assert root.send("/settings/roles", "/settings/roles/revoke", of="person", name="ada").status_code == 303
    again = root.send("/settings/roles", "/settings/roles/revoke", of="person", name="ada")
    assert again.status_code == 404
    assert "has no role of its own" in again.text


def test_workspaces_are_added_archived_and_restored(root: Browser) -> None:
    assert root.send("/settings/workspaces", "/settings/workspaces", name="risk").status_code == 303
    assert root.send("/settings/workspaces", "/settings/workspaces/risk/archive").status_code == 303
    assert "1 archived" in root.open("/settings/workspaces").text
    assert root.send("/settings/workspaces", "/settings/workspaces/risk/restore").status_code == 303
    answer = root.send("/settings/workspaces", "/settings/workspaces", name="Risk")
    assert answer.status_code == 400
    assert "is not a name for a workspace" in answer.text


def test_an_administrator_sees_and_ends_the_sessions_of_others(
    root: Browser, crew: Crew, login: Login
) -> None:
    crew.add("ada", "viewer", password=PASSWORD)
    ada = Browser(root.http, login("ada"))
    assert "root" not in ada.open("/settings/sessions").text.partition("<main")[2]
    page = root.open("/settings/sessions").text
    ids = re.findall(r"/settings/sessions/([\w-]+)/end", page)
    assert len(ids) == 2
    theirs = next(one for one in ids if one in ada.open("/settings/sessions").text)
    assert root.send("/settings/sessions", f"/settings/sessions/{theirs}/end").status_code == 303
    assert ada.open("/settings/sessions").status_code == 303


@pytest.mark.parametrize("name", ["people", "roles", "workspaces", "keys", "server"])
def test_who_is_no_administrator_may_not(http: Any, crew: Crew, login: Login, name: str) -> None:
    crew.add("ada", "contributor", password=PASSWORD)
    ada = Browser(http, login("ada"))
    assert ada.open(f"/settings/{name}").status_code == 403
    own = ada.open("/settings/tokens").text
    assert f'href="/settings/{name}"' not in own
    assert 'href="/settings/sessions"' in own


@pytest.mark.parametrize(
    "action",
    [
        "people",
        "people/root/disable",
        "roles",
        "roles/revoke",
        "tokens",
        "workspaces",
        "workspaces/default/archive",
        "keys/serving/rotate",
    ],
)
def test_a_form_of_another_page_is_refused(root: Browser, action: str) -> None:
    answer = root.http.post(
        f"/settings/{action}", data={"csrf": "0" * 64, "name": "eve"}, headers=root.headers
    )
    assert answer.status_code == 403
    assert "does not belong to this browser" in answer.text


def test_a_key_is_rotated_by_who_types_its_name(root: Browser, composition: Composition) -> None:
    before = composition.signing.signing_key("checkpoint").public.hex()
    assert before[:12] in root.open("/settings/keys").text
    wrong = root.send("/settings/keys", "/settings/keys/checkpoint/rotate", confirm="serving")
    assert wrong.status_code == 400
    assert "&#39;serving&#39; is not the key&#39;s name" in wrong.text
    assert composition.signing.signing_key("checkpoint").public.hex() == before
    done = root.send("/settings/keys", "/settings/keys/checkpoint/rotate", confirm="checkpoint")
    assert (done.status_code, done.headers["location"]) == (303, "/settings/keys#checkpoint")
    after = composition.signing.signing_key("checkpoint").public.hex()
    assert after != before
    assert after[:12] in root.open("/settings/keys").text


def test_the_server_s_page_has_what_the_doctor_finds(root: Browser) -> None:
    page = root.open("/settings/server").text
    assert "What the doctor finds" in page
    assert "Data folder" in page
