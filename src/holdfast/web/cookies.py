"""Cookies: reading them from a request, and the Set-Cookie values of ours."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

__all__ = ["WORKSPACE_COOKIE", "drop_cookie", "read_cookie", "write_cookie"]

WORKSPACE_COOKIE = "holdfast_workspace"
"""The workspace that a browser has chosen; `?workspace=` of a page chooses it."""


def read_cookie(headers: Mapping[str, str], name: str) -> str:
    """The value of a cookie; empty when there is none."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def write_cookie(name: str, value: str, *, is_secure: bool, max_age_s: int | None = None) -> str:
    """A cookie that scripts can't read and other sites' forms don't send; Secure over https."""
    parts = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    parts += ["Secure"] if is_secure else []
    parts += [f"Max-Age={max_age_s}"] if max_age_s is not None else []
    return "; ".join(parts)


def drop_cookie(name: str, *, is_secure: bool) -> str:
    """Takes a cookie away."""
    return write_cookie(name, "", is_secure=is_secure, max_age_s=0)
