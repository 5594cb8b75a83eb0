"""Signing the administrator in to the pages, by an address that works once."""

from __future__ import annotations

import hashlib
import secrets
import threading
from http.cookies import CookieError, SimpleCookie

from holdfast.kernel.clock import Clock
from holdfast.kernel.errors import Unauthenticated

__all__ = ["COOKIE", "SignIn"]

COOKIE = "holdfast_session"
_CODE_MS = 15 * 60_000
_SESSION_MS = 12 * 3_600_000


class SignIn:
    """One-time codes and the sessions that they open, in memory: both end with the server. Thread-safe.

    Only SHA-256 digests are kept. A code works once, for 15 minutes; a session lasts 12 hours.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._codes: dict[str, int] = {}
        self._sessions: dict[str, int] = {}

    def make_code(self) -> str:
        """A new code of 256 random bits."""
        return self._add(self._codes, _CODE_MS)

    def redeem(self, code: str) -> str:
        """The secret of a new session, for a code that nobody used yet. Raises Unauthenticated."""
        now = self._clock.now_ms()
        with self._lock:
            expires_at = self._codes.pop(_digest(code), 0)
        if expires_at <= now:
            raise Unauthenticated(
                "This sign-in address was used already or is older than 15 minutes.",
                hint="Start the server in a terminal for a new one, or send the secret in admin.token as a Bearer token.",
            )
        return self._add(self._sessions, _SESSION_MS)

    def is_session(self, cookies: str) -> bool:
        """Whether a Cookie header carries a session that has not ended."""
        try:
            morsel = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            return False
        if morsel is None:
            return False
        with self._lock:
            return self._sessions.get(_digest(morsel.value), 0) > self._clock.now_ms()

    def _add(self, held: dict[str, int], lifetime_ms: int) -> str:
        secret, now = secrets.token_urlsafe(32), self._clock.now_ms()
        with self._lock:
            for digest in [digest for digest, expires_at in held.items() if expires_at <= now]:
                del held[digest]
            held[_digest(secret)] = now + lifetime_ms
        return secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
