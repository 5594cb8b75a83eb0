"""API tokens: made within what their maker may do, told once, revoked at once."""

from __future__ import annotations

import msgspec

from holdfast.audit.service import append
from holdfast.identity.people import person_of
from holdfast.identity.records import (
    ACCOUNT,
    DEPLOYMENT_ADMIN,
    PERMISSIONS,
    MadeToken,
    PersonRecord,
    TokenRecord,
)
from holdfast.identity.secrets import TOKEN_PREFIX, digest_of, new_token
from holdfast.identity.service import may, of_deployment, require
from holdfast.identity.sessions import Sessions
from holdfast.identity.store import credentials as store
from holdfast.identity.store import people as people_store
from holdfast.identity.store import workspaces as workspace_store
from holdfast.identity.watched import Watched
from holdfast.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.principal import Caller
from holdfast.storage import Tx

__all__ = ["NewToken", "Tokens"]

_DAY_MS = 86_400_000
_LONGEST_DAYS = 3650
_LOGIN_DAYS = 30
_HINT = len(TOKEN_PREFIX) + 4


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token to make. `of`: whose it is, another's for administrators alone; empty is the caller's own.

    `workspace` and `permissions` narrow it; what they leave out the token can't do, whatever roles come later.
    """

    name: str
    of: str = ""
    workspace: str | None = None
    permissions: list[str] | None = None
    days: int | None = None
    """How long it lasts; None is until it is revoked."""


class Tokens:
    """The tokens of the deployment. `changed` is called after every change."""

    def __init__(self, storage: Watched, sessions: Sessions) -> None:
        self._storage = storage
        self._sessions = sessions

    def create(self, caller: Caller, new: NewToken) -> MadeToken:
        """Make a token; its secret is in the answer and nowhere else. Audited.

        A scoped token makes narrower ones alone. Raises Forbidden for a scope beyond the caller's token.
        """
        is_own = new.of in ("", caller.principal.name)
        require(caller, ACCOUNT if is_own else DEPLOYMENT_ADMIN)
        check_scope(new)
        narrowed = self._narrowed(caller, new, is_own=is_own)
        return self._make(caller, narrowed, "" if is_own else new.of)

    def log_in(self, name: str, password: str, label: str, address: str, request_id: str) -> MadeToken:
        """A token of 30 days for a user who knows its password, for `holdfast login`. Audited."""
        caller = self._sessions.check_login(name, password, address, request_id)
        return self._make(caller, NewToken(label, days=_LOGIN_DAYS), "")

    def _make(self, caller: Caller, new: NewToken, of: str) -> MadeToken:
        secret, token_id = new_token(), new_id("t-")
        digest = digest_of(secret)
        caller = of_deployment(caller)

        def fn(tx: Tx) -> TokenRecord:
            owner = person_of(tx, of) if of else _person_by_id(tx, caller.principal.id)
            if owner.is_disabled:
                raise Conflict(
                    f"{owner.name!r} is disabled.", hint=f"First: holdfast user enable {owner.name}"
                )
            if new.workspace is not None and workspace_store.find_workspace(tx, new.workspace) is None:
                raise NotFound(f"There is no workspace {new.workspace[:80]!r}.")
            token = _token(token_id, owner, new, secret[:_HINT], caller.time_ms)
            store.insert_token(tx, token, digest)
            after = {
                "principal": owner.id,
                "workspace": token.workspace,
                "permissions": token.permissions,
                "expires_at": token.expires_at,
            }
            append(tx, caller, action="token.create", object=f"token:{token_id}", after=after)
            return token

        return MadeToken(self._storage.write(fn), secret)

    def _narrowed(self, caller: Caller, new: NewToken, *, is_own: bool) -> NewToken:
        """The request within the scope, and for one's own the life, of the token that makes it.

        Raises Forbidden for more.
        """
        who = caller.principal
        if who.auth != "token":
            return new
        own = self._storage.read(lambda tx: store.find_token_by_id(tx, who.token_id))
        assert own is not None
        if own.workspace is not None and new.workspace not in (None, own.workspace):
            raise Forbidden(
                f"This token is of the workspace {own.workspace!r} and makes no token of another."
            )
        permissions = own.permissions if new.permissions is None else new.permissions
        beyond = [] if own.permissions is None else sorted(set(permissions or ()) - set(own.permissions))
        if beyond:
            raise Forbidden(f"This token lacks the permission {beyond[0]!r} and makes no token with it.")
        days = new.days
        if own.expires_at is not None and is_own:
            left = max(1, (own.expires_at - caller.time_ms) // _DAY_MS)
            if days is not None and days > left:
                raise Forbidden(f"This token ends in {left} days and makes none that lasts longer.")
            days = days or left
        return msgspec.structs.replace(
            new, workspace=new.workspace or own.workspace, permissions=permissions, days=days
        )

    def list_tokens(self, caller: Caller, of: str | None = None) -> list[TokenRecord]:
        """The caller's own tokens; another's, or with `*` everybody's, for administrators of the deployment."""
        if of in (None, "", caller.principal.name):
            require(caller, ACCOUNT)
            return self._storage.read(lambda tx: store.list_tokens(tx, caller.principal.id))
        require(caller, DEPLOYMENT_ADMIN)
        if of == "*":
            return self._storage.read(store.list_tokens)
        return self._storage.read(lambda tx: store.list_tokens(tx, person_of(tx, str(of)).id))

    def revoke(self, caller: Caller, token_id: str) -> None:
        """End a token: the caller's own, or anybody's for administrators of the deployment. Audited."""
        caller = of_deployment(caller)

        def fn(tx: Tx) -> None:
            token = store.find_token_by_id(tx, token_id)
            is_own = token is not None and token.principal_id == caller.principal.id
            may_own = is_own and may(caller.principal, ACCOUNT)
            if token is None or not (may_own or may(caller.principal, DEPLOYMENT_ADMIN)):
                raise NotFound(f"There is no token {token_id[:80]!r}.", hint="List them: holdfast token list")
            if store.revoke_tokens(tx, caller.time_ms, token_id=token_id):
                append(tx, caller, action="token.revoke", object=f"token:{token_id}")

        self._storage.write(fn)


