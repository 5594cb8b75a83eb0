"""People, roles, tokens, sessions and workspaces over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.identity.admission import Identity
from holdfast.identity.people import NewPerson, People
from holdfast.identity.records import (
    ACCOUNT,
    DEPLOYMENT_ADMIN,
    PUBLIC,
    ROLE_PERMISSIONS,
    SIGNED_IN,
    Grant,
    GroupRole,
    MadeToken,
    PersonRecord,
    SessionRecord,
    SignOnProvider,
    TokenRecord,
    WhoAmI,
    Workspace,
)
from holdfast.identity.roles import Roles
from holdfast.identity.sessions import Sessions
from holdfast.identity.sign_on import NewProvider, SignOn
from holdfast.identity.tokens import NewToken, Tokens
from holdfast.identity.workspaces import Workspaces
from holdfast.kernel.errors import NotFound
from holdfast.kernel.paging import Items
from holdfast.web import Call, Route, Visit

__all__ = ["routes"]

_ADMIN = "identity:admin"


class LogIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /login."""

    name: str
    password: str
    label: str = "login"


class SetPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of PUT /users/{name}/password."""

    password: str


class ChangePassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of PUT /account/password."""

    old: str
    new: str


class TokenQuery(msgspec.Struct, frozen=True):
    """Whose tokens: a name, or * for everybody's; without one, one's own."""

    of: str = ""


class GiveRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of PUT /roles/{name} and /groups/{group}."""

    role: str


class NewWorkspace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /workspaces."""

    name: str
    description: str = ""


def routes(
    identity: Identity,
    people: People,
    tokens: Tokens,
    sessions: Sessions,
    roles: Roles,
    workspaces: Workspaces,
    sign_on: SignOn,
) -> list[Route]:
    """The routes of this room."""
    return [
        *_sign_on(sign_on),
        *_own(identity, people, tokens, sessions),
        *_people(people, sessions),
        *_tokens(tokens),
        *_roles(roles),
        *_workspaces(identity, workspaces),
    ]


def _own(identity: Identity, people: People, tokens: Tokens, sessions: Sessions) -> list[Route]:
    def whoami(call: Call) -> WhoAmI:
        return identity.describe(call.caller, _visit(call))

    def log_in(call: Call) -> MadeToken:
        body: LogIn = call.body
        return tokens.log_in(body.name, body.password, body.label, call.address, call.caller.request_id)

    def change_password(call: Call) -> None:
        people.change_password(call.caller, call.body.old, call.body.new)

    def list_sessions(call: Call) -> Items[SessionRecord]:
        return Items(sessions.list_sessions(call.caller))

    def end_session(call: Call) -> None:
        sessions.end(call.caller, call.path["session_id"])

    own = "/api/v1/account"
    return [
        Route("GET", "/api/v1/whoami", whoami, SIGNED_IN, summary="The principal behind the request", result=WhoAmI),
        Route("POST", "/api/v1/login", log_in, PUBLIC, LogIn, "A token for a name and password", 65_536, MadeToken),
        Route("PUT", own + "/password", change_password, ACCOUNT, ChangePassword, "Change one's own password"),
        Route("GET", own + "/sessions", list_sessions, ACCOUNT, summary="One's own sessions", result=Items[SessionRecord]),
        Route("DELETE", own + "/sessions/{session_id}", end_session, ACCOUNT, summary="End one of one's own sessions"),
    ]  # fmt: skip


def _people(people: People, sessions: Sessions) -> list[Route]:
    def add(call: Call) -> PersonRecord:
        return people.add(call.caller, call.body)

    def listing(call: Call) -> Items[PersonRecord]:
        return Items(people.list())

    def get(call: Call) -> PersonRecord:
        return _found(people, call)

    def erase(call: Call) -> None:
        people.erase(call.caller, call.path["name"])

    def disable(call: Call) -> PersonRecord:
        return people.set_disabled(call.caller, call.path["name"], True)

    def enable(call: Call) -> PersonRecord:
        return people.set_disabled(call.caller, call.path["name"], False)

    def set_password(call: Call) -> None:
        people.set_password(call.caller, call.path["name"], call.body.password)

    def list_sessions(call: Call) -> Items[SessionRecord]:
        return Items(sessions.list_sessions(call.caller, _found(people, call).id))

    base, one, need = "/api/v1/users", "/api/v1/users/{name}", DEPLOYMENT_ADMIN
    found = PersonRecord
    return [
        Route("POST", base, add, need, NewPerson, "Add a user or a service account", result=found),
        Route("GET", base, listing, need, summary="List users and service accounts", result=Items[PersonRecord]),
        Route("GET", one, get, need, summary="Read a user or a service account", result=found),
        Route("DELETE", one, erase, need, summary="Erase a user or a service account; its pseudonym stays"),
        Route("POST", one + "/disable", disable, need, summary="Disable a user or a service account", result=found),
        Route("POST", one + "/enable", enable, need, summary="Enable a user or a service account", result=found),
        Route("PUT", one + "/password", set_password, need, SetPassword, "Set a user's password"),
        Route("GET", one + "/sessions", list_sessions, need, summary="A user's sessions", result=Items[SessionRecord]),
    ]  # fmt: skip


