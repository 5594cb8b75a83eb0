"""Verbs on people, tokens, roles and workspaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.client.api import Api, segment
from holdfast.client.people import (
    GroupRole,
    MadeToken,
    Person,
    RoleGrant,
    SignOnProvider,
    Token,
    WhoAmI,
    Workspace,
)

__all__ = ["IdentityVerbs"]

_USERS = "/api/v1/users"
_TOKENS = "/api/v1/tokens"
_GRANTS = "/api/v1/role-grants"
_GROUPS = "/api/v1/group-roles"
_SIGN_ON = "/api/v1/single-sign-on"
_WORKSPACES = "/api/v1/workspaces"


class IdentityVerbs:
    """The identity part of `Client`."""

    _api: Api

    def whoami(self) -> WhoAmI:
        """The principal behind this client's credential, and what it may do in this client's workspace."""
        return self._api.get("/api/v1/whoami", WhoAmI)

    def log_in(self, name: str, password: str, *, label: str = "login") -> MadeToken:
        """A token of 30 days for a name and password. Raises Unauthenticated, or TooManyRequests after many failures."""
        return self._api.post(
            "/api/v1/login", {"name": name, "password": password, "label": label}, MadeToken
        )

    def add_user(
        self,
        name: str,
        *,
        kind: str = "user",
        display_name: str = "",
        email: str = "",
        password: str | None = None,
        is_admin: bool = False,
    ) -> Person:
        """Add a user, or with kind `service` a service account. `is_admin`: administrator of the deployment."""
        body = {"name": name, "kind": kind, "display_name": display_name, "email": email}
        return self._api.post(_USERS, {**body, "password": password, "is_admin": is_admin}, Person)

    def list_users(self) -> list[Person]:
        """Every user and service account."""
        return list(self._api.pages(_USERS, Person))

    def get_user(self, name: str) -> Person:
        """One user or service account. Raises NotFound."""
        return self._api.get(f"{_USERS}/{segment(name)}", Person)

    def disable_user(self, name: str) -> Person:
        """End the sessions of a user or service account and stop its tokens."""
        return self._api.post(f"{_USERS}/{segment(name)}/disable", {}, Person)

    def enable_user(self, name: str) -> Person:
        """Let a disabled user or service account in again."""
        return self._api.post(f"{_USERS}/{segment(name)}/enable", {}, Person)

    def remove_user(self, name: str) -> None:
        """Erase a user or service account; the audit log keeps its pseudonym."""
        self._api.delete(f"{_USERS}/{segment(name)}")

    def set_password(self, name: str, password: str) -> None:
        """Give a user another password; its sessions end."""
        self._api.put(f"{_USERS}/{segment(name)}/password", {"password": password}, dict)

    def create_token(
        self,
        name: str,
        *,
        of: str = "",
        workspace: str | None = None,
        permissions: Sequence[str] | None = None,
        days: int | None = None,
    ) -> MadeToken:
        """Make a token, narrowed to a workspace and permissions where given. Its secret is told this once."""
        body: dict[str, Any] = {"name": name, "of": of, "workspace": workspace, "days": days}
        return self._api.post(
            _TOKENS, {**body, "permissions": None if permissions is None else list(permissions)}, MadeToken
        )

    def list_tokens(self, of: str | None = None) -> list[Token]:
        """One's own tokens; another's, or with `*` everybody's, for administrators."""
        return list(self._api.pages(_TOKENS, Token, of=of))

    def revoke_token(self, token_id: str) -> None:
        """End a token."""
        self._api.delete(f"{_TOKENS}/{segment(token_id)}")

    def list_roles(self) -> list[RoleGrant]:
        """Who has which role in this client's workspace; for administrators also on the deployment."""
        return list(self._api.pages(_GRANTS, RoleGrant))

    def grant_role(self, name: str, role: str) -> RoleGrant:
        """Give a user or service account a role in this client's workspace."""
        return self._api.put(f"{_GRANTS}/{segment(name)}", {"role": role}, RoleGrant)

    def revoke_role(self, name: str) -> None:
        """Take the role in this client's workspace away."""
        self._api.delete(f"{_GRANTS}/{segment(name)}")

    def list_group_roles(self) -> list[GroupRole]:
        """Which roles the groups of single sign-on give."""
        return list(self._api.pages(_GROUPS, GroupRole))

    def grant_group_role(self, group: str, role: str) -> GroupRole:
        """Give the members of a single sign-on group a role in this client's workspace, from their next login on."""
        return self._api.put(f"{_GROUPS}/{segment(group)}", {"role": role}, GroupRole)

    def revoke_group_role(self, group: str) -> None:
        """Take a group's role in this client's workspace away."""
        self._api.delete(f"{_GROUPS}/{segment(group)}")

    def set_sign_on_provider(
        self,
        issuer: str,
        client_id: str,
        *,
        client_secret: str | None = None,
        scopes: str = "openid profile email",
        groups_claim: str = "groups",
    ) -> SignOnProvider:
        """Use an OpenID Connect provider for single sign-on. Without a secret the one before is kept."""
        body = {"issuer": issuer, "client_id": client_id, "scopes": scopes, "groups_claim": groups_claim}
        return self._api.put(_SIGN_ON, {**body, "client_secret": client_secret}, SignOnProvider)

    def get_sign_on_provider(self) -> SignOnProvider:
        """The provider of single sign-on, without its secret. Raises NotFound."""
        return self._api.get(_SIGN_ON, SignOnProvider)

    def remove_sign_on_provider(self) -> None:
        """Use no provider any more."""
        self._api.delete(_SIGN_ON)

    def create_workspace(self, name: str, *, description: str = "") -> Workspace:
        """Add a workspace."""
        return self._api.post(_WORKSPACES, {"name": name, "description": description}, Workspace)

    def list_workspaces(self) -> list[Workspace]:
        """The workspaces that one may see, archived ones too."""
        return list(self._api.pages(_WORKSPACES, Workspace))

    def archive_workspace(self, name: str) -> Workspace:
        """Make a workspace one that can be read only; its endpoints are served no more."""
        return self._api.post(f"{_WORKSPACES}/{segment(name)}/archive", {}, Workspace)

    def restore_workspace(self, name: str) -> Workspace:
        """Take an archived workspace back."""
        return self._api.post(f"{_WORKSPACES}/{segment(name)}/restore", {}, Workspace)
