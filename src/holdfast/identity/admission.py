"""The door's keeper: from a request's credential to its principal and workspace."""

from __future__ import annotations

import base64
import hmac
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from holdfast.identity.access import Access, choose_workspace, open_access, roles_by_workspace
from holdfast.identity.limits import RequestLimits
from holdfast.identity.records import (
    ACCOUNT,
    PUBLIC,
    WhoAmI,
    Workspace,
)
from holdfast.identity.secrets import TOKEN_PREFIX, digest_of
from holdfast.identity.service import (
    ADMIN,
    INFERENCE,
    NOBODY,
    OPEN,
    held_permissions,
    may,
)
from holdfast.identity.sessions import IDLE_MS, read_session_cookie
from holdfast.identity.store import credentials, people, workspaces
from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import Forbidden, Unauthenticated
from holdfast.kernel.principal import DEPLOYMENT, Caller, Principal
from holdfast.storage import Storage, Tx
from holdfast.web import Visit
from holdfast.web.cookies import WORKSPACE_COOKIE, read_cookie
from holdfast.web.forms import token_of

__all__ = ["Identity", "Remembered"]

_TTL_S = 1.0
_MOST_KNOWN = 10_000
_COARSE_MS = 60_000
_AHEAD_MS = 300_000
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_ALL = "all"

T = TypeVar("T")