def _tokens(tokens: Tokens) -> list[Route]:
    def create(call: Call) -> MadeToken:
        return tokens.create(call.caller, call.body)

    def listing(call: Call) -> Items[TokenRecord]:
        return Items(tokens.list_tokens(call.caller, call.params.of or None))

    def revoke(call: Call) -> None:
        tokens.revoke(call.caller, call.path["token_id"])

    base = "/api/v1/tokens"
    return [
        Route("POST", base, create, SIGNED_IN, NewToken, "Make an API token; its secret is told once", result=MadeToken),
        Route("GET", base, listing, SIGNED_IN, summary="List one's own tokens, or for administrators others'",
              result=Items[TokenRecord], query=TokenQuery),
        Route("DELETE", base + "/{token_id}", revoke, SIGNED_IN, summary="Revoke an API token"),
    ]  # fmt: skip


def _roles(roles: Roles) -> list[Route]:
    def names(_call: Call) -> dict[str, list[str]]:
        return {role: sorted(held) for role, held in ROLE_PERMISSIONS.items()}

    def listing(call: Call) -> Items[Grant]:
        return Items(roles.list_roles(call.caller))

    def grant(call: Call) -> Grant:
        return roles.grant(call.caller, call.path["name"], call.body.role)

    def revoke(call: Call) -> None:
        roles.revoke(call.caller, call.path["name"])

    def groups(call: Call) -> Items[GroupRole]:
        return Items(roles.list_groups(call.caller))

    def grant_group(call: Call) -> GroupRole:
        return roles.grant_group(call.caller, call.path["group"], call.body.role)

    def revoke_group(call: Call) -> None:
        roles.revoke_group(call.caller, call.path["group"])

    base, groups_base = "/api/v1/role-grants", "/api/v1/group-roles"
    return [
        Route("GET", "/api/v1/roles", names, _ADMIN, summary="Roles and their permissions", result=dict[str, Any]),
        Route("GET", base, listing, _ADMIN, summary="Who has which role in the workspace", result=Items[Grant]),
        Route("PUT", base + "/{name}", grant, _ADMIN, GiveRole, "Give a role in the workspace", result=Grant),
        Route("DELETE", base + "/{name}", revoke, _ADMIN, summary="Take a role in the workspace away"),
        Route("GET", groups_base, groups, _ADMIN, summary="Roles by single sign-on group", result=Items[GroupRole]),
        Route("PUT", groups_base + "/{group}", grant_group, _ADMIN, GiveRole,
              "Give a group a role in the workspace", result=GroupRole),
        Route("DELETE", groups_base + "/{group}", revoke_group, _ADMIN, summary="Take a group's role away"),
    ]  # fmt: skip


def _workspaces(identity: Identity, workspaces: Workspaces) -> list[Route]:
    def create(call: Call) -> Workspace:
        return workspaces.create(call.caller, call.body.name, call.body.description)

    def listing(call: Call) -> Items[Workspace]:
        return Items(identity.reachable(_visit(call), with_archived=True))

    def archive(call: Call) -> Workspace:
        return workspaces.archive(call.caller, call.path["name"])

    def restore(call: Call) -> Workspace:
        return workspaces.restore(call.caller, call.path["name"])

    base, need = "/api/v1/workspaces", DEPLOYMENT_ADMIN
    return [
        Route("POST", base, create, need, NewWorkspace, "Add a workspace", result=Workspace),
        Route("GET", base, listing, SIGNED_IN, summary="The workspaces that one may see", result=Items[Workspace]),
        Route("POST", base + "/{name}/archive", archive, need, summary="Archive a workspace", result=Workspace),
        Route("POST", base + "/{name}/restore", restore, need, summary="Take an archived workspace back",
              result=Workspace),
    ]  # fmt: skip


def _sign_on(sign_on: SignOn) -> list[Route]:
    def show(_call: Call) -> SignOnProvider:
        found = sign_on.provider()
        if found is None:
            raise NotFound("There is no single sign-on provider.", hint="Set one with: holdfast sso set")
        return found

    def put(call: Call) -> SignOnProvider:
        return sign_on.set_provider(call.caller, call.body)

    def remove(call: Call) -> None:
        sign_on.remove_provider(call.caller)

    base, need, found = "/api/v1/single-sign-on", DEPLOYMENT_ADMIN, SignOnProvider
    return [
        Route("GET", base, show, need, summary="The single sign-on provider", result=found),
        Route("PUT", base, put, need, NewProvider, "Use a single sign-on provider", result=found),
        Route("DELETE", base, remove, need, summary="Use no single sign-on provider any more"),
    ]


def _visit(call: Call) -> Visit:
    return Visit("GET", "", call.headers, {}, call.address, call.is_secure)


def _found(people: People, call: Call) -> PersonRecord:
    name = call.path["name"]
    person = people.find(name)
    if person is None:
        raise NotFound(f"There is no user or service account {name[:80]!r}.")
    return person
