"""The settings pages of identity, as a signed-in administrator and as somebody who is not one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.identity.conftest import PASSWORD, Crew
from tests.web.visitor import Visitor

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

Login = Callable[..., dict[str, str]]


@pytest.fixture
def root(http: Any, crew: Crew, login: Login) -> Visitor:
    crew.add("root", is_admin=True, password=PASSWORD)
    return Visitor(http, login("root"))


def test_a_person_is_added_with_a_role_disabled_and_enabled(root: Visitor, composition: Composition) -> None:
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


def test_a_refusal_tells_why_and_keeps_what_was_entered(root: Visitor) -> None:
    answer = root.send(
        "/settings/people", "/settings/people", name="Ada L", kind="user", email="ada@example.org"
    )
    assert answer.status_code == 400
    assert "is not a name for a user" in answer.text
    assert 'value="ada@example.org"' in answer.text
    alone = root.send("/settings/people", "/settings/people/root/disable")
    assert alone.status_code == 409
    assert "No administrator of the deployment would be left" in alone.text


def test_a_token_is_shown_once_and_revoked(root: Visitor, crew: Crew, http: Any) -> None:
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


def test_roles_are_given_and_taken_here_and_on_the_deployment(root: Visitor, crew: Crew) -> None:
    crew.add("ada")
    for fields in ({"of": "person", "name": "ada"}, {"of": "group", "name": "data science", "place": "*"}):
        assert root.send("/settings/roles", "/settings/roles", role="approver", **fields).status_code == 303
    page = root.open("/settings/roles").text
    assert "data science" in page
    assert root.send("/settings/roles", "/settings/roles/revoke", of="person", name="ada").status_code == 303
    again = root.send("/settings/roles", "/settings/roles/revoke", of="person", name="ada")
    assert again.status_code == 404
    assert "has no role of its own" in again.text


def test_workspaces_are_added_archived_and_restored(root: Visitor) -> None:
    assert root.send("/settings/workspaces", "/settings/workspaces", name="risk").status_code == 303
    assert root.send("/settings/workspaces", "/settings/workspaces/risk/archive").status_code == 303
    assert "1 archived" in root.open("/settings/workspaces").text
    assert root.send("/settings/workspaces", "/settings/workspaces/risk/restore").status_code == 303
    answer = root.send("/settings/workspaces", "/settings/workspaces", name="Risk")
    assert answer.status_code == 400
    assert "is not a name for a workspace" in answer.text


def test_an_administrator_sees_and_ends_the_sessions_of_others(
    http: Any, root: Visitor, crew: Crew, login: Login
) -> None:
    crew.add("ada", "viewer", password=PASSWORD)
    ada = Visitor(http, login("ada"))
    assert "root" not in ada.open("/settings/sessions").text.partition("<main")[2]
    page = root.open("/settings/sessions").text
    ids = re.findall(r"/settings/sessions/([\w-]+)/end", page)
    assert len(ids) == 2
    theirs = next(one for one in ids if one in ada.open("/settings/sessions").text)
    assert root.send("/settings/sessions", f"/settings/sessions/{theirs}/end").status_code == 303
    assert ada.open("/settings/sessions").status_code == 303


def test_settings_lead_to_the_first_page_that_one_may_see(
    http: Any, root: Visitor, crew: Crew, login: Login
) -> None:
    crew.add("ada", "contributor", password=PASSWORD)
    for browser, place in ((root, "/settings/people"), (Visitor(http, login("ada")), "/settings/tokens")):
        answer = browser.open("/settings")
        assert (answer.status_code, answer.headers["location"]) == (303, place)
        assert browser.open(place).status_code == 200


def test_open_mode_has_no_settings(http: Any) -> None:
    answer = http.get("/settings", headers={"Accept": "text/html"})
    assert answer.status_code == 403
    assert "may see no settings page" in answer.text


@pytest.mark.parametrize("name", ["people", "roles", "workspaces", "keys", "server"])
def test_who_is_no_administrator_may_not(http: Any, crew: Crew, login: Login, name: str) -> None:
    crew.add("ada", "contributor", password=PASSWORD)
    ada = Visitor(http, login("ada"))
    assert ada.open(f"/settings/{name}").status_code == 403
    own = ada.open("/settings/tokens").text
    assert f'href="/settings/{name}"' not in own
    assert 'href="/settings/sessions"' in own


def test_a_key_is_rotated_by_who_types_its_name(root: Visitor, composition: Composition) -> None:
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


def test_the_server_s_page_has_what_the_doctor_finds(root: Visitor) -> None:
    page = root.open("/settings/server").text
    assert "What the doctor finds" in page
    assert "Data folder" in page
