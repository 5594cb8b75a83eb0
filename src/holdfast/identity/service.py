"""The permission check, and the principals that holdfast has by itself."""

from __future__ import annotations

import msgspec

from holdfast.identity.records import (
    DEPLOYMENT_ADMIN,
    PUBLIC,
    SERVING_PLANE,
    SIGNED_IN,
    permissions_of,
)
from holdfast.kernel.errors import Forbidden
from holdfast.kernel.ids import new_id
from holdfast.kernel.principal import DEPLOYMENT, Caller, Principal

__all__ = [
    "ADMIN",
    "BUILT_IN_NAMES",
    "INFERENCE",
    "NOBODY",
    "OPEN",
    "SYSTEM",
    "held_permissions",
    "may",
    "of_deployment",
    "require",
    "system_caller",
]

OPEN = Principal("open", "open mode", "contributor", "open", extra=("predictions:replay",))
"""Everybody who reaches a loopback server in open mode."""
ADMIN = Principal(
    "admin", "administrator", "admin", "admin-token", token_id="admin.token", extra=(DEPLOYMENT_ADMIN,)
)
"""Who holds the secret in `admin.token`."""
SYSTEM = Principal("system", "holdfast", "admin", "system", extra=(DEPLOYMENT_ADMIN, SERVING_PLANE))
"""holdfast itself: its worker's findings and preparations, and commands on the data folder."""
INFERENCE = Principal(
    "inference", "inference server", "none", "token", token_id="inference.token", extra=(SERVING_PLANE,)
)
"""The inference server that the control plane starts."""
NOBODY = Principal("nobody", "nobody", "none", "none")
"""Who has no credential, on routes that need none."""
BUILT_IN_NAMES = frozenset(
    {
        "open",
        "administrator",
        "system",
        "holdfast",
        "inference",
        "nobody",
        "erased",
        "everyone",
        "here",
        "all",
    }
)
"""Names that no user may have."""


def may(principal: Principal, permission: str) -> bool:
    """Whether the principal's role, or an extra of its own, holds the permission, within its token's scope."""
    if permission == PUBLIC:
        return True
    if permission == SIGNED_IN:
        return principal != NOBODY
    if principal.only is not None and permission not in principal.only:
        return False
    return permission in permissions_of(principal.role) or permission in principal.extra


def held_permissions(principal: Principal) -> list[str]:
    """Every permission that the principal has, sorted."""
    held = permissions_of(principal.role) | set(principal.extra)
    return sorted(held if principal.only is None else held & set(principal.only))


def require(caller: Caller, permission: str) -> None:
    """Raises Forbidden, naming the principal and the permission, unless the caller has it."""
    principal = caller.principal
    if not may(principal, permission):
        scope = "" if principal.only is None else ", by a token of a narrower scope"
        raise Forbidden(
            f"The principal {principal.name!r} (role {principal.role}{scope}) lacks the permission {permission!r}.",
            hint="Ask an administrator for a role that has it: holdfast role grant.",
            details={"permission": permission},
        )


def system_caller(workspace: str, time_ms: int) -> Caller:
    """The caller of holdfast's own background work."""
    return Caller(SYSTEM, workspace, new_id("system-"), time_ms)


def of_deployment(caller: Caller) -> Caller:
    """The caller, acting on what belongs to the whole deployment: its audit entries stand under `*`."""
    return msgspec.structs.replace(caller, workspace=DEPLOYMENT)
