"""Who a credential stands for, and what that gives in a workspace: pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from holdfast.identity.records import (
    DEPLOYMENT_ROLES,
    WORKSPACE_FREE,
    Grant,
    Workspace,
    highest,
)
from holdfast.identity.service import OPEN
from holdfast.kernel.errors import Conflict, Forbidden, NotFound
from holdfast.kernel.principal import DEFAULT_WORKSPACE, DEPLOYMENT, Principal

__all__ = ["Access", "choose_workspace", "no_workspace", "open_access", "roles_by_workspace"]


class Access(msgspec.Struct, frozen=True):
    """Who a credential stands for, before a workspace is chosen."""

    id: str
    name: str
    auth: str
    roles: Mapping[str, str]
    """Role by workspace; under `*` the one on the deployment."""
    token_id: str = ""
    extra: tuple[str, ...] = ()
    scope_workspace: str | None = None
    only: tuple[str, ...] | None = None
    ends_at: int | None = None
    """When the credential ends (ms, UTC)."""

    def role_in(self, workspace: str) -> str:
        """The role in a workspace: its own or the deployment's, whichever may do more."""
        return highest(self.roles.get(workspace, ""), self.roles.get(DEPLOYMENT, ""))

    def reaches(self, workspace: Workspace | None) -> bool:
        """Whether the workspace is there for this principal; to others it looks like one that does not exist."""
        if workspace is None or self.scope_workspace not in (None, workspace.name):
            return False
        return self.role_in(workspace.name) != "none"

    def in_workspace(self, workspace: str) -> Principal:
        """The principal as the services of a workspace see it."""
        extra = self.extra
        if self.scope_workspace is None:
            extra += tuple(sorted(DEPLOYMENT_ROLES.get(self.roles.get(DEPLOYMENT, ""), ())))
        return Principal(
            self.id, self.name, self.role_in(workspace), self.auth, self.token_id, extra, self.only
        )


def open_access() -> Access:
    """Everybody, in open mode."""
    return Access(OPEN.id, OPEN.name, OPEN.auth, {DEPLOYMENT: OPEN.role}, extra=OPEN.extra)


def roles_by_workspace(grants: Sequence[Grant]) -> dict[str, str]:
    """The role in each workspace, of whatever source it is."""
    roles: dict[str, str] = {}
    for grant in grants:
        ranked = highest(grant.role, roles.get(grant.workspace, ""))
        roles[grant.workspace] = ranked if ranked != "none" else grant.role
    return roles


def choose_workspace(
    access: Access, asked: str, preferred: str, known: Mapping[str, Workspace], permission: str
) -> str:
    """The workspace of a request: the one asked for, else the preferred, the scope's, `default`, or the first.

    Raises NotFound for one that does not exist or is not this principal's (one answer for both), Conflict for a
    change in an archived one, Forbidden without a role anywhere.
    """
    is_free = permission in WORKSPACE_FREE
    if asked == DEPLOYMENT and access.role_in(DEPLOYMENT) != "none" and access.scope_workspace is None:
        if is_free or permission in ("audit:read", "identity:admin"):
            return DEPLOYMENT
        raise NotFound("Only users, workspaces and the audit log belong to the deployment as a whole.")
    if asked:
        if not access.reaches(known.get(asked)):
            raise no_workspace(asked)
        chosen = asked
    else:
        chosen = _unasked(access, preferred, known)
        if not chosen and is_free:
            return DEPLOYMENT
        if not chosen:
            raise Forbidden(
                f"The principal {access.name!r} has no role in any workspace.",
                hint="Ask an administrator: holdfast role grant.",
            )
    _refuse_archived(known[chosen], permission)
    return chosen


def _unasked(access: Access, preferred: str, known: Mapping[str, Workspace]) -> str:
    for name in (preferred, access.scope_workspace or "", DEFAULT_WORKSPACE):
        if name and access.reaches(known.get(name)):
            return name
    return next((name for name, one in known.items() if access.reaches(one) and not one.archived_at), "")


def _refuse_archived(workspace: Workspace, permission: str) -> None:
    is_reading = permission.endswith(":read") or permission in WORKSPACE_FREE
    if workspace.archived_at is not None and not is_reading:
        raise Conflict(
            f"The workspace {workspace.name!r} is archived: it can be read only.",
            hint=f"Take it back with: holdfast workspace restore {workspace.name}",
        )


def no_workspace(name: str) -> NotFound:
    """The one answer for a workspace that does not exist and for one that the principal may not see."""
    return NotFound(
        f"There is no workspace {name[:80]!r}, or none that you may see.",
        hint="List yours with: holdfast workspace list",
    )
