"""Workspaces: what is in one is not seen from another."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from holdfast.audit.service import append
from holdfast.identity.records import DEPLOYMENT_ADMIN, Workspace
from holdfast.identity.service import of_deployment, require
from holdfast.identity.store import workspaces as store
from holdfast.identity.watched import Watched
from holdfast.kernel.errors import Conflict, InvalidInput, NotFound
from holdfast.kernel.principal import DEFAULT_WORKSPACE, Caller
from holdfast.storage import Tx, lock

__all__ = ["Workspaces", "open_workspaces"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def open_workspaces(tx: Tx) -> list[str]:
    """The names of the workspaces that are not archived, inside a transaction: for background work."""
    return [one.name for one in store.list_workspaces(tx) if one.archived_at is None]


class Workspaces:
    """The workspaces of the deployment.

    `archived` runs inside the transaction that archives or restores one, for what must follow from it.
    """

    def __init__(self, storage: Watched, archived: Callable[[Tx], object]) -> None:
        self._storage = storage
        self._archived = archived

    def list_workspaces(self, *, with_archived: bool = False) -> list[Workspace]:
        """The workspaces, the oldest first. Asks for no permission: for background work and higher rooms."""
        found = self._storage.read(store.list_workspaces)
        return [one for one in found if with_archived or one.archived_at is None]

    def create(self, caller: Caller, name: str, description: str = "") -> Workspace:
        """Add a workspace. Audited. Raises Conflict when the name is taken."""
        require(caller, DEPLOYMENT_ADMIN)
        if _NAME.fullmatch(name) is None:
            raise InvalidInput(
                f"{name[:80]!r} is not a name for a workspace.",
                hint="Use up to 63 lower-case letters, digits, '-' and '_', beginning with a letter or digit.",
            )
        if len(description) > 500:
            raise InvalidInput(f"The description has {len(description)} characters.", hint="Use up to 500.")
        caller = of_deployment(caller)
        made = Workspace(name, description, caller.time_ms)

        def fn(tx: Tx) -> Workspace:
            lock(tx, "workspace", name)
            if store.find_workspace(tx, name) is not None:
                raise Conflict(f"The workspace {name!r} is there already.", hint="Choose another name.")
            store.insert_workspace(tx, made)
            append(tx, caller, action="workspace.create", object=f"workspace:{name}")
            return made

        return self._storage.write(fn)

    def archive(self, caller: Caller, name: str) -> Workspace:
        """Make a workspace one that can be read only; its endpoints are served no more. Audited."""
        if name == DEFAULT_WORKSPACE:
            raise Conflict(f"The workspace {name!r} can't be archived: every deployment has it.")
        return self._set_archived(caller, name, caller.time_ms)

    def restore(self, caller: Caller, name: str) -> Workspace:
        """Take an archived workspace back; its endpoints are served again. Audited."""
        return self._set_archived(caller, name, None)

    def _set_archived(self, caller: Caller, name: str, archived_at: int | None) -> Workspace:
        require(caller, DEPLOYMENT_ADMIN)
        caller = of_deployment(caller)

        def fn(tx: Tx) -> Workspace:
            lock(tx, "workspace", name)
            found = store.find_workspace(tx, name)
            if found is None:
                raise NotFound(
                    f"There is no workspace {name[:80]!r}.", hint="List them: holdfast workspace list"
                )
            if (found.archived_at is None) == (archived_at is None):
                return found
            store.archive_workspace(tx, name, archived_at)
            self._archived(tx)
            verb = "restore" if archived_at is None else "archive"
            append(tx, caller, action=f"workspace.{verb}", object=f"workspace:{name}")
            return msgspec.structs.replace(found, archived_at=archived_at)

        return self._storage.write(fn)
