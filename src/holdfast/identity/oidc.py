"""OpenID Connect: what is asked of a provider and what it may answer. Authorization code with PKCE, state and nonce.

`authlib` and `joserfc` check the tokens; every connection leaves through the guarded door.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from holdfast.identity.records import SignOnProvider
from holdfast.kernel.errors import Unauthenticated, Unavailable
from holdfast.web.egress import Egress, Reply

if TYPE_CHECKING:
    from joserfc.jwk import KeySet, KeySetSerialization

__all__ = ["Identified", "Oidc"]

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by the provider's private key alone: `none` and shared secrets prove nothing."""
_METADATA_S = 3600.0
_NEW_KEYS_S = 10.0
_LEEWAY_S = 60
T = TypeVar("T")


class Identified(msgspec.Struct, frozen=True):
    """Whom the provider has identified: `subject` never changes, the rest may."""

    issuer: str
    subject: str
    name: str
    display_name: str
    email: str
    groups: tuple[str, ...]


class _Metadata(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _TokenAnswer(msgspec.Struct, frozen=True):
    id_token: str
    access_token: str = ""


class Oidc:
    """Speaks with providers. Metadata and keys are kept for an hour; an unknown key asks for them again. Thread-safe.

    `new_keys_s`: how long after asking for keys an unknown one is not asked for again.
    """

    def __init__(self, egress: Egress, *, new_keys_s: float = _NEW_KEYS_S) -> None:
        self._egress = egress
        self._new_keys_s = new_keys_s
        self._lock = threading.Lock()
        self._metadata: dict[str, tuple[float, _Metadata]] = {}
        self._keys: dict[str, tuple[float, KeySet]] = {}

    def authorization_url(
        self, provider: SignOnProvider, *, redirect_uri: str, state: str, nonce: str, verifier: str
    ) -> str:
        """Where to send the browser."""
        from authlib.oauth2.rfc7636 import create_s256_code_challenge  # where single sign-on is used

        metadata = self.discover(provider.issuer)
        query = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": provider.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
        return f"{metadata.authorization_endpoint}{joint}{urlencode(query)}"

    def identify(
        self,
        provider: SignOnProvider,
        client_secret: str,
        *,
        code: str,
        redirect_uri: str,
        nonce: str,
        verifier: str,
    ) -> Identified:
        """Exchange the code and check the ID token. Raises Unauthenticated for one that is not right."""
        answer = self._exchange(provider, client_secret, code, redirect_uri, verifier)
        claims = self._checked_claims(provider, answer, nonce)
        return _identified(provider, claims)

    def discover(self, issuer: str) -> _Metadata:
        """The provider's addresses. Raises Unavailable when they can't be read or are another issuer's."""
        kept = self._metadata.get(issuer)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        found = self._read(self._egress.request("GET", url), _Metadata, url)
        if found.issuer.rstrip("/") != issuer.rstrip("/"):
            raise Unavailable(
                f"{url} speaks for the issuer {found.issuer[:200]!r}, not for {issuer!r}.",
                hint="Give the issuer exactly as the provider names it.",
            )
        self._metadata[issuer] = (time.monotonic() + _METADATA_S, found)
        return found

    def _exchange(
        self, provider: SignOnProvider, client_secret: str, code: str, redirect_uri: str, verifier: str
    ) -> _TokenAnswer:
        metadata = self.discover(provider.issuer)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if client_secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            pair = f"{quote(provider.client_id, safe='')}:{quote(client_secret, safe='')}"
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form |= {"client_id": provider.client_id} | (
                {"client_secret": client_secret} if client_secret else {}
            )
        reply = self._egress.request(
            "POST", metadata.token_endpoint, headers=headers, body=urlencode(form).encode()
        )
        if 400 <= reply.status < 500:
            raise Unauthenticated(
                f"The provider refused the sign-in code ({_error_of(reply)}).", hint="Sign in again."
            )
        return self._read(reply, _TokenAnswer, metadata.token_endpoint)

    def _checked_claims(
        self, provider: SignOnProvider, answer: _TokenAnswer, nonce: str
    ) -> Mapping[str, Any]:
        """The claims of the ID token, signed by the provider, for us, of this sign-in, and in time."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError

        metadata = self.discover(provider.issuer)
        try:
            try:
                token = jwt.decode(answer.id_token, self._key_set(metadata), algorithms=list(_ALGORITHMS))
            except (InvalidKeyIdError, BadSignatureError):  # the provider may have changed its keys
                token = jwt.decode(
                    answer.id_token, self._key_set(metadata, is_new=True), algorithms=list(_ALGORITHMS)
                )
            claims = CodeIDToken(
                token.claims,
                token.header,
                {"iss": {"values": [metadata.issuer]}, "aud": {"value": provider.client_id}},
                {"nonce": nonce, "client_id": provider.client_id, "access_token": answer.access_token},
            )
            claims.validate(leeway=_LEEWAY_S)
        except (JoseError, ValueError) as error:
            raise Unauthenticated(
                f"The provider's ID token is not valid: {type(error).__name__}: {error}.",
                hint="Sign in again; if it stays so, check the clocks and the provider's settings.",
            ) from error
        found: Mapping[str, Any] = token.claims
        return found

    def _key_set(self, metadata: _Metadata, *, is_new: bool = False) -> KeySet:
        """The provider's keys; with `is_new` asked for again unless that was seconds ago."""
        from joserfc.jwk import KeySet

        with self._lock:
            kept, now = self._keys.get(metadata.jwks_uri), time.monotonic()
            age_s = None if kept is None else now - kept[0]
            if (
                kept is not None
                and age_s is not None
                and age_s < (self._new_keys_s if is_new else _METADATA_S)
            ):
                return kept[1]
            reply = self._egress.request("GET", metadata.jwks_uri)
            document = self._read(reply, dict[str, Any], metadata.jwks_uri)
            try:
                keys = KeySet.import_key_set(cast("KeySetSerialization", document))
            except (ValueError, KeyError, TypeError) as error:
                raise Unavailable(f"The keys at {metadata.jwks_uri} can't be read: {error}.") from error
            self._keys[metadata.jwks_uri] = (now, keys)
            return keys

    @staticmethod
    def _read(reply: Reply, kind: type[T], url: str) -> T:
        if reply.status != 200:
            raise Unavailable(f"{url} answered {reply.status}.", hint="Check the issuer and the provider.")
        try:
            return msgspec.json.decode(reply.body, type=kind)
        except msgspec.DecodeError as error:
            raise Unavailable(f"{url} answered something else than OpenID Connect: {error}.") from error


def _identified(provider: SignOnProvider, claims: Mapping[str, Any]) -> Identified:
    subject = str(claims["sub"])
    email = str(claims.get("email") or "")
    name = str(claims.get("preferred_username") or email or subject)
    groups = claims.get(provider.groups_claim) or []
    listed = groups if isinstance(groups, list) else [groups]
    return Identified(
        provider.issuer,
        subject[:255],
        name,
        str(claims.get("name") or name)[:200],
        email[:254],
        tuple(str(group) for group in listed[:1000]),
    )


def _error_of(reply: Reply) -> str:
    try:
        found = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        return str(reply.status)
    return str(found.get("error", reply.status))[:100] if isinstance(found, dict) else str(reply.status)
