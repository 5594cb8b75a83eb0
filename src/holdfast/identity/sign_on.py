"""Single sign-on: the provider's settings, and users who come from it with the roles of their groups."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Any
from urllib.parse import urlsplit

import msgspec

from holdfast.audit.service import append
from holdfast.identity.oidc import Identified, Oidc
from holdfast.identity.people import check_name
from holdfast.identity.records import ACCOUNT, DEPLOYMENT_ADMIN, PersonRecord, SignOnProvider
from holdfast.identity.roles import sync_groups
from holdfast.identity.secrets import digest_of, new_secret
from holdfast.identity.service import of_deployment, require
from holdfast.identity.sessions import Client, Sessions
from holdfast.identity.store import credentials, sign_on
from holdfast.identity.store import people as people_store
from holdfast.identity.watched import Watched
from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from holdfast.kernel.ids import new_id
from holdfast.kernel.principal import DEPLOYMENT, Caller, Principal
from holdfast.storage import Tx, lock
from holdfast.storage.secret_box import SecretBox

__all__ = ["NewProvider", "SignOn", "Started"]

_STATE_MS = 10 * 60_000
_PURPOSE, _ROW = "oidc", "provider"
_ENVIRONMENT = "HOLDFAST_OIDC_CLIENT_SECRET"


class NewProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The provider to use. `client_secret`: None keeps the one before; empty is none (a public client), or the one in
    the server's environment variable HOLDFAST_OIDC_CLIENT_SECRET."""

    issuer: str
    client_id: str
    client_secret: str | None = None
    scopes: str = "openid profile email"
    groups_claim: str = "groups"


class Started(msgspec.Struct, frozen=True):
    """A sign-in on its way: where to send the browser, and the secret that it must bring back in a cookie."""

    url: str
    state: str


class _Pending(msgspec.Struct, frozen=True):
    nonce: str
    verifier: str
    next: str
    redirect_uri: str


