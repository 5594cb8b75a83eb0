"""Authentication in open mode, and the permission check."""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path

from holdfast.identity.records import PUBLIC, ROLE_PERMISSIONS, WhoAmI
from holdfast.identity.sign_in import SignIn
from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import Conflict, Forbidden, Unauthenticated
from holdfast.kernel.ids import new_id
from holdfast.kernel.principal import Caller, Principal

__all__ = [
    "ADMIN",
    "OPEN",
    "SIGNED_IN",
    "SYSTEM",
    "Identity",
    "ensure_admin_token",
    "may",
    "require",
    "system_caller",
]

OPEN = Principal("open", "open mode", "contributor", "open", extra=("predictions:replay",))
"""Everybody who reaches a loopback server in open mode."""
ADMIN = Principal("admin", "admin", "admin", "admin-token", token_id="admin.token")
SIGNED_IN = Principal("admin", "admin", "admin", "session", token_id="session")
SYSTEM = Principal("system", "holdfast", "admin", "system")
"""holdfast itself: its worker's findings and preparations."""
_TOKEN = re.compile(r"[0-9a-f]{64}")


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
    """The secret in `admin.token`, made on first use: 256 random bits as hex, readable by its owner alone.

    Raises Conflict when the file holds something else: a short secret could be guessed, an empty one is none.
    """
    if not path.exists():
        _write_token(path)
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Conflict(f"The file {path} can't be read: {error}.", hint="Check its rights.") from error
    if not _TOKEN.fullmatch(token):
        raise Conflict(
            f"The file {path} does not hold an administrator's secret (64 hex digits).",
            hint="Delete it; the server makes a new one at its start.",
        )
    path.chmod(0o600)
    return token


def _write_token(path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{new_id()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(os.urandom(32).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class Identity:
    """Tells the principal of a request. In open mode: no credential is the open principal; the secret, or a session
    that a one-time address opened, is admin."""

    def __init__(self, admin_token: str, clock: Clock) -> None:
        self._admin_token = admin_token.encode()
        self.sign_in = SignIn(clock)

    def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """The principal behind the `Authorization` header or the session cookie.

        Raises Unauthenticated on a wrong credential; a session that has ended is no credential.
        """
        given = headers.get("authorization", "")
        if not given:
            return SIGNED_IN if self.sign_in.is_session(headers.get("cookie", "")) else OPEN
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
