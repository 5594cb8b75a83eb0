"""The nouns of identity: permissions and roles, people, tokens, sessions, workspaces."""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.kernel.principal import ROLES

__all__ = [
    "ACCOUNT",
    "DEPLOYMENT_ADMIN",
    "DEPLOYMENT_ROLES",
    "PERMISSIONS",
    "PUBLIC",
    "ROLE_PERMISSIONS",
    "SERVING_PLANE",
    "SIGNED_IN",
    "WORKSPACE_FREE",
    "Grant",
    "GroupRole",
    "MadeToken",
    "PersonRecord",
    "SessionRecord",
    "SignOnProvider",
    "TokenRecord",
    "WhoAmI",
    "Workspace",
    "permissions_of",
]

PUBLIC = "public"
"""The permission of routes that need no principal: health, version, the login page."""
SIGNED_IN = "signed-in"
"""The permission that every principal has, the one of open mode too, whatever its token's scope."""
ACCOUNT = "account"
"""The permission of users and service accounts on what is their own: password, sessions, tokens."""
DEPLOYMENT_ADMIN = "deployment:admin"
"""Users, workspaces, single sign-on, and every workspace's administration."""
SERVING_PLANE = "serving:plane"
"""What an inference server needs of the control plane: desired state, model files, shipping its log."""
WORKSPACE_FREE = frozenset({PUBLIC, SIGNED_IN, ACCOUNT, DEPLOYMENT_ADMIN, SERVING_PLANE})
"""Permissions on things of the deployment: a request for them needs no role in a workspace."""

_VIEWER = frozenset(
    {
        "tracking:read",
        "registry:read",
        "serving:read",
        "predictions:read",
        "monitoring:read",
        "audit:read",
        "operations:read",
        "collaboration:read",
        "inbox:use",
    }
)
_CONTRIBUTOR = _VIEWER | {
    "tracking:write",
    "registry:write",
    "serving:write",
    "predictions:infer",
    "predictions:feedback",
    "monitoring:write",
    "collaboration:write",
}
_APPROVER = _CONTRIBUTOR | {"registry:approve"}
_ADMIN = _APPROVER | {"predictions:replay", "tracking:purge", "identity:admin", "channels:admin"}

ROLE_PERMISSIONS: dict[str, frozenset[str]] = {
    "viewer": _VIEWER,
    "contributor": _CONTRIBUTOR,
    "approver": _APPROVER,
    "admin": _ADMIN,
}
DEPLOYMENT_ROLES: dict[str, frozenset[str]] = {
    "admin": frozenset({DEPLOYMENT_ADMIN}),
    "inference": frozenset({SERVING_PLANE}),
}
"""What a role gives beyond workspaces when it is granted on the deployment; the roles of workspaces, granted so,
hold in every workspace."""
PERMISSIONS = _ADMIN | WORKSPACE_FREE

Kind = Literal["user", "service"]


def permissions_of(role: str) -> frozenset[str]:
    """The permissions of a role in its workspace; none of an unknown role."""
    return ROLE_PERMISSIONS.get(role, frozenset())


def highest(*roles: str) -> str:
    """The role among these that may do most; `none` without one."""
    ranked = [role for role in roles if role in ROLES]
    return max(ranked, key=ROLES.index, default="none")


class PersonRecord(msgspec.Struct, frozen=True):
    """A user or a service account. An erased one has no name any more."""

    id: str
    kind: Kind
    name: str
    display_name: str
    email: str
    is_disabled: bool
    has_password: bool
    created_at: int
    issuer: str = ""
    """The single sign-on provider that knows this user; empty for one with a password here."""
    erased_at: int | None = None


class Grant(msgspec.Struct, frozen=True):
    """A role of a principal in a workspace; `*` is the whole deployment."""

    principal_id: str
    workspace: str
    role: str
    source: Literal["manual", "group"]
    """`group`: from a single sign-on group, taken away when the user leaves it."""
    granted_at: int
    name: str = ""
    """The principal's name."""


class GroupRole(msgspec.Struct, frozen=True):
    """The role that members of a single sign-on group get in a workspace; `*` is the whole deployment."""

    group: str
    workspace: str
    role: str


class TokenRecord(msgspec.Struct, frozen=True):
    """A token without its secret. `workspace` and `permissions`: its scope, None for all that its principal may."""

    id: str
    principal_id: str
    name: str
    hint: str
    """The first characters of the secret, to tell tokens apart."""
    workspace: str | None
    permissions: list[str] | None
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    """About when it was used last, to the minute."""
    revoked_at: int | None


class MadeToken(msgspec.Struct, frozen=True):
    """A new token with its secret, which is told this once."""

    token: TokenRecord
    secret: str


class SessionRecord(msgspec.Struct, frozen=True):
    """A signed-in browser. `auth` says how: `password`, `oidc` or `code`."""

    id: str
    principal_id: str
    auth: str
    address: str
    agent: str
    created_at: int
    seen_at: int
    expires_at: int
    is_current: bool = False


class Workspace(msgspec.Struct, frozen=True):
    """A workspace: nothing in it is seen from another. An archived one can be read and is not served."""

    name: str
    description: str
    created_at: int
    archived_at: int | None = None


class SignOnProvider(msgspec.Struct, frozen=True):
    """The OpenID Connect provider of single sign-on, without its secret."""

    issuer: str
    client_id: str
    scopes: str
    groups_claim: str
    has_secret: bool


class WhoAmI(msgspec.Struct, frozen=True):
    """The principal behind a request, and what it may do."""

    id: str
    name: str
    role: str
    auth: str
    workspace: str
    permissions: list[str]
    workspaces: list[str]
    """The workspaces that it may ask for."""
