"""The settings of people, roles, tokens, sessions and workspaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from holdfast.identity.forms import token_form
from holdfast.identity.people import NewPerson, People
from holdfast.identity.records import (
    DEPLOYMENT_ADMIN,
    DEPLOYMENT_ROLES,
    SIGNED_IN,
    Grant,
    PersonRecord,
    SessionRecord,
    TokenRecord,
    Workspace,
)
from holdfast.identity.roles import Roles
from holdfast.identity.service import may, of_deployment
from holdfast.identity.sessions import Sessions
from holdfast.identity.tokens import Tokens
from holdfast.identity.workspaces import Workspaces
from holdfast.kernel.principal import DEPLOYMENT, ROLES, Caller
from holdfast.web import Call, Form, Page, Redirect, Route
from holdfast.web.forms import FORM_LIMIT, attempt, field
from holdfast.web.wording import plural

__all__ = ["settings_pages"]

_Answer = Redirect | Page
_Show = Callable[..., Page]
_PEOPLE, _ROLES, _TOKENS = "/settings/people", "/settings/roles", "/settings/tokens"
_SESSIONS, _WORKSPACES = "/settings/sessions", "/settings/workspaces"


class _PersonRow(msgspec.Struct, frozen=True):
    person: PersonRecord
    roles: list[Grant]
    signs_in: str


class _TokenRow(msgspec.Struct, frozen=True):
    token: TokenRecord
    owner: str
    kind: str
    word: str


class _SessionRow(msgspec.Struct, frozen=True):
    session: SessionRecord
    owner: str


def settings_pages(
    people: People, tokens: Tokens, sessions: Sessions, roles: Roles, workspaces: Workspaces
) -> list[Route]:
    """`/settings/people`, `/settings/roles`, `/settings/tokens`, `/settings/sessions` and `/settings/workspaces`."""
    return [
        *_people(people, roles, workspaces),
        *_roles(people, roles),
        *_tokens(people, tokens),
        *_sessions(people, sessions),
        *_workspaces(workspaces),
    ]


def _people(people: People, roles: Roles, workspaces: Workspaces) -> list[Route]:
    def page(call: Call, problem: str = "", status: int = 200) -> Page:
        grants = _all_grants(call.caller, roles, workspaces.list_workspaces())
        rows = [
            _PersonRow(one, [g for g in grants if g.principal_id == one.id], _signs_in(one))
            for one in people.list()
        ]
        users = [row.person for row in rows if row.person.kind == "user"]
        sentence = f"{plural(len(users), 'user')} and {plural(len(rows) - len(users), 'service account')}."
        return _page(call, "people", "People", problem, status, rows=rows, sentence=sentence)

    def add(call: Call) -> _Answer:
        def change() -> Redirect:
            kind, role = field(call, "kind"), field(call, "role")
            person = NewPerson(
                field(call, "name"),
                kind="service" if kind == "service" else "user",
                display_name=field(call, "display_name"),
                email=field(call, "email"),
                password=call.body.get("password") or None,
                is_admin=kind == "admin",
            )
            people.add(call.caller, person)
            if role:
                roles.grant(call.caller, person.name, role)
            return Redirect(f"{_PEOPLE}#{person.name}")

        return attempt(change, lambda *told: page(call, *told))

    def switch(is_disabled: bool) -> Callable[[Call], _Answer]:
        def handle(call: Call) -> _Answer:
            def change() -> Redirect:
                people.set_disabled(call.caller, call.path["name"], is_disabled)
                return Redirect(f"{_PEOPLE}#{call.path['name']}")

            return attempt(change, lambda *told: page(call, *told))

        return handle

    one = _PEOPLE + "/{name}"
    return [
        Route("GET", _PEOPLE, page, DEPLOYMENT_ADMIN, summary="People and service accounts"),
        Route("POST", _PEOPLE, add, DEPLOYMENT_ADMIN, Form, "Add a person, by a form", FORM_LIMIT),
        Route("POST", one + "/disable", switch(True), DEPLOYMENT_ADMIN, Form, "Disable a person, by a form", FORM_LIMIT),
        Route("POST", one + "/enable", switch(False), DEPLOYMENT_ADMIN, Form, "Enable a person, by a form", FORM_LIMIT),
    ]  # fmt: skip


def _roles(people: People, roles: Roles) -> list[Route]:
    def page(call: Call, problem: str = "", status: int = 200) -> Page:
        is_admin = may(call.caller.principal, DEPLOYMENT_ADMIN)
        grants, groups = roles.list_roles(call.caller), roles.list_groups(call.caller)
        count = sum(grant.workspace == call.caller.workspace for grant in grants)
        context = {
            "grants": grants,
            "groups": groups,
            "roles": ROLES,
            "deployment_roles": sorted({*ROLES, *DEPLOYMENT_ROLES}) if is_admin else [],
            "names": [one.name for one in people.list()] if is_admin else [],
            "sentence": f"{plural(count, 'person', 'people')} with a role in {call.caller.workspace}.",
        }
        return _page(call, "roles", "Roles", problem, status, **context)

    def place(call: Call) -> Caller:
        return of_deployment(call.caller) if field(call, "place") == DEPLOYMENT else call.caller

    def grant(call: Call) -> _Answer:
        def change() -> Redirect:
            give = roles.grant_group if field(call, "of") == "group" else roles.grant
            give(place(call), field(call, "name"), field(call, "role"))
            return Redirect(_ROLES)

        return attempt(change, lambda *told: page(call, *told))

    def revoke(call: Call) -> _Answer:
        def change() -> Redirect:
            take = roles.revoke_group if field(call, "of") == "group" else roles.revoke
            take(place(call), field(call, "name"))
            return Redirect(_ROLES)

        return attempt(change, lambda *told: page(call, *told))

    need = "identity:admin"
    return [
        Route("GET", _ROLES, page, need, summary="Roles in the workspace"),
        Route("POST", _ROLES, grant, need, Form, "Give a role, by a form", FORM_LIMIT),
        Route("POST", _ROLES + "/revoke", revoke, need, Form, "Take a role away, by a form", FORM_LIMIT),
    ]


def _tokens(people: People, tokens: Tokens) -> list[Route]:
    def page(call: Call, problem: str = "", status: int = 200, secret: str = "") -> Page:
        who = call.caller.principal
        is_admin = may(who, DEPLOYMENT_ADMIN)
        found = tokens.list_tokens(call.caller, "*" if is_admin else None)
        names = {one.id: one.name for one in people.list()} if is_admin else {who.id: who.name}
        rows = [_token_row(token, names.get(token.principal_id, ""), call.caller.time_ms) for token in found]
        owners = [(name, name) for name in names.values()]
        valid = sum(row.kind == "ok" for row in rows)
        context = {
            "rows": rows,
            "owners": owners,
            "is_admin": is_admin,
            "mine": who.name if who.id in names else "",
            "secret": secret,
            "sentence": f"{plural(valid, 'token')} can be used.",
        }
        return _page(call, "tokens", "Tokens", problem, status, **context)

    def make(call: Call) -> _Answer:
        def change() -> Page:
            return page(call, secret=tokens.create(call.caller, token_form(call.body)).secret)

        return attempt(change, lambda *told: page(call, *told))

    def revoke(call: Call) -> _Answer:
        def change() -> Redirect:
            tokens.revoke(call.caller, call.path["token_id"])
            return Redirect(_TOKENS)

        return attempt(change, lambda *told: page(call, *told))

    # Administrators by the secret have no account of their own; the service asks for what each act needs.
    revoking = _TOKENS + "/{token_id}/revoke"
    return [
        Route("GET", _TOKENS, page, SIGNED_IN, summary="API tokens"),
        Route("POST", _TOKENS, make, SIGNED_IN, Form, "Make an API token, by a form", FORM_LIMIT),
        Route("POST", revoking, revoke, SIGNED_IN, Form, "Revoke an API token, by a form", FORM_LIMIT),
    ]


def _sessions(people: People, sessions: Sessions) -> list[Route]:
    def page(call: Call, problem: str = "", status: int = 200) -> Page:
        who = call.caller.principal
        is_admin = may(who, DEPLOYMENT_ADMIN)
        names = {one.id: one.name for one in people.list()} if is_admin else {}
        names[who.id] = who.name
        found = sessions.list_sessions(call.caller, "*" if is_admin else None)
        rows = [_SessionRow(session, names.get(session.principal_id, "")) for session in found]
        sentence = f"{plural(len(rows), 'browser')} {'is' if len(rows) == 1 else 'are'} signed in."
        return _page(call, "sessions", "Sessions", problem, status, rows=rows, sentence=sentence)

    def end(call: Call) -> _Answer:
        def change() -> Redirect:
            sessions.end(call.caller, call.path["session_id"])
            return Redirect(_SESSIONS)

        return attempt(change, lambda *told: page(call, *told))

    ending = _SESSIONS + "/{session_id}/end"
    return [
        Route("GET", _SESSIONS, page, SIGNED_IN, summary="Sessions"),
        Route("POST", ending, end, SIGNED_IN, Form, "End a session, by a form", FORM_LIMIT),
    ]


def _workspaces(workspaces: Workspaces) -> list[Route]:
    def page(call: Call, problem: str = "", status: int = 200) -> Page:
        rows = workspaces.list_workspaces(with_archived=True)
        live = sum(one.archived_at is None for one in rows)
        more = f", {len(rows) - live} archived" if live < len(rows) else ""
        sentence = f"{plural(live, 'workspace')}{more}."
        return _page(call, "workspaces", "Workspaces", problem, status, rows=rows, sentence=sentence)

    def create(call: Call) -> _Answer:
        def change() -> Redirect:
            made = workspaces.create(call.caller, field(call, "name"), field(call, "description"))
            return Redirect(f"{_WORKSPACES}#{made.name}")

        return attempt(change, lambda *told: page(call, *told))

    def switch(act: Callable[[Caller, str], Workspace]) -> Callable[[Call], _Answer]:
        def handle(call: Call) -> _Answer:
            def change() -> Redirect:
                act(call.caller, call.path["name"])
                return Redirect(f"{_WORKSPACES}#{call.path['name']}")

            return attempt(change, lambda *told: page(call, *told))

        return handle

    need, one = DEPLOYMENT_ADMIN, _WORKSPACES + "/{name}"
    return [
        Route("GET", _WORKSPACES, page, need, summary="Workspaces"),
        Route("POST", _WORKSPACES, create, need, Form, "Add a workspace, by a form", FORM_LIMIT),
        Route("POST", one + "/archive", switch(workspaces.archive), need, Form, "Archive, by a form", FORM_LIMIT),
        Route("POST", one + "/restore", switch(workspaces.restore), need, Form, "Restore, by a form", FORM_LIMIT),
    ]  # fmt: skip


def _page(call: Call, name: str, title: str, problem: str, status: int, **context: Any) -> Page:
    entered = call.body if isinstance(call.body, dict) and problem else {}
    shown = {**context, "problem": problem, "entered": entered}
    return Page(f"identity/settings_{name}.html", shown, title, status)


def _all_grants(caller: Caller, roles: Roles, places: Sequence[Workspace]) -> list[Grant]:
    """The roles in every workspace and on the deployment; for its administrators."""
    found = [
        one
        for place in places
        for one in roles.list_roles(msgspec.structs.replace(caller, workspace=place.name))
    ]
    seen = {(one.principal_id, one.workspace, one.source): one for one in found}
    return list(seen.values())


def _signs_in(person: PersonRecord) -> str:
    if person.issuer:
        return "single sign-on"
    return "password" if person.has_password else "tokens alone"


def _token_row(token: TokenRecord, owner: str, now_ms: int) -> _TokenRow:
    if token.expires_at is not None and token.expires_at <= now_ms:
        return _TokenRow(token, owner, "neutral", "ended")
    return _TokenRow(token, owner, "ok", "valid")
