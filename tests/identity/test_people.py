"""Users and service accounts: adding, finding, disabling, erasing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.identity.people import NewPerson
from holdfast.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from tests.identity.conftest import PASSWORD, Crew

if TYPE_CHECKING:
    from holdfast.app.compose import Composition


def test_people_are_found_by_name_and_by_id(composition: Composition, crew: Crew) -> None:
    made = crew.add("ada", email="ada@example.com", display_name="Ada L.")
    crew.add("nightly", kind="service")
    found = composition.people.find("ada")
    assert found is not None
    assert (found.id, found.kind, found.email, found.display_name) == (
        made,
        "user",
        "ada@example.com",
        "Ada L.",
    )
    assert composition.people.get(made) == found
    assert composition.people.find("eve") is None
    assert {(one.name, one.kind) for one in composition.people.list()} == {
        ("ada", "user"),
        ("nightly", "service"),
    }
    assert [one.name for one in composition.people.list("service")] == ["nightly"]


@pytest.mark.parametrize(
    "name", ["", "Ada", "ada lovelace", "-ada", "ada-", "a" * 64, "system", "administrator", "é", "a\n"]
)
def test_a_name_that_is_none_is_refused(crew: Crew, name: str) -> None:
    with pytest.raises(InvalidInput):
        crew.add(name)


@pytest.mark.parametrize("password", ["", "short", "x" * 1001, "a b c d e\0 f g h"])
def test_a_bad_password_is_refused_and_not_told(crew: Crew, password: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        crew.add("ada", password=password)
    assert not password or password not in str(caught.value)


def test_a_name_is_taken_once(crew: Crew) -> None:
    crew.add("ada")
    with pytest.raises(Conflict, match="'ada' is taken"):
        crew.add("ada", kind="service")


def test_only_administrators_of_the_deployment_add_people(
    composition: Composition, make_caller: Callable[..., Caller]
) -> None:
    with pytest.raises(Forbidden, match="deployment:admin"):
        composition.people.add(make_caller("admin"), NewPerson("ada"))


def test_a_disabled_user_is_out_at_once(http: Any, composition: Composition, crew: Crew) -> None:
    crew.add("ada", "viewer")
    headers = crew.headers("ada")
    assert http.get("/api/v1/experiments", headers=headers).status_code == 200
    composition.people.set_disabled(crew.admin(), "ada", True)
    answer = http.get("/api/v1/experiments", headers=headers)
    assert (answer.status_code, "disabled" in answer.json()["error"]["message"]) == (401, True)
    composition.people.set_disabled(crew.admin(), "ada", False)
    assert http.get("/api/v1/experiments", headers=headers).status_code == 200


def test_the_last_administrator_stays(composition: Composition, crew: Crew) -> None:
    crew.add("ada", is_admin=True)
    for change in (
        lambda: composition.people.set_disabled(crew.admin(), "ada", True),
        lambda: composition.people.erase(crew.admin(), "ada"),
        lambda: composition.roles.revoke(crew.admin(), "ada"),
        lambda: composition.roles.grant(crew.admin(), "ada", "viewer"),
    ):
        with pytest.raises(Conflict, match="No administrator"):
            change()
    crew.add("eve", is_admin=True)
    composition.roles.revoke(crew.admin(), "ada")


def test_an_erased_user_leaves_a_pseudonym(http: Any, composition: Composition, crew: Crew) -> None:
    made = crew.add("ada", "contributor", email="ada@example.com", display_name="Ada L.")
    headers = crew.headers("ada")
    assert http.post("/api/v1/experiments", json={"name": "e"}, headers=headers).status_code == 200
    composition.people.erase(crew.admin(), "ada")
    assert http.get("/api/v1/whoami", headers=headers).status_code == 401
    entries = composition.audit.list_entries(crew.admin("default")).items
    mine = [entry for entry in entries if entry.leaf["actor"] == made]
    assert [(entry.action, entry.actor_name) for entry in mine] == [("experiment.create", "erased")]
    assert composition.audit.verify().ok
    dump = composition.storage.read(
        lambda tx: str(
            [tx.exec_driver_sql(f"SELECT * FROM {table}").all() for table in ("principal", "audit_leaf")]
        )
    )
    assert "Ada L." not in dump and "ada@example.com" not in dump and "'ada'" not in dump
    assert crew.add("ada") != made


def test_unknown_people_are_not_found(composition: Composition, crew: Crew) -> None:
    for change in (
        lambda: composition.people.erase(crew.admin(), "ada"),
        lambda: composition.people.set_disabled(crew.admin(), "ada", True),
        lambda: composition.people.set_password(crew.admin(), "ada", PASSWORD),
        lambda: composition.roles.grant(crew.admin("default"), "ada", "viewer"),
    ):
        with pytest.raises(NotFound, match="'ada'"):
            change()


def test_every_change_is_audited_and_holds_no_secret(composition: Composition, crew: Crew) -> None:
    crew.add("ada", "viewer", password=PASSWORD)
    secret = crew.token("ada")
    composition.people.set_password(crew.admin(), "ada", "another good password")
    composition.people.set_disabled(crew.admin(), "ada", True)
    actions = [entry.action for entry in composition.audit.list_entries(crew.admin()).items]
    assert actions == ["user.disable", "user.password", "token.create", "user.add"]
    entries = str(composition.audit.list_entries(crew.admin()).items)
    assert secret not in entries and PASSWORD not in entries and "argon2" not in entries


def test_open_mode_ends_with_the_first_user(http: Any, composition: Composition, crew: Crew) -> None:
    crew.add("nightly", kind="service")
    assert http.get("/api/v1/experiments").status_code == 200
    crew.add("ada", is_admin=True)
    assert http.get("/api/v1/experiments").status_code == 401
    crew.add("eve", is_admin=True)
    composition.people.erase(crew.admin(), "ada")
    assert http.get("/api/v1/experiments").status_code == 401
    assert http.get("/health").status_code == 200
