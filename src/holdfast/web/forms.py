"""Forms of pages that change something: each carries a token that another site, or another browser, can't know.

The token is made of the browser's secret: that of its session or, while there is none (open mode, the login), that of
a cookie of its own, which comes with the first page that shows a form. `components/form.html` puts it into every form
that is sent by POST, and `dispatch` checks it for every route whose body is a `Form`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from holdfast.kernel.errors import Forbidden, HoldfastError
from holdfast.web.cookies import FORM_COOKIE, SESSION_COOKIE, read_secret_cookie, write_secret_cookie
from holdfast.web.routing import Call, Page, Redirect

__all__ = [
    "FORM_LIMIT",
    "BrowserKey",
    "attempt",
    "check_token",
    "field",
    "form_token",
    "showing_forms",
    "token_of",
]

FORM_LIMIT = 65_536
_FIELD = "csrf"


def token_of(secret: str) -> str:
    """What the forms of a browser with this secret carry: nobody without the secret can make it."""
    return hashlib.sha256(f"csrf:{secret}".encode()).hexdigest()


class BrowserKey:
    """The secret that a browser's forms are made of. A browser without one gets it with its first form."""

    def __init__(self, headers: Mapping[str, str], *, is_secure: bool) -> None:
        self._secret = _secret_of(headers, is_secure)
        self._is_secure = is_secure
        self.cookies: tuple[str, ...] = ()
        """The Set-Cookie values that have to go with the page."""

    def token(self) -> str:
        """The token of a form on the page that is shown."""
        if not self._secret:
            self._secret = secrets.token_urlsafe(32)
            cookie = write_secret_cookie(FORM_COOKIE, self._secret, is_secure=self._is_secure, is_strict=True)
            self.cookies = (cookie,)
        return token_of(self._secret)


_shown_to: ContextVar[BrowserKey] = ContextVar("shown_to")


@contextmanager
def showing_forms(key: BrowserKey) -> Iterator[None]:
    """While a page is rendered: its forms, however deep in which macro, are of this browser."""
    before = _shown_to.set(key)
    try:
        yield
    finally:
        _shown_to.reset(before)


def form_token() -> str:
    """The token of a form on the page that is being rendered; for the form component."""
    return _shown_to.get().token()


def check_token(headers: Mapping[str, str], fields: dict[str, str], *, is_secure: bool) -> dict[str, str]:
    """The form's own fields, without its token. Raises Forbidden for a form that is not of this browser's pages."""
    secret, given = _secret_of(headers, is_secure), fields.get(_FIELD, "")
    if not secret or not hmac.compare_digest(given.encode(), token_of(secret).encode()):
        raise Forbidden(
            "The form does not belong to this browser, or it is too old.",
            hint="Open its page anew and send it again; browsers must keep this server's cookies.",
        )
    return {name: value for name, value in fields.items() if name != _FIELD}


def _secret_of(headers: Mapping[str, str], is_secure: bool) -> str:
    names = (SESSION_COOKIE, FORM_COOKIE)
    return next(filter(None, (read_secret_cookie(headers, name, is_secure=is_secure) for name in names)), "")


def field(call: Call, name: str) -> str:
    """What was entered in a field, without spaces around; empty without it."""
    fields: dict[str, str] = call.body
    return fields.get(name, "").strip()


def attempt(change: Callable[[], Redirect | Page], show: Callable[[str, int], Page]) -> Redirect | Page:
    """Make a change; what is refused shows the page again by `show(problem, status)`."""
    try:
        return change()
    except HoldfastError as error:
        if error.status >= 500:
            raise
        return show(f"{error.message} {error.hint}".strip(), error.status)