class SignOn:
    """Users of one OpenID Connect provider. What is on its way is in the database: any replica may finish it."""

    def __init__(
        self, storage: Watched, clock: Clock, oidc: Oidc, sessions: Sessions, box: SecretBox
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._oidc = oidc
        self._sessions = sessions
        self._box = box

    # The provider

    def provider(self) -> SignOnProvider | None:
        """The provider; None without one. Asks for no permission: the login page shows that there is one."""
        found = self._storage.read(sign_on.load_provider)
        return None if found is None else found[0]

    def set_provider(self, caller: Caller, new: NewProvider) -> SignOnProvider:
        """Use a provider, whose metadata is read to be sure. Audited, without the secret."""
        require(caller, DEPLOYMENT_ADMIN)
        _check_provider(new)
        self._oidc.discover(new.issuer)
        sealed = self._box.seal(new.client_secret, purpose=_PURPOSE, row=_ROW) if new.client_secret else ""
        caller = of_deployment(caller)

        def fn(tx: Tx) -> SignOnProvider:
            lock(tx, "sign-on")
            before = sign_on.load_provider(tx)
            kept = before[1] if new.client_secret is None and before is not None else sealed
            found = SignOnProvider(new.issuer, new.client_id, new.scopes, new.groups_claim, bool(kept))
            sign_on.put_provider(tx, found, kept, caller.time_ms)
            append(
                tx,
                caller,
                action="sign-on.set",
                object="sign-on:provider",
                before=None if before is None else msgspec.structs.asdict(before[0]),
                after=msgspec.structs.asdict(found),
            )
            return found

        return self._storage.write(fn)

    def remove_provider(self, caller: Caller) -> None:
        """Use no provider any more; its users keep their tokens and sessions. Audited."""
        require(caller, DEPLOYMENT_ADMIN)
        caller = of_deployment(caller)

        def fn(tx: Tx) -> None:
            if not sign_on.remove_provider(tx):
                raise NotFound("There is no single sign-on provider.")
            append(tx, caller, action="sign-on.remove", object="sign-on:provider")

        self._storage.write(fn)

    def _secret(self, sealed: str) -> str:
        if not sealed:
            return os.environ.get(_ENVIRONMENT, "")
        return self._box.open_text(sealed, purpose=_PURPOSE, row=_ROW)

    def _known(self) -> tuple[SignOnProvider, str]:
        found = self._storage.read(sign_on.load_provider)
        if found is None:
            raise NotFound(
                "There is no single sign-on provider.", hint="Set one with: holdfast sso set ISSUER CLIENT_ID"
            )
        return found

    # Signing in

    def begin(self, origin: str, next_path: str) -> Started:
        """Start a sign-in of a browser that reached this server at `origin`, to end at `next_path`."""
        provider, _ = self._known()
        state, now_ms = new_secret(), self._clock.now_ms()
        pending = _Pending(new_secret(), new_secret(), next_path, f"{origin}/login/sso/callback")
        digest, body = digest_of(state), msgspec.json.encode(pending).decode()
        url = self._oidc.authorization_url(
            provider,
            redirect_uri=pending.redirect_uri,
            state=state,
            nonce=pending.nonce,
            verifier=pending.verifier,
        )
        self._storage.write(
            lambda tx: credentials.insert_once(tx, "sign-on", digest, body, now_ms, now_ms + _STATE_MS)
        )
        return Started(url, state)

    def finish(self, code: str, state: str, client: Client) -> tuple[str, str]:
        """(the Set-Cookie value of a new session, where to go) for the provider's answer. Audited.

        A user who was never here is added; roles by groups become those of today. Raises Unauthenticated for an
        answer that nobody waits for or that is not right, Forbidden for a disabled user.
        """
        digest, now_ms = digest_of(state), self._clock.now_ms()
        body = self._storage.write(lambda tx: credentials.take_once(tx, "sign-on", digest, now_ms))
        if body is None or not code:
            raise Unauthenticated("This sign-in was finished already or is too old.", hint="Sign in again.")
        pending = msgspec.json.decode(body, type=_Pending)
        provider, sealed = self._known()
        found = self._oidc.identify(
            provider,
            self._secret(sealed),
            code=code,
            redirect_uri=pending.redirect_uri,
            nonce=pending.nonce,
            verifier=pending.verifier,
        )
        person = self._admit(found, client.request_id, now_ms)
        who = Principal(person.id, person.name, "none", "oidc", extra=(ACCOUNT,))
        cookie = self._sessions.open(Caller(who, DEPLOYMENT, client.request_id, now_ms), "oidc", client)
        return cookie, pending.next

    def _admit(self, found: Identified, request_id: str, now_ms: int) -> PersonRecord:
        """The user behind what the provider says, made when it is new, with the roles of its groups."""
        new_person = new_id("u-")
        wanted = user_name(found.name, found.subject)

        def fn(tx: Tx) -> PersonRecord:
            lock(tx, "subject", found.issuer, found.subject)
            person = people_store.find_subject(tx, found.issuer, found.subject)
            is_new = person is None
            if person is None:
                person = _new_person(tx, found, new_person, wanted, now_ms)
                people_store.insert_person(tx, person, None, found.subject)
            if person.is_disabled:
                raise Forbidden(f"The user {person.name!r} is disabled.", hint="Ask an administrator.")
            people_store.update_person(
                tx, person.id, {"display_name": found.display_name, "email": found.email}
            )
            before = {
                g.workspace: g.role for g in people_store.grants_of(tx, person.id) if g.source == "group"
            }
            roles = sync_groups(tx, person.id, found.groups, now_ms)
            who = Principal(person.id, person.name, "none", "oidc")
            caller = Caller(who, DEPLOYMENT, request_id, now_ms)
            if is_new or roles != before:
                after: dict[str, Any] = {"roles": roles, "new": is_new}
                append(
                    tx,
                    caller,
                    action="user.sign-on",
                    object=f"principal:{person.id}",
                    before={"roles": before},
                    after=after,
                )
            return person

        return self._storage.write(fn)


def user_name(name: str, subject: str) -> str:
    """A name for a user as near as may be to the one that the provider has."""
    plain = unicodedata.normalize("NFKD", name.partition("@")[0]).encode("ascii", "ignore").decode().lower()
    wanted = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50]
    return wanted or f"user-{digest_of(subject)[:8]}"


def _new_person(tx: Tx, found: Identified, principal_id: str, wanted: str, now_ms: int) -> PersonRecord:
    """Never the account of somebody who has the name already: names are given here, subjects by the provider."""
    name = wanted
    try:
        check_name(name)
    except InvalidInput:
        name = f"user-{name}"[:63]
    if people_store.find_person(tx, name=name) is not None:
        name = f"{name[:50]}-{digest_of(found.issuer + found.subject)[:8]}"
    return PersonRecord(
        principal_id, "user", name, found.display_name, found.email, False, False, now_ms, found.issuer
    )


def _check_provider(new: NewProvider) -> None:
    parts = urlsplit(new.issuer)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInput(
            f"{new.issuer[:120]!r} is not an issuer.", hint="Give it like https://login.example.com."
        )
    if "openid" not in new.scopes.split():
        raise InvalidInput(f"The scopes {new.scopes[:120]!r} lack openid.", hint="Use: openid profile email")
    if not new.client_id or not new.client_id.isprintable():
        raise InvalidInput("A client id is needed, as the provider gave it.")
