"""Who is asking, over HTTP."""

from __future__ import annotations

from holdfast.identity.records import PUBLIC, ROLE_PERMISSIONS, WhoAmI
from holdfast.identity.service import Identity
from holdfast.web import Call, Route

__all__ = ["routes"]


def routes(identity: Identity) -> list[Route]:
    """The routes of this room."""

    def whoami(call: Call) -> WhoAmI:
        return identity.describe(call.caller)

    def roles(_call: Call) -> dict[str, list[str]]:
        return {role: sorted(held) for role, held in ROLE_PERMISSIONS.items()}

    return [
        Route("GET", "/api/v1/whoami", whoami, PUBLIC, summary="The principal behind the request"),
        Route("GET", "/api/v1/roles", roles, "identity:admin", summary="Roles and their permissions"),
    ]
