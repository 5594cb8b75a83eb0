"""Forms of pages that change something on behalf of a signed-in browser."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from holdfast.identity.secrets import csrf_token
from holdfast.identity.sessions import read_session_cookie
from holdfast.identity.tokens import NewToken
from holdfast.kernel.errors import Forbidden, HoldfastError, InvalidInput
from holdfast.web import Call, Page, Redirect

__all__ = ["FORM_LIMIT", "attempt", "check_csrf", "check_form", "field", "form_token", "submit", "token_form"]

FORM_LIMIT = 65_536


def form_token(call: Call) -> str:
    """What the forms of a page carry to prove that they are this browser's."""
    return csrf_token(read_session_cookie(call.headers, is_secure=call.is_secure))


def check_form(call: Call) -> None:
    """Raises Forbidden for a form that is not of this browser's session."""
    check_csrf(call, read_session_cookie(call.headers, is_secure=call.is_secure))


def check_csrf(call: Call, secret: str) -> None:
    """Raises Forbidden for a form that was not made with this secret of the browser's."""
    given = call.body.get("csrf", "")
    if not secret or not hmac.compare_digest(given.encode(), csrf_token(secret).encode()):
        raise Forbidden(
            "The form does not belong to this browser, or it is too old.",
            hint="Sign in at /login, or open the page anew.",
        )


def field(call: Call, name: str) -> str:
    """What was entered in a field, without spaces around; empty without it."""
    fields: dict[str, str] = call.body
    return fields.get(name, "").strip()


def submit(
    call: Call, change: Callable[[], Redirect | Page], show: Callable[[str, int], Page]
) -> Redirect | Page:
    """Do what a form of this browser's session asks, as `attempt`. Raises Forbidden for any other form."""
    check_form(call)
    return attempt(change, show)


def attempt(change: Callable[[], Redirect | Page], show: Callable[[str, int], Page]) -> Redirect | Page:
    """Make a change; what is refused shows the page again by `show(problem, status)`."""
    try:
        return change()
    except HoldfastError as error:
        if error.status >= 500:
            raise
        return show(f"{error.message} {error.hint}".strip(), error.status)


def token_form(fields: dict[str, str]) -> NewToken:
    """The token that a form asks for. Raises InvalidInput."""
    days = fields.get("days", "").strip()
    if days and not (days.isascii() and days.isdigit() and len(days) < 6):
        raise InvalidInput(f"{days[:20]!r} is not a number of days.")
    permissions = fields.get("permissions", "").replace(",", " ").split()
    return NewToken(
        fields.get("name", ""),
        of=fields.get("of", ""),
        workspace=fields.get("workspace") or None,
        permissions=permissions or None,
        days=int(days) if days else None,
    )
