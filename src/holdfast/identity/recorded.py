"""What the audit log holds of people, roles, tokens, workspaces and single sign-on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from holdfast.audit.recorded import Fact
from holdfast.audit.records import AuditEntry
from holdfast.identity.store import credentials, people, sign_on, workspaces
from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.principal import DEFAULT_WORKSPACE, DEPLOYMENT
from holdfast.storage import Tx

__all__ = ["RecordedIdentities"]


class RecordedIdentities:
    """Who may come in, what each may do where, and by which tokens."""

    def __init__(self) -> None:
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        """Roles and tokens by principal: to erase one ends them all."""

    def by_log(self, entry: AuditEntry) -> Iterator[Fact]:
        """See `Recorded`."""
        noun, _, verb = entry.action.partition(".")
        name, after = entry.object.partition(":")[2], entry.after or {}
        match noun:
            case "user" | "service":
                yield from self._of_person(noun, verb, name, after)
            case "role":
                yield from self._of_role(entry, verb, name, after)
            case "token" if verb == "create":
                self._held[after["principal"]].add(f"the token {name}")
                yield f"the token {name}", _token(**after)
            case "token":
                yield f"the token {name}", None
            case "workspace":
                yield f"the workspace {name}", "archived" if verb == "archive" else "open"
            case "sign-on":
                yield "the sign-on provider", _text(after) if verb == "set" else None

    def _of_person(self, noun: str, verb: str, name: str, after: dict[str, Any]) -> Iterator[Fact]:
        person = f"the principal {name}"
        if verb in ("add", "enable") or (verb == "sign-on" and after["new"]):
            yield person, f"an enabled {noun}"
        if verb in ("disable", "erase"):
            yield person, f"a disabled {noun}"
        if verb == "add" and after["admin"]:
            yield self._hold(name, f"the role of {name} in {DEPLOYMENT}"), "admin"
        if verb == "erase":
            yield from ((thing, None) for thing in self._held.pop(name, ()))

    def _of_role(self, entry: AuditEntry, verb: str, name: str, after: dict[str, Any]) -> Iterator[Fact]:
        thing = f"the role of {name} in {entry.workspace}"
        if entry.object.startswith("group:"):
            thing = f"the role of the group {name} in {entry.workspace}"
        yield self._hold(name, thing), after["role"] if verb == "grant" else None

    def _hold(self, principal: str, thing: str) -> str:
        self._held[principal].add(thing)
        return thing

    def by_rows(self, tx: Tx) -> Iterator[Fact]:
        """See `Recorded`."""
        for person, kind, disabled in people.all_people(tx):
            yield f"the principal {person}", f"{'a disabled' if disabled else 'an enabled'} {kind}"
        for grant in people.all_grants(tx):
            if grant.source == "manual":
                yield f"the role of {grant.principal_id} in {grant.workspace}", grant.role
        for one in people.group_roles(tx):
            yield f"the role of the group {one.group} in {one.workspace}", one.role
        for token in credentials.list_tokens(tx):
            yield (
                f"the token {token.id}",
                _token(token.principal_id, token.workspace, token.permissions, token.expires_at),
            )
        for workspace in workspaces.list_workspaces(tx):
            if workspace.name != DEFAULT_WORKSPACE:
                state = "open" if workspace.archived_at is None else "archived"
                yield f"the workspace {workspace.name}", state
        if (found := sign_on.load_provider(tx)) is not None:
            yield "the sign-on provider", _text(msgspec.structs.asdict(found[0]))


def _token(
    principal: str, workspace: str | None, permissions: list[str] | None, expires_at: int | None
) -> str:
    may = "everything" if permissions is None else " ".join(permissions)
    return f"of {principal} in {workspace or 'every workspace'} for {may} until {expires_at}"


def _text(values: dict[str, Any]) -> str:
    return canonical_json(values).decode()
