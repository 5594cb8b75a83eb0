"""Single sign-on against a real OpenID Connect provider in a process of its own."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from holdfast.identity.oidc import Oidc
from holdfast.identity.sign_on import NewProvider, user_name
from holdfast.kernel.errors import InvalidInput, NotFound, Unavailable
from holdfast.web.egress import Egress
from tests.identity.conftest import PASSWORD, Crew

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

ADA = {
    "preferred_username": "Ada.Lovelace", "name": "Ada Lovelace", "email": "ada@example.com",
    "groups": ["data-team", "everybody"],
}  # fmt: skip


class Provider:
    """`oidc-provider-mock`, which any client id and secret may use."""

    def __init__(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(self.port), "--require-nonce"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if self.request("GET", "/.well-known/openid-configuration")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the provider did not start")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def request(
        self, method: str, path: str, body: bytes = b"", media: str = ""
    ) -> tuple[int, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body or None, {"Content-Type": media} if media else {})
            answer = connection.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def set_user(self, subject: str, claims: dict[str, Any]) -> None:
        status, _ = self.request("PUT", f"/users/{subject}", json.dumps(claims).encode(), "application/json")
        assert status == 204

    def authorize(self, url: str, subject: str) -> dict[str, str]:
        """What the provider's page does when a person agrees: the query of the address that it goes back to."""
        parts = urlsplit(url)
        status, headers = self.request(
            "POST", f"{parts.path}?{parts.query}", urlencode({"sub": subject}).encode(),
            "application/x-www-form-urlencoded",
        )  # fmt: skip
        assert status == 302, (status, headers)
        return {name: values[0] for name, values in parse_qs(urlsplit(headers["location"]).query).items()}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.stop()


@pytest.fixture
def composition(composition: Composition, provider: Provider) -> Composition:
    """The control plane that may reach the provider on this machine."""
    composition.sign_on._oidc = Oidc(Egress([f"127.0.0.1:{provider.port}"]), new_keys_s=0)
    return composition


@pytest.fixture
def ready(composition: Composition, crew: Crew, provider: Provider) -> Provider:
    """A provider that is set, and a group with a role."""
    crew.add("root", is_admin=True, password=PASSWORD)
    composition.sign_on.set_provider(
        crew.admin(), NewProvider(provider.issuer, "holdfast", "a client secret")
    )
    composition.roles.grant_group(crew.admin("default"), "data-team", "contributor")
    provider.set_user("subject-1", ADA)
    return provider


class Browser:
    """Signs in by single sign-on and keeps its cookies."""

    def __init__(self, http: Any, provider: Provider) -> None:
        self.http = http
        self.provider = provider
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **params: str) -> Any:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.http.get(path, params=params or None, headers={"Cookie": cookie} if cookie else {})
        for one in answer.headers.get_list("set-cookie"):
            name, _, value = one.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def sign_in(self, subject: str = "subject-1", wanted: str = "/") -> Any:
        started = self.get("/login/sso", next=wanted)
        assert started.status_code == 303, started.text
        return self.get(
            "/login/sso/callback", **self.provider.authorize(started.headers["location"], subject)
        )


def test_a_user_comes_with_the_roles_of_its_groups(
    http: Any, composition: Composition, ready: Provider
) -> None:
    browser = Browser(http, ready)
    done = browser.sign_in(wanted="/experiments")
    assert (done.status_code, done.headers["location"]) == (303, "/experiments"), done.text
    who = browser.get("/api/v1/whoami").json()
    assert (who["name"], who["role"], who["auth"]) == ("ada-lovelace", "contributor", "session")
    person = composition.people.find("ada-lovelace")
    assert person is not None
    assert (person.display_name, person.email, person.issuer) == (
        "Ada Lovelace",
        "ada@example.com",
        ready.issuer,
    )
    assert not person.has_password


def test_the_roles_follow_the_groups_at_each_login(
    http: Any, composition: Composition, crew: Crew, ready: Provider
) -> None:
    Browser(http, ready).sign_in()
    composition.roles.grant_group(crew.admin(), "operators", "admin")
    ready.set_user("subject-1", {**ADA, "groups": ["operators"], "email": "new@example.com"})
    browser = Browser(http, ready)
    browser.sign_in()
    assert "deployment:admin" in browser.get("/api/v1/whoami").json()["permissions"]
    ready.set_user("subject-1", {**ADA, "groups": []})
    browser.sign_in()
    assert browser.get("/api/v1/whoami").json()["permissions"] == ["account"]
    assert len(composition.people.list()) == 2


def test_a_name_that_is_taken_is_never_taken_over(
    http: Any, composition: Composition, crew: Crew, ready: Provider
) -> None:
    local = crew.add("ada-lovelace", "admin", email="ada@example.com")
    browser = Browser(http, ready)
    browser.sign_in()
    who = browser.get("/api/v1/whoami").json()
    assert who["id"] != local
    assert who["name"].startswith("ada-lovelace-")
    assert who["role"] == "contributor"


def test_a_disabled_user_does_not_come_in(
    http: Any, composition: Composition, crew: Crew, ready: Provider
) -> None:
    Browser(http, ready).sign_in()
    composition.people.set_disabled(crew.admin(), "ada-lovelace", True)
    assert Browser(http, ready).sign_in().status_code == 403


