"""Authentication in open mode, and the permission check."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from pathlib import Path

from holdfast.identity.records import PUBLIC, ROLE_PERMISSIONS, WhoAmI
from holdfast.kernel.errors import Forbidden, Unauthenticated
from holdfast.kernel.ids import new_id
from holdfast.kernel.principal import Caller, Principal

__all__ = ["ADMIN", "OPEN", "SYSTEM", "Identity", "ensure_admin_token", "may", "require", "system_caller"]

OPEN = Principal("open", "open mode", "contributor", "open", extra=("predictions:replay",))
"""Everybody who reaches a loopback server in open mode."""
ADMIN = Principal("admin", "admin", "admin", "admin-token", token_id="admin.token")
SYSTEM = Principal("system", "holdfast", "admin", "system")
"""holdfast itself: its worker's findings and preparations."""


def may(principal: Principal, permission: str) -> bool:
    """Whether the principal's role, or an extra of its own, holds the permission."""
    return (
        permission == PUBLIC
        or permission in ROLE_PERMISSIONS.get(principal.role, frozenset())
        or permission in principal.extra
    )


def require(caller: Caller, permission: str) -> None:
    """Raises Forbidden, naming the principal and the permission, unless the caller has it."""
    if not may(caller.principal, permission):
        raise Forbidden(
            f"The principal {caller.principal.name!r} (role {caller.principal.role}) lacks the permission {permission!r}.",
            hint="Ask an administrator, or use the token in admin.token of the data folder.",
            details={"permission": permission},
        )


def system_caller(workspace: str, time_ms: int) -> Caller:
    """The caller of holdfast's own background work."""
    return Caller(SYSTEM, workspace, new_id("system-"), time_ms)


def ensure_admin_token(path: Path) -> str:
    """The secret in `admin.token`, made on first use: 256 random bits as hex, readable by its owner alone."""
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        pass
    token = os.urandom(32).hex()
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return token


class Identity:
    """Tells the principal of a request. In open mode: no credential is the open principal, the secret is admin."""

    def __init__(self, admin_token: str) -> None:
        self._admin_token = admin_token.encode()

    def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """The principal behind the `Authorization` header. Raises Unauthenticated on a wrong credential."""
        given = headers.get("authorization", "")
        if not given:
            return OPEN
        scheme, _, secret = given.partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(secret.strip().encode(), self._admin_token):
            return ADMIN
        raise Unauthenticated(
            "The credential in the Authorization header is not valid.",
            hint="Leave it out (open mode), or send 'Bearer' and the secret in admin.token of the data folder.",
        )

    def describe(self, caller: Caller) -> WhoAmI:
        """The caller's principal with its permissions, sorted."""
        principal = caller.principal
        permissions = sorted(ROLE_PERMISSIONS.get(principal.role, frozenset()) | set(principal.extra))
        return WhoAmI(
            principal.id, principal.name, principal.role, principal.auth, caller.workspace, permissions
        )
