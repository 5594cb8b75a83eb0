"""What the server's answers hold of people, tokens, roles and workspaces, as `records` of the rest."""

from __future__ import annotations

import msgspec

__all__ = [
    "GroupRole",
    "MadeToken",
    "Person",
    "RoleGrant",
    "SignOnProvider",
    "Token",
    "WhoAmI",
    "Workspace",
]


class WhoAmI(msgspec.Struct, frozen=True):
    """The principal behind a client's credential, and what it may do in the client's workspace."""

    id: str
    name: str
    role: str = ""
    auth: str = ""
    workspace: str = ""
    permissions: list[str] = []
    workspaces: list[str] = []


class Person(msgspec.Struct, frozen=True):
    """A user or a service account."""

    id: str
    kind: str
    name: str
    display_name: str = ""
    email: str = ""
    is_disabled: bool = False
    has_password: bool = False
    created_at: int = 0
    issuer: str = ""


class Token(msgspec.Struct, frozen=True):
    """A token without its secret; `workspace` and `permissions` are its scope, None for all that its owner may."""

    id: str
    principal_id: str
    name: str
    hint: str = ""
    workspace: str | None = None
    permissions: list[str] | None = None
    created_at: int = 0
    expires_at: int | None = None
    last_used_at: int | None = None


class MadeToken(msgspec.Struct, frozen=True):
    """A new token with its secret."""

    token: Token
    secret: str


class RoleGrant(msgspec.Struct, frozen=True):
    """A role of a principal in a workspace; `*` is the whole deployment."""

    principal_id: str
    workspace: str
    role: str
    source: str = ""
    granted_at: int = 0
    name: str = ""


class GroupRole(msgspec.Struct, frozen=True):
    """The role that members of a single sign-on group get in a workspace."""

    group: str
    workspace: str
    role: str


class SignOnProvider(msgspec.Struct, frozen=True):
    """The OpenID Connect provider of single sign-on."""

    issuer: str
    client_id: str
    scopes: str = ""
    groups_claim: str = ""
    has_secret: bool = False


class Workspace(msgspec.Struct, frozen=True):
    """A workspace; an archived one can be read only."""

    name: str
    description: str = ""
    created_at: int = 0
    archived_at: int | None = None
