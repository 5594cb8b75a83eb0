"""Who acts: the principal behind a request, and the caller that services take as their first argument."""

from __future__ import annotations

import msgspec

__all__ = ["DEFAULT_WORKSPACE", "DEPLOYMENT", "ROLES", "Caller", "Principal"]

ROLES = ("viewer", "contributor", "approver", "admin")
"""From least to most: each role may do what the roles before it may."""
DEFAULT_WORKSPACE = "default"
"""The workspace that every deployment has."""
DEPLOYMENT = "*"
"""What stands for the workspace where a thing belongs to the whole deployment: users, tokens, workspaces."""


class Principal(msgspec.Struct, frozen=True):
    """A user, a service account or one of the built-in principals (`open`, `admin`, `system`)."""

    id: str
    """The pseudonym that the audit log keeps; it says nothing of the name."""
    name: str
    role: str
    """The role in the request's workspace; `none` without one."""
    auth: str
    """How it proved itself: `open`, `admin-token`, `session`, `token`, `system`."""
    token_id: str = ""
    extra: tuple[str, ...] = ()
    """Permissions beyond the role's."""
    only: tuple[str, ...] | None = None
    """The permissions that a scoped token leaves of those that the principal has; None leaves all."""


class Caller(msgspec.Struct, frozen=True):
    """One request's context: who, in which workspace, under which request id, at what time (ms, UTC)."""

    principal: Principal
    workspace: str
    request_id: str
    time_ms: int
