"""Cookies: reading them from a request, and the Set-Cookie values of ours."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

__all__ = [
    "FORM_COOKIE",
    "SESSION_COOKIE",
    "WORKSPACE_COOKIE",
    "drop_cookie",
    "drop_secret_cookie",
    "read_cookie",
    "read_secret_cookie",
    "write_cookie",
    "write_secret_cookie",
]

WORKSPACE_COOKIE = "holdfast_workspace"
"""The workspace that a browser has chosen; `?workspace=` of a page chooses it."""
SESSION_COOKIE = "holdfast_session"
"""The secret of a signed-in browser."""
FORM_COOKIE = "holdfast_form"
"""The secret of a browser that is shown a form before it has a session."""


def read_cookie(headers: Mapping[str, str], name: str) -> str:
    """The value of a cookie; empty when there is none."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def write_cookie(
    name: str, value: str, *, is_secure: bool, max_age_s: int | None = None, is_strict: bool = False
) -> str:
    """A cookie that scripts can't read and other sites' forms don't send; Secure over https.

    A strict one does not even come with a link of another site.
    """
    parts = [f"{name}={value}", "Path=/", "HttpOnly", f"SameSite={'Strict' if is_strict else 'Lax'}"]
    parts += ["Secure"] if is_secure else []
    parts += [f"Max-Age={max_age_s}"] if max_age_s is not None else []
    return "; ".join(parts)


def drop_cookie(name: str, *, is_secure: bool) -> str:
    """Takes a cookie away."""
    return write_cookie(name, "", is_secure=is_secure, max_age_s=0)


def read_secret_cookie(headers: Mapping[str, str], name: str, *, is_secure: bool) -> str:
    """The secret in a cookie that was written by `write_secret_cookie`; empty without one."""
    return read_cookie(headers, _guarded(name, is_secure))


def write_secret_cookie(
    name: str, secret: str, *, is_secure: bool, max_age_s: int | None = None, is_strict: bool = False
) -> str:
    """A cookie that holds a secret: over https, no other host of the domain can set it."""
    return write_cookie(
        _guarded(name, is_secure), secret, is_secure=is_secure, max_age_s=max_age_s, is_strict=is_strict
    )


def drop_secret_cookie(name: str, *, is_secure: bool) -> str:
    """Takes a secret's cookie away."""
    return drop_cookie(_guarded(name, is_secure), is_secure=is_secure)


def _guarded(name: str, is_secure: bool) -> str:
    # The prefix has browsers refuse a cookie that another host of the domain, or plain http, tries to set.
    return f"__Host-{name}" if is_secure else name