def check_scope(new: NewToken) -> None:
    """Raises InvalidInput for a name, lifetime or permission that no token can have."""
    if not new.name.strip() or len(new.name) > 200 or not new.name.isprintable():
        raise InvalidInput(f"{new.name[:80]!r} is not a name for a token.", hint="Say what it is for.")
    if new.days is not None and not 1 <= new.days <= _LONGEST_DAYS:
        raise InvalidInput(f"{new.days} is not a lifetime in days.", hint=f"Use 1 to {_LONGEST_DAYS}.")
    unknown = sorted(set(new.permissions or ()) - PERMISSIONS)
    if unknown or new.permissions == []:
        raise InvalidInput(
            f"{unknown[0]!r} is not a permission."
            if unknown
            else "A token without any permission does nothing.",
            hint=f"There are: {', '.join(sorted(PERMISSIONS))}.",
        )


def _token(token_id: str, owner: PersonRecord, new: NewToken, hint: str, now_ms: int) -> TokenRecord:
    return TokenRecord(
        id=token_id,
        principal_id=owner.id,
        name=new.name,
        hint=hint,
        workspace=new.workspace,
        permissions=None if new.permissions is None else sorted(set(new.permissions)),
        created_at=now_ms,
        expires_at=None if new.days is None else now_ms + new.days * _DAY_MS,
        last_used_at=None,
        revoked_at=None,
    )


def _person_by_id(tx: Tx, principal_id: str) -> PersonRecord:
    person = people_store.find_person(tx, principal_id=principal_id)
    if person is None:
        raise Conflict(
            "Tokens belong to users and service accounts, and this principal is neither.",
            hint="Name whose token it is: --of NAME. Make a user with: holdfast user add NAME.",
        )
    return person
