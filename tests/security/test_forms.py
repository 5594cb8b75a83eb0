"""CSRF: every form that changes something is refused unless a page of this very browser showed it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from holdfast.app.compose import all_routes, build_app
from holdfast.collaboration.channels import Channels
from holdfast.collaboration.events import Match
from holdfast.collaboration.senders import AppriseSender
from holdfast.collaboration.store import channels as channel_store
from holdfast.identity.tokens import NewToken
from holdfast.kernel.principal import Caller
from holdfast.storage import Tx
from holdfast.web import Form
from holdfast.web.egress import Egress
from tests.collaboration.dump import dump
from tests.identity.conftest import PASSWORD, Crew
from tests.web.visitor import Visitor

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

Login = Callable[..., dict[str, str]]
NEW = "another good password"


class Try(msgspec.Struct, frozen=True):
    """A form: its route, the page that has it, where it goes, and what is entered."""

    route: str
    page: str
    address: str
    fields: dict[str, str] = {}


@pytest.fixture
def composition(composition: Composition) -> Composition:
    """The control plane, for which every name outside leads to an address that it may not reach."""
    egress, box = Egress(resolve=lambda _name, _port: ["10.0.0.1"]), composition.keys.secret_box
    apprise = AppriseSender(egress)
    composition.channels = Channels(composition.storage, box, egress, apprise, composition.courier)
    return composition


@pytest.fixture
def root(http: Any, crew: Crew, login: Login) -> Visitor:
    """A signed-in administrator."""
    crew.add("root", is_admin=True, password=PASSWORD)
    crew.c.roles.grant(crew.admin("default"), "root", "admin")
    return Visitor(http, login("root"))


def kill_a_letter(composition: Composition, admin: Caller, run: str) -> str:
    """A message that could not be delivered, in a channel that is paused; gives its id."""
    composition.collaboration.create_comment(admin, run, "@root, look")
    while composition.follower.follow(composition.clock.now_ms()):
        continue
    (report, *_) = composition.channels.list_deliveries(admin, "ci").items

    def fn(tx: Tx) -> None:
        store, channel = channel_store, composition.channels.get_channel(admin, "ci")
        store.update_delivery(tx, "default", msgspec.structs.replace(report.delivery, state="dead"))
        store.update_channel(tx, "default", msgspec.structs.replace(channel, state="paused"))

    composition.storage.write(fn)
    return report.delivery.delivery_id


@pytest.fixture
def forms(crew: Crew, root: Visitor, login: Login) -> list[Try]:
    """A form of every route, each with something that it can change."""
    c = crew.c
    me = c.people.find("root")
    assert me is not None
    admin = msgspec.structs.replace(crew.admin("default"), principal=msgspec.structs.replace(
        crew.admin("default").principal, id=me.id, name=me.name))  # fmt: skip
    run = f"run:{c.tracking.create_run(admin, name='brave-otter').run_id}"
    said = c.collaboration.create_comment(admin, run, "first").comment_id
    c.collaboration.watch(admin, run)
    c.channels.add_webhook(admin, "ci", "https://ci.example.org/hook", Match())
    letter = kill_a_letter(c, crew.admin("default"), run)
    tokens = [c.tokens.create(crew.admin(), NewToken("t", of="root")).token.id for _ in range(2)]
    crew.add("ada", "viewer")
    c.roles.grant_group(crew.admin("default"), "team", "viewer")
    for name in ("labs", "old"):
        c.workspaces.create(crew.admin(), name)
    c.workspaces.archive(crew.admin(), "old")
    own = {one.id for one in c.sessions.list_sessions(crew.admin(), "*")}
    for _ in range(2):
        login("root")
    others = [one.id for one in c.sessions.list_sessions(crew.admin(), "*") if one.id not in own]
    account, settings, on = "/account", "/settings", f"/runs/{run[4:]}"
    view = c.views.save_view(admin, "Default", "mine", "sort=name").view_id
    tag = {"runs": run[4:], "verb": "tag", "key": "team", "value": "risk"}
    experiment = f"/experiments/{c.experiments.get_experiment(admin, 'Default').experiment_id}"
    return [
        Try("/runs/{run_id}/note", on, f"{on}/note", {"note": "good"}),
        Try("/experiments/{experiment}/note", experiment, f"{experiment}/note", {"note": "good"}),
        Try("/experiments/{experiment}/views", experiment, f"{experiment}/views", {"name": "two", "query": "sort=name"}),
        Try("/views/{view_id}/delete", experiment, f"/views/{view}/delete"),
        Try("/runs/change", f"/runs/change?run={run[4:]}", "/runs/change", tag),
        Try("/comments", on, "/comments", {"object": run, "body": "hello", "parent_id": ""}),
        Try("/comments/{comment_id}/edit", on, f"/comments/{said}/edit", {"body": "changed"}),
        Try("/comments/{comment_id}/delete", on, f"/comments/{said}/delete"),
        Try("/subscriptions", on, "/subscriptions", {"object": run, "watch": ""}),
        Try("/inbox/read", on, "/inbox/read"),
        Try("/settings/channels", f"{settings}/channels", "/settings/channels", {"name": "two", "kind": "webhook",
            "url": "https://two.example.org/hook"}),
        Try("/settings/channels/{name}/resume", f"{settings}/channels", "/settings/channels/ci/resume"),
        Try("/settings/channels/{name}/deliveries/{delivery_id}/retry", f"{settings}/channels",
            f"/settings/channels/ci/deliveries/{letter}/retry"),
        Try("/settings/channels/{name}/test", f"{settings}/channels", "/settings/channels/ci/test"),
        Try("/settings/channels/{name}/remove", f"{settings}/channels", "/settings/channels/ci/remove"),
        Try("/settings/people", f"{settings}/people", "/settings/people", {"name": "new", "kind": "user"}),
        Try("/settings/people/{name}/disable", f"{settings}/people", "/settings/people/ada/disable"),
        Try("/settings/people/{name}/enable", f"{settings}/people", "/settings/people/ada/enable"),
        Try("/settings/roles", f"{settings}/roles", "/settings/roles", {"name": "ada", "role": "admin"}),
        Try("/settings/roles/revoke", f"{settings}/roles", "/settings/roles/revoke", {"name": "team", "of": "group"}),
        Try("/settings/tokens", f"{settings}/tokens", "/settings/tokens", {"name": "t", "days": "9"}),
        Try("/settings/tokens/{token_id}/revoke", f"{settings}/tokens", f"/settings/tokens/{tokens[0]}/revoke"),
        Try("/settings/sessions/{session_id}/end", f"{settings}/sessions", f"/settings/sessions/{others[0]}/end"),
        Try("/settings/workspaces", f"{settings}/workspaces", "/settings/workspaces", {"name": "third"}),
        Try("/settings/workspaces/{name}/archive", f"{settings}/workspaces", "/settings/workspaces/labs/archive"),
        Try("/settings/workspaces/{name}/restore", f"{settings}/workspaces", "/settings/workspaces/old/restore"),
        Try("/settings/keys/{name}/rotate", f"{settings}/keys", "/settings/keys/serving/rotate", {"confirm": "serving"}),
        Try("/account/tokens", account, "/account/tokens", {"name": "mine", "days": "9"}),
        Try("/account/tokens/{token_id}/revoke", account, f"/account/tokens/{tokens[1]}/revoke"),
        Try("/account/sessions/{session_id}/end", account, f"/account/sessions/{others[1]}/end"),
        Try("/account/password", account, "/account/password", {"old": PASSWORD, "new": NEW, "again": NEW}),
        Try("/logout", account, "/logout"),
    ]  # fmt: skip


def form_routes(composition: Composition) -> set[str]:
    return {route.path for route in all_routes(composition) if route.body is Form}


def test_every_form_needs_the_token_of_this_browser(
    http: Any, composition: Composition, crew: Crew, root: Visitor, forms: list[Try], login: Login
) -> None:
    """Signed in: without a token, with a made-up one, and with that of somebody else, nothing changes."""
    assert {one.route for one in forms} == form_routes(composition) - {"/login"}
    crew.add("eve", is_admin=True, password=PASSWORD)
    of_eve = Visitor(http, login("eve")).token("/account")
    for one in forms:
        before = dump(composition.storage)
        for wrong in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "é"}, {"csrf": of_eve}):
            answer = root.post(one.address, {**one.fields, **wrong})
            assert answer.status_code == 403, (one, wrong)
            assert "does not belong to this browser" in answer.text
        assert dump(composition.storage) == before, one
        answer = root.send(one.page, one.address, **one.fields)
        assert answer.status_code in (200, 303), (one, answer.text)
        assert dump(composition.storage) != before, one


def test_every_form_needs_it_without_a_session_too(http: Any, composition: Composition) -> None:
    """Open mode: the browser has a secret of its own, from the first page with a form."""
    run = http.post("/api/v1/runs", json={}).json()["run_id"]
    page = f"/runs/{run}"
    of_another = Visitor(http).token(page)
    browser = Visitor(http)
    mine = browser.token(page)
    assert mine != of_another and set(browser.cookies) == {"holdfast_form"}
    before = dump(composition.storage)
    for route in sorted(form_routes(composition)):
        address = route.replace("{", "").replace("}", "")
        for fields in ({}, {"csrf": of_another}, {"csrf": "0" * 64}):
            assert browser.post(address, fields).status_code == 403, route
        assert Visitor(http).post(address, {"csrf": mine}).status_code == 403, route
    assert dump(composition.storage) == before
    for body in ("one", "two"):
        sent = browser.send(page, "/comments", object=f"run:{run}", body=body, parent_id="")
        assert sent.status_code == 303
    assert "set-cookie" not in browser.open(page).headers


def test_the_secret_of_forms_is_kept_from_scripts_and_from_other_sites(
    http: Any, composition: Composition, serve: Any
) -> None:
    page = http.get("/login")
    assert page.headers["cache-control"] == "no-store"
    parts = page.headers["set-cookie"].split("; ")
    assert parts[0].startswith("holdfast_form=") and parts[1:] == ["Path=/", "HttpOnly", "SameSite=Strict"]
    assert parts[0].partition("=")[2] not in page.text
    settings = msgspec.structs.replace(composition.settings, trusted_proxies=("127.0.0.1",))
    composition.settings = settings
    secure = serve(build_app(composition)).get("/login", headers={"X-Forwarded-Proto": "https"})
    assert secure.headers["set-cookie"].startswith("__Host-holdfast_form=")
    assert secure.headers["set-cookie"].endswith("; Secure")


def test_a_page_without_a_form_leaves_no_cookie(http: Any) -> None:
    for path in ("/", "/experiments", "/audit", "/nothing"):
        assert "set-cookie" not in http.get(path, headers={"Accept": "text/html"}).headers


def test_a_login_is_sent_by_the_browser_that_was_shown_its_form(http: Any, crew: Crew) -> None:
    """Login CSRF: the victim's browser would be signed in as the attacker."""
    crew.add("eve", "viewer", password=PASSWORD)
    victim, fields = Visitor(http), {"name": "eve", "password": PASSWORD}
    of_eve = Visitor(http).token("/login")
    assert victim.post("/login", {**fields, "csrf": of_eve}).status_code == 403
    victim.open("/login")
    for csrf in ({}, {"csrf": of_eve}):
        assert victim.post("/login", {**fields, **csrf}).status_code == 403
    assert set(victim.cookies) == {"holdfast_form"}
    assert victim.send("/login", "/login", **fields).status_code == 303
    assert "holdfast_session" in victim.cookies


def test_a_form_from_before_the_login_is_told_to_be_opened_anew(http: Any, crew: Crew) -> None:
    crew.add("ada", "contributor", password=PASSWORD)
    browser = Visitor(http)
    before = browser.token("/login")
    browser.send("/login", "/login", name="ada", password=PASSWORD)
    refused = browser.post("/account/tokens", {"csrf": before, "name": "t"})
    assert refused.status_code == 403
    assert "Open its page anew" in refused.text


def test_no_template_has_a_form_of_its_own() -> None:
    """The component alone writes `<form method="post">`, so that none can be without the token."""
    source = Path(str(files("holdfast")))
    found = {
        path.name: path.read_text().count("<form") - path.read_text().count('<form method="dialog"')
        for path in source.rglob("*.html")
    }
    assert {name for name, count in found.items() if count} == {"form.html"}
