"""Signed-in browsers: sessions in the database, opened by a password, single sign-on or a one-time address."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from holdfast.audit.service import append
from holdfast.identity.limits import LoginLimits
from holdfast.identity.passwords import Passwords
from holdfast.identity.records import ACCOUNT, DEPLOYMENT_ADMIN, PersonRecord, SessionRecord
from holdfast.identity.secrets import digest_of, new_secret
from holdfast.identity.service import ADMIN, may, of_deployment, require
from holdfast.identity.store import credentials as store
from holdfast.identity.store import people as people_store
from holdfast.identity.watched import Watched
from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import NotFound, Unauthenticated
from holdfast.kernel.ids import new_id
from holdfast.kernel.principal import DEPLOYMENT, Caller, Principal
from holdfast.storage import Tx
from holdfast.web.cookies import SESSION_COOKIE, drop_secret_cookie, read_secret_cookie, write_secret_cookie

__all__ = ["IDLE_MS", "Client", "Sessions", "read_session_cookie"]

IDLE_MS = 12 * 3_600_000
"""A session that is not used for so long ends."""
_SESSION_MS = 7 * 86_400_000
_CODE_MS = 15 * 60_000
_CODE_SESSION_MS = 12 * 3_600_000


class Client(msgspec.Struct, frozen=True):
    """The browser that signs in: where it is, what it says that it is, and the cookie that it came with."""

    address: str
    agent: str
    cookie: str
    is_secure: bool
    request_id: str


def read_session_cookie(headers: Mapping[str, str], *, is_secure: bool) -> str:
    """The session's secret in a request's cookie; empty without one."""
    return read_secret_cookie(headers, SESSION_COOKIE, is_secure=is_secure)


class Sessions:
    """Opening, listing and ending sessions. Every login gets a new secret and ends the session that it came with."""

    def __init__(
        self,
        storage: Watched,
        clock: Clock,
        passwords: Passwords,
        limits: LoginLimits,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._passwords = passwords
        self._limits = limits

    # Signing in

    def check_login(self, name: str, password: str, address: str, request_id: str) -> Caller:
        """The user, as a caller, whose name and password these are.

        Raises Unauthenticated with one answer for a wrong password, an unknown and a disabled user, and
        TooManyRequests after too many failures.
        """
        now_ms = self._clock.now_ms()
        self._limits.count(name[:200], address, now_ms)

        def fn(tx: Tx) -> tuple[PersonRecord | None, str | None]:
            found = people_store.find_person(tx, name=name)
            return found, None if found is None else people_store.password_of(tx, found.id)

        person, stored = self._storage.read(fn)
        is_right = self._passwords.is_right(stored, password)
        if not is_right or person is None or person.is_disabled:
            raise Unauthenticated(
                "The name or the password is not right.", hint="An administrator can set another."
            )
        self._limits.forgive(name[:200], address)
        if stored is not None and self._passwords.is_outdated(stored):
            renewed = {"password": self._passwords.make_hash(password)}
            self._storage.write(lambda tx: people_store.update_person(tx, person.id, renewed))
        who = Principal(person.id, person.name, "none", "password", extra=(ACCOUNT,))
        return Caller(who, DEPLOYMENT, request_id, now_ms)

    def log_in(self, name: str, password: str, client: Client) -> str:
        """The Set-Cookie value of a new session of a user who knows its password. Audited. Raises as `check_login`."""
        caller = self.check_login(name, password, client.address, client.request_id)
        return self.open(caller, "password", client)

    def make_code(self) -> str:
        """A secret that signs the administrator in once, within 15 minutes."""
        code, now_ms = new_secret(), self._clock.now_ms()
        digest = digest_of(code)
        self._storage.write(
            lambda tx: store.insert_once(tx, "sign-in", digest, "", now_ms, now_ms + _CODE_MS)
        )
        return code

    def redeem(self, code: str, client: Client) -> str:
        """The Set-Cookie value of a new session of the administrator, for a code that nobody used yet.

        Audited. Raises Unauthenticated.
        """
        now_ms = self._clock.now_ms()
        digest = digest_of(code)
        if self._storage.write(lambda tx: store.take_once(tx, "sign-in", digest, now_ms)) is None:
            raise Unauthenticated(
                "This sign-in address was used already or is older than 15 minutes.",
                hint="Start the server in a terminal for a new one, or send the secret in admin.token as a Bearer token.",
            )
        return self.open(Caller(ADMIN, DEPLOYMENT, client.request_id, now_ms), "code", client)

    def open(self, caller: Caller, auth: str, client: Client) -> str:
        """The Set-Cookie value of a new session of the caller; the one that the browser came with ends. Audited."""
        secret, session_id = new_secret(), new_id("n-")
        digest = digest_of(secret)
        lifetime_ms = _CODE_SESSION_MS if auth == "code" else _SESSION_MS
        session = SessionRecord(
            id=session_id,
            principal_id=caller.principal.id,
            auth=auth,
            address=client.address[:64],
            agent="".join(c for c in client.agent if c.isprintable())[:200],
            created_at=caller.time_ms,
            seen_at=caller.time_ms,
            expires_at=caller.time_ms + lifetime_ms,
        )
        before = digest_of(client.cookie) if client.cookie else ""

        def fn(tx: Tx) -> None:
            if before:
                store.delete_sessions(tx, sha256=before)
            store.insert_session(tx, session, digest)
            append(tx, caller, action="session.open", object=f"session:{session_id}", after={"by": auth})

        self._storage.write(fn)
        return write_secret_cookie(
            SESSION_COOKIE, secret, is_secure=client.is_secure, max_age_s=lifetime_ms // 1000
        )

    # Ending

    def log_out(self, caller: Caller, *, is_secure: bool) -> str:
        """End the caller's session; the Set-Cookie value that takes its cookie away. Audited."""
        if caller.principal.auth == "session":
            self.end(caller, caller.principal.token_id)
        return drop_secret_cookie(SESSION_COOKIE, is_secure=is_secure)

    def list_sessions(self, caller: Caller, of: str | None = None) -> list[SessionRecord]:
        """The caller's own sessions; those of the principal with id `of`, or with `*` of everybody, for
        administrators of the deployment.
        """
        own = caller.principal.id
        if of not in (None, own):
            require(caller, DEPLOYMENT_ADMIN)
        now_ms = self._clock.now_ms()
        found = self._storage.read(
            lambda tx: store.list_sessions(tx, None if of == "*" else of or own, now_ms)
        )
        here = caller.principal.token_id
        return [
            msgspec.structs.replace(one, is_current=one.id == here)
            for one in found
            if one.seen_at + IDLE_MS > now_ms
        ]

    def end(self, caller: Caller, session_id: str) -> None:
        """End a session: one's own, or anybody's for administrators of the deployment. Audited. Raises NotFound."""
        caller = of_deployment(caller)
        whose = None if may(caller.principal, DEPLOYMENT_ADMIN) else caller.principal.id

        def fn(tx: Tx) -> None:
            if not store.delete_sessions(tx, session_id=session_id, principal_id=whose):
                raise NotFound(f"There is no session {session_id[:80]!r}.", hint="See /account for yours.")
            append(tx, caller, action="session.end", object=f"session:{session_id}")

        self._storage.write(fn)
