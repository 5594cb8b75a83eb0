"""Permissions, and the roles that hold them."""

from __future__ import annotations

import msgspec

__all__ = ["PERMISSIONS", "PUBLIC", "ROLE_PERMISSIONS", "WhoAmI"]

PUBLIC = "public"
"""The permission of routes that need no principal: health, version, static files."""

_VIEWER = frozenset(
    {"tracking:read", "registry:read", "serving:read", "predictions:read", "monitoring:read", "audit:read"}
)
_CONTRIBUTOR = _VIEWER | {
    "tracking:write",
    "registry:write",
    "serving:write",
    "predictions:infer",
    "predictions:feedback",
    "predictions:ingest",
    "monitoring:write",
}
_APPROVER = _CONTRIBUTOR | {"registry:approve"}
_ADMIN = _APPROVER | {"predictions:replay", "identity:admin"}

ROLE_PERMISSIONS: dict[str, frozenset[str]] = {
    "viewer": _VIEWER,
    "contributor": _CONTRIBUTOR,
    "approver": _APPROVER,
    "admin": _ADMIN,
}
PERMISSIONS = _ADMIN | {PUBLIC}


class WhoAmI(msgspec.Struct, frozen=True):
    """The principal behind a request, and what it may do."""

    id: str
    name: str
    role: str
    auth: str
    workspace: str
    permissions: list[str]
