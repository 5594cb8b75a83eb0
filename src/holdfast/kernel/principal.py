"""Who acts: the principal behind a request, and the caller that services take as their first argument."""

from __future__ import annotations

import msgspec

__all__ = ["ROLES", "Caller", "Principal"]

ROLES = ("viewer", "contributor", "approver", "admin")
"""From least to most: each role may do what the roles before it may."""


class Principal(msgspec.Struct, frozen=True):
    """A user, a service account or one of the built-in principals (`open`, `admin`, `system`)."""

    id: str
    name: str
    role: str
    auth: str
    """How it proved itself: `open`, `admin-token`, `session`, `system`."""
    token_id: str = ""
    extra: tuple[str, ...] = ()
    """Permissions beyond the role's."""


class Caller(msgspec.Struct, frozen=True):
    """One request's context: who, in which workspace, under which request id, at what time (ms, UTC)."""

    principal: Principal
    workspace: str
    request_id: str
    time_ms: int