def test_an_answer_works_once_and_in_the_browser_that_asked(http: Any, ready: Provider) -> None:
    mine, other = Browser(http, ready), Browser(http, ready)
    answer = ready.authorize(mine.get("/login/sso").headers["location"], "subject-1")
    assert other.get("/login/sso/callback", **answer).status_code == 403
    other.get("/login/sso")
    assert other.get("/login/sso/callback", **answer).status_code == 403
    cookies = dict(mine.cookies)
    assert mine.get("/login/sso/callback", **answer).status_code == 303
    mine.cookies = cookies
    assert mine.get("/login/sso/callback", **answer).status_code == 401


def test_a_code_of_another_sign_in_is_refused(http: Any, ready: Provider) -> None:
    """The nonce in the token is the other sign-in's: a code that was stolen or slipped in signs nobody in."""
    mine, other = Browser(http, ready), Browser(http, ready)
    mine_answer = ready.authorize(mine.get("/login/sso").headers["location"], "subject-1")
    other_answer = ready.authorize(other.get("/login/sso").headers["location"], "subject-1")
    done = mine.get("/login/sso/callback", code=other_answer["code"], state=mine_answer["state"])
    assert done.status_code == 401, done.text


def test_the_request_carries_pkce_state_and_nonce(http: Any, ready: Provider) -> None:
    query = parse_qs(urlsplit(Browser(http, ready).get("/login/sso").headers["location"]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == ["http://127.0.0.1:5000/login/sso/callback"]
    assert all(len(query[name][0]) >= 43 for name in ("state", "nonce", "code_challenge"))


def test_new_keys_of_the_provider_are_fetched(http: Any, composition: Composition, crew: Crew) -> None:
    own = Provider()
    try:
        composition.sign_on._oidc = Oidc(Egress([f"127.0.0.1:{own.port}"]), new_keys_s=0)
        composition.sign_on.set_provider(crew.admin(), NewProvider(own.issuer, "holdfast", "a secret"))
        done = Browser(http, own).sign_in("someone")
        assert done.status_code == 303, done.text
        own.stop()
        own.start()  # it makes another key at every start
        done = Browser(http, own).sign_in("someone")
        assert done.status_code == 303, done.text
    finally:
        own.stop()


def test_what_the_provider_denies_is_told(http: Any, ready: Provider) -> None:
    browser = Browser(http, ready)
    state = parse_qs(urlsplit(browser.get("/login/sso").headers["location"]).query)["state"][0]
    answer = browser.get("/login/sso/callback", state=state, error="access_denied")
    assert (answer.status_code, "access_denied" in answer.text) == (403, True)


def test_the_secret_is_sealed_and_never_told(
    http: Any, composition: Composition, crew: Crew, ready: Provider
) -> None:
    headers = crew.headers("root")
    shown = http.get("/api/v1/single-sign-on", headers=headers)
    assert (shown.json()["has_secret"], "a client secret" in shown.text) == (True, False)
    rows = composition.storage.read(
        lambda tx: str(tx.exec_driver_sql("SELECT * FROM sign_on_provider").all())
    )
    assert "hfs1." in rows and "a client secret" not in rows
    entries = str(composition.audit.list_entries(crew.admin()).items)
    assert "sign-on.set" in entries and "a client secret" not in entries
    kept = composition.sign_on.set_provider(crew.admin(), NewProvider(ready.issuer, "other"))
    assert kept.has_secret
    assert http.delete("/api/v1/single-sign-on", headers=headers).status_code == 200
    assert http.get("/login/sso").status_code == 404


def test_the_login_page_offers_it(http: Any, ready: Provider) -> None:
    assert "/login/sso?next=/runs" in http.get("/login?next=/runs").text


@pytest.mark.parametrize("issuer", ["", "example.com", "ftp://example.com", "https://example.com/?a=b"])
def test_a_wrong_issuer_is_refused(composition: Composition, crew: Crew, issuer: str) -> None:
    with pytest.raises(InvalidInput):
        composition.sign_on.set_provider(crew.admin(), NewProvider(issuer, "holdfast"))


def test_a_provider_that_can_not_be_reached_is_refused(
    composition: Composition, crew: Crew, provider: Provider
) -> None:
    with pytest.raises(InvalidInput, match="allow-egress"):
        composition.sign_on.set_provider(crew.admin(), NewProvider("http://127.0.0.1:1", "holdfast"))
    with pytest.raises(Unavailable):
        composition.sign_on.set_provider(crew.admin(), NewProvider(f"{provider.issuer}/other", "holdfast"))
    with pytest.raises(NotFound):
        composition.sign_on.begin("http://127.0.0.1:5000", "/")


@pytest.mark.parametrize(("name", "made"), [
    ("Ada.Lovelace", "ada-lovelace"), ("ada@example.com", "ada"), ("Zoë Ünal", "zoe-unal"), ("x" * 200, "x" * 50),
])  # fmt: skip
def test_a_provider_s_name_becomes_one_of_ours(name: str, made: str) -> None:
    assert user_name(name, "s") == made
    assert user_name("日本", "s").startswith("user-")