class Remembered(Generic[T]):
    """What the database said, for a second: another process's change is seen within it, this one's at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, tuple[float, T]] = {}
        self._round = 0

    def get(self, key: str) -> T | None:
        """The value, unless it is unknown or too old."""
        known = self._values.get(key)
        return None if known is None or known[0] < time.monotonic() else known[1]

    def load(self, key: str, read: Callable[[], T]) -> T:
        """The value by `read`, kept unless something was forgotten meanwhile."""
        before = self._round
        value = read()
        with self._lock:
            if self._round == before:
                if len(self._values) >= _MOST_KNOWN:
                    self._values.clear()
                self._values[key] = (time.monotonic() + _TTL_S, value)
        return value

    def forget(self) -> None:
        """Ask the database again from now on."""
        with self._lock:
            self._round += 1
            self._values.clear()


class Identity:
    """Tells the principal and the workspace of a request. Thread-safe.

    `secrets`: built-in credentials by what they stand for. `is_open_allowed`: whether the server is reached from
    this machine alone; then, until there is a user, no credential is the open principal. `check_login`: (name,
    password, address) -> the user; raises Unauthenticated or TooManyRequests.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        *,
        admin_secret: str,
        inference_secret: str,
        is_open_allowed: bool = True,
        limits: RequestLimits | None = None,
        check_login: Callable[[str, str, str], Principal] | None = None,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._admin = digest_of(admin_secret)
        self._inference = digest_of(inference_secret)
        self._is_open_allowed = is_open_allowed
        self._limits = limits or RequestLimits(0)
        self._check_login = check_login
        self._known: Remembered[Access | str] = Remembered()
        self._workspaces: Remembered[dict[str, Workspace]] = Remembered()
        self._has_users: Remembered[bool] = Remembered()

    def forget(self) -> None:
        """Something of identity has changed: ask the database again."""
        for remembered in (self._known, self._workspaces, self._has_users):
            remembered.forget()

    # The door

    def admit(self, visit: Visit, permission: str, *, wait: bool) -> tuple[Principal, str] | None:
        """See `web.dispatch.Admission`."""
        if permission == PUBLIC and not _has_credential(visit):
            return NOBODY, DEPLOYMENT  # whether the process answers must not depend on the database
        access = self.access_of(visit, wait=wait)
        if access is None:
            return None
        if isinstance(access, str):
            self._limits.count(f"address:{visit.address}")
            if permission == PUBLIC:
                return NOBODY, DEPLOYMENT
            raise Unauthenticated(access, hint=_sign_in_hint(visit))
        known = self.known_workspaces(wait=wait)
        if known is None:
            return None
        if access.id != OPEN.id:
            self._limits.count(access.id)
        _refuse_forged(access, visit)
        workspace = self._workspace(access, visit, permission, known)
        principal = access.in_workspace(workspace)
        if not may(principal, permission):
            raise Forbidden(
                f"The principal {principal.name!r} (role {principal.role}) lacks the permission {permission!r}.",
                hint=_lacking_hint(access),
                details={"permission": permission},
            )
        return principal, workspace

    def _workspace(
        self, access: Access, visit: Visit, permission: str, known: Mapping[str, Workspace]
    ) -> str:
        headers = visit.headers
        asked = headers.get("x-holdfast-workspace") or headers.get("x-mlflow-workspace") or ""
        preferred = ""
        if "authorization" not in headers:
            preferred = read_cookie(headers, WORKSPACE_COOKIE)
            if not asked and not visit.path.startswith("/api/"):
                asked = visit.query.get("workspace", "")
        if permission == PUBLIC and not access.reaches(known.get(asked)):
            asked = ""
        return choose_workspace(access, asked, preferred, known, permission)

    # Credentials

    def access_of(self, visit: Visit, *, wait: bool) -> Access | str | None:
        """Who the request's credential stands for; a text that says why it stands for nobody; None as in `admit`.

        Raises Unauthenticated for a wrong credential in the Authorization header. A session that has ended is no
        credential.
        """
        given = visit.headers.get("authorization", "")
        if given:
            return self._by_header(given, visit, wait=wait)
        secret = read_session_cookie(visit.headers, is_secure=visit.is_secure)
        if secret:
            found = self._recalled(f"session:{digest_of(secret)}", wait=wait)
            if found is None or isinstance(found, Access):
                return found
        return self._without(wait=wait)

    def _by_header(self, given: str, visit: Visit, *, wait: bool) -> Access | None:
        scheme, _, secret = given.partition(" ")
        found: Access | str | None = (
            "The Authorization header holds neither a Bearer token nor a name and password."
        )
        if scheme.lower() == "bearer" and secret.strip():
            found = self.access_by_digest(digest_of(secret.strip()), wait=wait)
        elif scheme.lower() == "basic" and (pair := _name_and_password(secret.strip())) is not None:
            found = self._by_password(*pair, visit, wait=wait)
        if isinstance(found, str):
            raise Unauthenticated(
                found, hint="Give another with --token or HOLDFAST_TOKEN, or make one: holdfast token create."
            )
        return found

    def _by_password(self, name: str, password: str, visit: Visit, *, wait: bool) -> Access | str | None:
        """Clients that know only names and passwords may also give a token as the password."""
        if password.startswith(TOKEN_PREFIX):
            return self.access_by_digest(digest_of(password), wait=wait)
        pair = digest_of("\0".join((name, password)))
        return self._recalled(
            f"password:{pair}", wait=wait, load=lambda: self._load_user(name, password, visit.address)
        )

    def _load_user(self, name: str, password: str, address: str) -> Access | str:
        if self._check_login is None:
            return "This server takes no passwords."
        try:
            user = self._check_login(name, password, address)
        except Unauthenticated as error:
            return error.message
        return self._storage.read(lambda tx: _access_of_person(tx, user.id, "password", "", {}))

    def access_by_digest(self, digest: str, *, wait: bool) -> Access | str | None:
        """Who the token with this SHA-256 stands for; a text that says why it stands for nobody; None as in `admit`."""
        if self._is_open_allowed and hmac.compare_digest(digest, self._admin):
            return Access(ADMIN.id, ADMIN.name, ADMIN.auth, {DEPLOYMENT: "admin"}, ADMIN.token_id)
        if hmac.compare_digest(digest, self._inference):
            return Access(
                INFERENCE.id, INFERENCE.name, INFERENCE.auth, {DEPLOYMENT: "inference"}, INFERENCE.token_id
            )
        return self._recalled(f"token:{digest}", wait=wait)

    def _recalled(
        self, key: str, *, wait: bool, load: Callable[[], Access | str] | None = None
    ) -> Access | str | None:
        found = self._known.get(key)
        if found is None:
            if not wait:
                return None
            kind, _, digest = key.partition(":")
            by_digest = self._load_token if kind == "token" else self._load_session
            found = self._known.load(key, load or (lambda: by_digest(digest)))
        if isinstance(found, Access) and found.ends_at is not None and found.ends_at <= self._clock.now_ms():
            return "The credential has expired."
        return found

    def _without(self, *, wait: bool) -> Access | str | None:
        """Nobody, or in open mode everybody."""
        if not self._is_open_allowed:
            return "There is no credential."
        has_users = self._has_users.get(_ALL)
        if has_users is None:
            if not wait:
                return None
            has_users = self._has_users.load(_ALL, lambda: self._storage.read(people.has_users))
        return "There is no credential." if has_users else open_access()

    def _load_token(self, digest: str) -> Access | str:
        now_ms = self._clock.now_ms()

        def fn(tx: Tx) -> tuple[Access | str, bool]:
            token = credentials.find_token(tx, digest)
            if token is None:
                return "The token is not known here.", False
            if token.revoked_at is not None:
                return "The token was revoked.", False
            if token.expires_at is not None and token.expires_at <= now_ms:
                return "The token has expired.", False
            only = None if token.permissions is None else tuple(token.permissions)
            scope = {"scope_workspace": token.workspace, "only": only, "ends_at": token.expires_at}
            found = _access_of_person(tx, token.principal_id, "token", token.id, scope)
            return found, _is_stale(token.last_used_at, now_ms)

        found, is_stale = self._storage.read(fn)
        if isinstance(found, Access) and is_stale:
            token_id = found.token_id
            self._storage.write(lambda tx: credentials.touch_token(tx, token_id, now_ms))
        return found

    def _load_session(self, digest: str) -> Access | str:
        now_ms = self._clock.now_ms()

        def fn(tx: Tx) -> tuple[Access | str, bool]:
            session = credentials.find_session(tx, digest)
            if session is None or min(session.expires_at, session.seen_at + IDLE_MS) <= now_ms:
                return "The session has ended.", False
            if session.created_at > now_ms + _AHEAD_MS:
                return "The session was opened in the future: the clock of this server was moved.", False
            is_stale = _is_stale(session.seen_at, now_ms)
            ends_at = min(session.expires_at, (now_ms if is_stale else session.seen_at) + IDLE_MS)
            if session.principal_id == ADMIN.id:
                roles = {DEPLOYMENT: "admin"}
                return Access(ADMIN.id, ADMIN.name, "session", roles, session.id, ends_at=ends_at), is_stale
            more = {"ends_at": ends_at}
            return _access_of_person(tx, session.principal_id, "session", session.id, more), is_stale

        found, is_stale = self._storage.read(fn)
        if isinstance(found, Access) and is_stale:
            session_id = found.token_id
            self._storage.write(lambda tx: credentials.touch_session(tx, session_id, now_ms))
        return found

    # Workspaces

    def known_workspaces(self, *, wait: bool) -> dict[str, Workspace] | None:
        """Every workspace by name; None as in `admit`."""
        known = self._workspaces.get(_ALL)
        if known is None and wait:
            known = self._workspaces.load(
                _ALL, lambda: {one.name: one for one in self._storage.read(workspaces.list_workspaces)}
            )
        return known

    def permissions_by_workspace(self, digest: str, asked: Sequence[str]) -> tuple[dict[str, list[str]], str]:
        """Which of the permissions `asked` a token (`none`: no credential) has where, and why it has none at all."""
        access = self._without(wait=True) if digest == "none" else self.access_by_digest(digest, wait=True)
        known = self.known_workspaces(wait=True)
        if not isinstance(access, Access) or known is None:
            return {}, str(access)
        reached = [one.name for one in known.values() if access.reaches(one) and one.archived_at is None]
        held = {name: access.in_workspace(name) for name in reached}
        return {name: [one for one in asked if may(who, one)] for name, who in held.items()}, ""

    def reachable(self, visit: Visit, *, with_archived: bool = False) -> list[Workspace]:
        """The workspaces that the request's principal may ask for."""
        access, known = self.access_of(visit, wait=True), self.known_workspaces(wait=True)
        if not isinstance(access, Access) or known is None:
            return []
        found = [one for one in known.values() if access.reaches(one)]
        return [one for one in found if with_archived or one.archived_at is None]

    def describe(self, caller: Caller, visit: Visit) -> WhoAmI:
        """The caller's principal with its permissions, sorted."""
        who = caller.principal
        return WhoAmI(
            who.id,
            who.name,
            who.role,
            who.auth,
            caller.workspace,
            held_permissions(who),
            [one.name for one in self.reachable(visit)],
        )


