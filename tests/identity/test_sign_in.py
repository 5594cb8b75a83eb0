"""Sessions: opened by a password or a one-time address, ended by logging out, by age, by idling, by an administrator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.identity.secrets import digest_of
from holdfast.identity.sessions import IDLE_MS
from holdfast.kernel.clock import ManualClock
from tests.identity.conftest import PASSWORD, Crew, csrf_of, submit_login

DAY_MS = 86_400_000


@pytest.fixture
def composition(composition: Any, clock: ManualClock) -> Any:
    """The control plane on a clock that the test moves."""
    composition.clock = clock
    composition.sessions._clock = clock
    composition.identity._clock = clock
    return composition


def test_a_code_opens_one_session(http: Any, composition: Any) -> None:
    code = composition.sessions.make_code()
    assert http.get("/api/v1/roles").status_code == 403
    answer = http.get(f"/sign-in?code={code}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Secure" not in cookie
    signed_in = {"Cookie": f"theme=dark; {cookie.partition(';')[0]}"}
    assert http.get("/api/v1/roles", headers=signed_in).status_code == 200
    assert http.get("/api/v1/whoami", headers=signed_in).json()["auth"] == "session"
    again = http.get(f"/sign-in?code={code}")
    assert again.status_code == 401
    assert "used already" in again.json()["error"]["message"]


@pytest.mark.parametrize("code", ["", "x", "é" * 50])
def test_a_code_that_was_never_made_opens_none(http: Any, code: str) -> None:
    assert http.get("/sign-in", params={"code": code}).status_code == 401


def test_codes_end(http: Any, composition: Any, clock: ManualClock) -> None:
    code = composition.sessions.make_code()
    clock.advance(15 * 60_000)
    assert http.get(f"/sign-in?code={code}").status_code == 401


@pytest.mark.parametrize(
    "cookie", ["", "other=1", "holdfast_session=", "holdfast_session=guess", "\x01=;;;", 'holdfast_session="']
)
def test_other_cookies_are_open_mode(http: Any, cookie: str) -> None:
    assert http.get("/api/v1/whoami", headers={"Cookie": cookie}).json()["id"] == "open"


def test_a_user_signs_in_and_out(http: Any, crew: Crew, login: Callable[..., dict[str, str]]) -> None:
    crew.add("ada", "viewer", password=PASSWORD)
    browser = login("ada")
    assert http.get("/api/v1/whoami", headers=browser).json()["name"] == "ada"
    csrf = csrf_of(http, browser)
    answer = http.post("/logout", data={"csrf": csrf}, headers=browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert http.get("/api/v1/whoami", headers=browser).status_code == 401


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong horse battery"), ("nobody-here", PASSWORD)])
def test_a_wrong_name_and_a_wrong_password_get_one_answer(
    http: Any, crew: Crew, name: str, password: str
) -> None:
    crew.add("ada", "viewer", password=PASSWORD)
    answer = submit_login(http, name, password)
    assert answer.status_code == 401
    assert "The name or the password is not right." in answer.text
    assert "holdfast_session" not in str(answer.headers.get_list("set-cookie"))


def test_a_session_ends_by_age_and_by_idling(
    http: Any, composition: Any, crew: Crew, clock: ManualClock, login: Callable[..., dict[str, str]]
) -> None:
    crew.add("ada", "viewer", password=PASSWORD)
    browser = login("ada")
    for _ in range(13):
        clock.advance(IDLE_MS - 1)
        composition.identity.forget()
        assert http.get("/api/v1/whoami", headers=browser).status_code == 200
    clock.advance(IDLE_MS)  # seven days are over
    assert http.get("/api/v1/whoami", headers=browser).status_code == 401
    idle = login("ada")
    clock.advance(IDLE_MS)
    assert http.get("/api/v1/whoami", headers=idle).status_code == 401


def test_a_clock_that_ran_a_year_ahead_leaves_no_session_code_or_lock_out_behind(
    http: Any, composition: Any, crew: Crew, clock: ManualClock, login: Callable[..., dict[str, str]]
) -> None:
    crew.add("ada", "viewer", password=PASSWORD)
    clock.advance(365 * DAY_MS)
    ahead, code = login("ada"), composition.sessions.make_code()
    for _ in range(11):
        submit_login(http, "ada", "wrong")
    assert submit_login(http, "ada", PASSWORD).status_code == 429
    clock.advance(-365 * DAY_MS)
    composition.identity.forget()
    assert http.get("/api/v1/whoami", headers=ahead).status_code == 401
    assert http.get(f"/sign-in?code={code}").status_code == 401
    assert http.get("/api/v1/whoami", headers=login("ada")).status_code == 200


def test_only_the_digest_of_a_session_is_kept(http: Any, composition: Any, crew: Crew, login: Any) -> None:
    crew.add("ada", "viewer", password=PASSWORD)
    secret = login("ada")["Cookie"].partition("=")[2]
    rows = composition.storage.read(lambda tx: tx.exec_driver_sql("SELECT * FROM session").all())
    assert secret not in str(rows)
    assert digest_of(secret) in str(rows)


def test_one_lists_and_ends_one_s_sessions(
    http: Any, crew: Crew, login: Callable[..., dict[str, str]]
) -> None:
    crew.add("ada", "viewer", password=PASSWORD)
    crew.add("eve", "viewer", password=PASSWORD)
    here, there, other = login("ada"), login("ada"), login("eve")
    listed = http.get("/api/v1/account/sessions", headers=here).json()["items"]
    assert [one["is_current"] for one in listed] == [False, True]
    gone = listed[0]["id"]
    assert http.delete(f"/api/v1/account/sessions/{gone}", headers=other).status_code == 404
    assert http.delete(f"/api/v1/account/sessions/{gone}", headers=here).status_code == 200
    assert http.get("/api/v1/whoami", headers=there).status_code == 401
    assert http.get("/api/v1/whoami", headers=here).status_code == 200


def test_a_password_change_ends_the_other_sessions(
    http: Any, crew: Crew, login: Callable[..., dict[str, str]]
) -> None:
    crew.add("ada", "viewer", password=PASSWORD)
    here, there = login("ada"), login("ada")
    wrong = {"old": "not the old one", "new": "another good password"}
    assert http.put("/api/v1/account/password", json=wrong, headers=here).status_code == 401
    right = {"old": PASSWORD, "new": "another good password"}
    assert http.put("/api/v1/account/password", json=right, headers=here).status_code == 200
    assert http.get("/api/v1/whoami", headers=here).status_code == 200
    assert http.get("/api/v1/whoami", headers=there).status_code == 401
    login("ada", "another good password")


def test_a_page_asks_to_sign_in_and_goes_back(http: Any, crew: Crew) -> None:
    crew.add("ada", "viewer", password=PASSWORD)
    answer = http.get("/experiments?page=2", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fexperiments%3Fpage%3D2")
    signed_in = submit_login(http, "ada", PASSWORD, next="/experiments?page=2")
    assert signed_in.headers["location"] == "/experiments?page=2"


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/a\r\nb", "/login"],
)
def test_signing_in_never_leads_to_another_site(http: Any, wanted: str) -> None:
    assert 'name="next" value="/"' in http.get("/login", params={"next": wanted}).text
