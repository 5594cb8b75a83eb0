"""Roles by workspace: granted to principals, and to the groups of single sign-on."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.audit.service import append
from holdfast.identity.people import keep_an_administrator, person_of
from holdfast.identity.records import (
    DEPLOYMENT_ADMIN,
    DEPLOYMENT_ROLES,
    Grant,
    GroupRole,
    highest,
)
from holdfast.identity.service import may, require
from holdfast.identity.store import people as store
from holdfast.identity.watched import Watched
from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.principal import DEPLOYMENT, ROLES, Caller
from holdfast.storage import Tx, lock

__all__ = ["Roles", "sync_groups"]


class Roles:
    """Grants in the caller's workspace; those on the deployment (`*`) are for its administrators."""

    def __init__(self, storage: Watched) -> None:
        self._storage = storage

    def list_roles(self, caller: Caller) -> list[Grant]:
        """Who has which role in the caller's workspace, and on the deployment for its administrators."""
        require(caller, "identity:admin")
        places = [caller.workspace]
        if may(caller.principal, DEPLOYMENT_ADMIN) and caller.workspace != DEPLOYMENT:
            places.append(DEPLOYMENT)
        return self._storage.read(lambda tx: [one for place in places for one in store.grants_in(tx, place)])

    def grant(self, caller: Caller, name: str, role: str) -> Grant:
        """Give a principal a role in the caller's workspace, in place of the one that it has there. Audited."""
        _require(caller)
        _check_role(role, caller.workspace)

        def fn(tx: Tx) -> Grant:
            lock(tx, "administrators")
            person = person_of(tx, name)
            before = _manual(tx, person.id, caller.workspace)
            given = Grant(person.id, caller.workspace, role, "manual", caller.time_ms, person.name)
            store.put_grant(tx, given)
            if caller.workspace == DEPLOYMENT and before == "admin":
                keep_an_administrator(tx)
            append(
                tx,
                caller,
                action="role.grant",
                object=f"principal:{person.id}",
                before=None if before is None else {"role": before},
                after={"role": role},
            )
            return given

        return self._storage.write(fn)

    def revoke(self, caller: Caller, name: str) -> None:
        """Take a principal's role in the caller's workspace away. Audited. Raises NotFound without one."""
        _require(caller)

        def fn(tx: Tx) -> None:
            lock(tx, "administrators")
            person = person_of(tx, name)
            before = _manual(tx, person.id, caller.workspace)
            if not store.remove_grants(tx, person.id, workspace=caller.workspace, source="manual"):
                raise NotFound(
                    f"{name!r} has no role of its own in {caller.workspace!r}.",
                    hint="A role by a group goes with the group: holdfast role revoke --group.",
                )
            if caller.workspace == DEPLOYMENT and before == "admin":
                keep_an_administrator(tx)
            append(tx, caller, action="role.revoke", object=f"principal:{person.id}", before={"role": before})

        self._storage.write(fn)

    def list_groups(self, caller: Caller) -> list[GroupRole]:
        """The roles that single sign-on groups give: in the caller's workspace, or everywhere for administrators."""
        require(caller, "identity:admin")
        found = self._storage.read(store.group_roles)
        is_all = may(caller.principal, DEPLOYMENT_ADMIN)
        return [one for one in found if is_all or one.workspace == caller.workspace]

    def grant_group(self, caller: Caller, group: str, role: str) -> GroupRole:
        """Give members of a single sign-on group a role in the caller's workspace from their next login on. Audited."""
        _require(caller)
        _check_role(role, caller.workspace)
        if not group.strip() or len(group) > 200 or not group.isprintable():
            raise InvalidInput(f"{group[:80]!r} is not the name of a group.")
        given = GroupRole(group, caller.workspace, role)

        def fn(tx: Tx) -> GroupRole:
            lock(tx, "group", caller.workspace, group)
            store.put_group_role(tx, given)
            append(tx, caller, action="role.grant", object=f"group:{group}", after={"role": role})
            return given

        return self._storage.write(fn)

    def revoke_group(self, caller: Caller, group: str) -> None:
        """Take a group's role in the caller's workspace away; members lose it at their next login. Audited."""
        _require(caller)

        def fn(tx: Tx) -> None:
            if not store.remove_group_role(tx, caller.workspace, group):
                raise NotFound(f"The group {group[:80]!r} has no role in {caller.workspace!r}.")
            append(tx, caller, action="role.revoke", object=f"group:{group}")

        self._storage.write(fn)


def sync_groups(tx: Tx, principal_id: str, groups: Iterable[str], now_ms: int) -> dict[str, str]:
    """Make the roles that a user has by groups those of `groups`; gives them by workspace. For single sign-on."""
    member_of = set(groups)
    wanted: dict[str, str] = {}
    for one in store.group_roles(tx):
        if one.group in member_of:
            ranked = highest(one.role, wanted.get(one.workspace, ""))
            wanted[one.workspace] = ranked if ranked != "none" else one.role
    store.remove_grants(tx, principal_id, source="group")
    for workspace, role in sorted(wanted.items()):
        store.put_grant(tx, Grant(principal_id, workspace, role, "group", now_ms))
    return wanted


def _require(caller: Caller) -> None:
    require(caller, DEPLOYMENT_ADMIN if caller.workspace == DEPLOYMENT else "identity:admin")


def _check_role(role: str, workspace: str) -> None:
    known = sorted({*ROLES, *DEPLOYMENT_ROLES}) if workspace == DEPLOYMENT else ROLES
    if role not in known:
        raise InvalidInput(
            f"{role[:40]!r} is not a role of {workspace!r}.", hint=f"There are: {', '.join(known)}."
        )


def _manual(tx: Tx, principal_id: str, workspace: str) -> str | None:
    for grant in store.grants_of(tx, principal_id):
        if (grant.workspace, grant.source) == (workspace, "manual"):
            return grant.role
    return None