def _access_of_person(
    tx: Tx, principal_id: str, auth: str, token_id: str, more: Mapping[str, object]
) -> Access | str:
    person = people.find_person(tx, principal_id=principal_id)
    if person is None or person.erased_at is not None:
        return "The principal of this credential is not there any more."
    if person.is_disabled:
        return "The principal of this credential is disabled."
    roles = roles_by_workspace(people.grants_of(tx, person.id))
    access = Access(person.id, person.name, auth, roles, token_id, extra=(ACCOUNT,))
    return msgspec.structs.replace(access, **more)


def _name_and_password(encoded: str) -> tuple[str, str] | None:
    """What a Basic credential holds (RFC 7617); None when it is not one."""
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, password) if colon else None


def _has_credential(visit: Visit) -> bool:
    return "authorization" in visit.headers or "cookie" in visit.headers


def _is_stale(seen_at: int | None, now_ms: int) -> bool:
    return seen_at is None or now_ms - seen_at >= _COARSE_MS


def _refuse_forged(access: Access, visit: Visit) -> None:
    """A session's change must come from our own page: with our Origin (checked before), or the session's token."""
    if access.auth != "session" or visit.method in _SAFE_METHODS or "origin" in visit.headers:
        return
    secret = read_session_cookie(visit.headers, is_secure=visit.is_secure)
    given = visit.headers.get("x-csrf-token", "")
    if not hmac.compare_digest(given.encode(), token_of(secret).encode()):
        raise Forbidden(
            "The request has a session's cookie, but neither an Origin nor the session's CSRF token.",
            hint="Send it from this server's pages, or use an API token.",
        )


def _sign_in_hint(visit: Visit) -> str:
    if visit.path.startswith("/api/"):
        return "Give a token with --token or HOLDFAST_TOKEN, or sign in with: holdfast login"
    return "Sign in at /login."


def _lacking_hint(access: Access) -> str:
    if access.id == "open":
        return "Use the secret in admin.token of the data folder as the token."
    return "Ask an administrator for a role that has it: holdfast role grant."
