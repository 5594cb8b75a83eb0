"""The pages of signing in, and of one's own account."""

from __future__ import annotations

from urllib.parse import quote

from holdfast.identity.forms import FORM_LIMIT, check_csrf, check_form, form_token, token_form
from holdfast.identity.people import People
from holdfast.identity.records import ACCOUNT, PUBLIC, SIGNED_IN
from holdfast.identity.secrets import csrf_token, new_secret
from holdfast.identity.service import NOBODY, held_permissions, may
from holdfast.identity.sessions import Client, Sessions, read_session_cookie
from holdfast.identity.tokens import Tokens
from holdfast.kernel.errors import InvalidInput, Unauthenticated
from holdfast.web import Call, Form, Page, Redirect, Route
from holdfast.web.cookies import drop_cookie, read_cookie, write_cookie

__all__ = ["pages"]

_LOGIN_COOKIE = "holdfast_login"
_FORM_S = 3600


def pages(people: People, tokens: Tokens, sessions: Sessions) -> list[Route]:
    """`/login`, `/logout`, `/sign-in?code=...` (which works once) and `/account`."""
    return [*_login(sessions), *_account(people, tokens, sessions)]


def _login(sessions: Sessions) -> list[Route]:
    def show(call: Call) -> Page | Redirect:
        if call.caller.principal != NOBODY and call.caller.principal.auth == "session":
            return Redirect(_next_of(call))
        return _login_page(call)

    def log_in(call: Call) -> Page | Redirect:
        check_csrf(call, read_cookie(call.headers, _LOGIN_COOKIE))
        name, password = call.body.get("name", "").strip().lower(), call.body.get("password", "")
        try:
            cookie = sessions.log_in(name, password, client_of(call))
        except Unauthenticated as error:
            return _login_page(call, name, error.message, 401)
        return Redirect(
            _next_of(call), cookies=(cookie, drop_cookie(_LOGIN_COOKIE, is_secure=call.is_secure))
        )

    def log_out(call: Call) -> Redirect:
        check_form(call)
        return Redirect("/login", cookies=(sessions.log_out(call.caller, is_secure=call.is_secure),))

    def sign_in(call: Call) -> Redirect:
        return Redirect("/", cookies=(sessions.redeem(call.query.get("code", ""), client_of(call)),))

    return [
        Route("GET", "/login", show, PUBLIC, summary="Sign in"),
        Route("POST", "/login", log_in, PUBLIC, Form, "Sign in with name and password", FORM_LIMIT),
        Route("POST", "/logout", log_out, SIGNED_IN, Form, "Sign out", FORM_LIMIT),
        Route("GET", "/sign-in", sign_in, PUBLIC, summary="Sign in with a one-time code"),
    ]


def _account(people: People, tokens: Tokens, sessions: Sessions) -> list[Route]:
    def account_page(call: Call, *, secret: str = "", problem: str = "", status: int = 200) -> Page:
        who = call.caller.principal
        has_account = may(who, ACCOUNT)
        context = {
            "who": who,
            "person": people.get(who.id) if has_account else None,
            "sessions": sessions.list_sessions(call.caller) if who.auth == "session" else [],
            "tokens": tokens.list_tokens(call.caller) if has_account else [],
            "permissions": held_permissions(who),
            "csrf": form_token(call),
            "secret": secret,
            "problem": problem,
        }
        return Page("identity/account.html", context, "Account", status)

    def show(call: Call) -> Page:
        return account_page(call)

    def change_password(call: Call) -> Page | Redirect:
        check_form(call)
        fields = call.body
        if fields.get("new", "") != fields.get("again", ""):
            return account_page(call, problem="The new password and its repetition differ.", status=400)
        try:
            people.change_password(call.caller, fields.get("old", ""), fields.get("new", ""))
        except (InvalidInput, Unauthenticated) as error:
            return account_page(call, problem=str(error), status=400)
        return Redirect("/account")

    def end_session(call: Call) -> Redirect:
        check_form(call)
        sessions.end(call.caller, call.path["session_id"])
        return Redirect("/account")

    def make_token(call: Call) -> Page:
        check_form(call)
        try:
            made = tokens.create(call.caller, token_form(call.body))
        except InvalidInput as error:
            return account_page(call, problem=str(error), status=400)
        return account_page(call, secret=made.secret)

    def revoke_token(call: Call) -> Redirect:
        check_form(call)
        tokens.revoke(call.caller, call.path["token_id"])
        return Redirect("/account")

    base = "/account"
    return [
        Route("GET", base, show, SIGNED_IN, summary="One's own account"),
        Route("POST", base + "/password", change_password, ACCOUNT, Form, "Change one's own password", FORM_LIMIT),
        Route("POST", base + "/sessions/{session_id}/end", end_session, ACCOUNT, Form, "End a session", FORM_LIMIT),
        Route("POST", base + "/tokens", make_token, ACCOUNT, Form, "Make an API token", FORM_LIMIT),
        Route("POST", base + "/tokens/{token_id}/revoke", revoke_token, ACCOUNT, Form, "Revoke an API token", FORM_LIMIT),
    ]  # fmt: skip


def client_of(call: Call) -> Client:
    """The browser behind a request."""
    return Client(
        call.address,
        call.headers.get("user-agent", ""),
        read_session_cookie(call.headers, is_secure=call.is_secure),
        call.is_secure,
        call.caller.request_id,
    )


def _login_page(call: Call, name: str = "", problem: str = "", status: int = 200) -> Page:
    secret = new_secret()
    context = {"next": _next_of(call), "csrf": csrf_token(secret), "name": name, "problem": problem}
    cookie = write_cookie(_LOGIN_COOKIE, secret, is_secure=call.is_secure, max_age_s=_FORM_S)
    return Page("identity/login.html", context, "Sign in", status, (cookie,))


def _next_of(call: Call) -> str:
    """Where to go after signing in: an address of this server, never of another."""
    fields = call.body if isinstance(call.body, dict) else call.query
    wanted = str(fields.get("next", "")) or "/"
    is_own = (
        wanted.startswith("/") and not wanted.startswith(("//", "/\\", "/login")) and wanted.isprintable()
    )
    return quote(wanted, safe="/?&=%:@,.~+;!*'()-_#") if is_own else "/"
