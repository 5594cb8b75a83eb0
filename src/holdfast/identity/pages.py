"""The pages of signing in, and of one's own account."""

from __future__ import annotations

import hmac
from urllib.parse import quote

from holdfast.identity.forms import token_form
from holdfast.identity.people import People
from holdfast.identity.records import ACCOUNT, PUBLIC, SIGNED_IN
from holdfast.identity.service import NOBODY, held_permissions, may
from holdfast.identity.sessions import Client, Sessions, read_session_cookie
from holdfast.identity.sign_on import SignOn
from holdfast.identity.tokens import Tokens
from holdfast.kernel.errors import Forbidden, InvalidInput, Unauthenticated
from holdfast.web import Call, Form, Page, Redirect, Route
from holdfast.web.cookies import drop_cookie, read_cookie, write_cookie
from holdfast.web.forms import FORM_LIMIT

__all__ = ["pages"]

_STATE_COOKIE = "holdfast_sign_on"
_STATE_S = 600


def pages(people: People, tokens: Tokens, sessions: Sessions, sign_on: SignOn) -> list[Route]:
    """`/login`, `/logout`, `/sign-in?code=...` (which works once) and `/account`."""
    return [*_login(sessions, sign_on), *_single_sign_on(sign_on), *_account(people, tokens, sessions)]


def _single_sign_on(sign_on: SignOn) -> list[Route]:
    def begin(call: Call) -> Redirect:
        started = sign_on.begin(call.url, _next_of(call))
        cookie = write_cookie(_STATE_COOKIE, started.state, is_secure=call.is_secure, max_age_s=_STATE_S)
        return Redirect(started.url, cookies=(cookie,))

    def finish(call: Call) -> Redirect:
        state = call.query.get("state", "")
        held = read_cookie(call.headers, _STATE_COOKIE)
        if not held or not hmac.compare_digest(state.encode(), held.encode()):
            raise Forbidden("This sign-in was not begun in this browser.", hint="Sign in again at /login.")
        if "error" in call.query:
            raise Forbidden(
                f"The provider did not sign you in: {call.query['error'][:80]!r}.",
                hint="Sign in again at /login.",
            )
        cookie, wanted = sign_on.finish(call.query.get("code", ""), state, client_of(call))
        return Redirect(wanted, cookies=(cookie, drop_cookie(_STATE_COOKIE, is_secure=call.is_secure)))

    return [
        Route("GET", "/login/sso", begin, PUBLIC, summary="Sign in at the single sign-on provider"),
        Route(
            "GET", "/login/sso/callback", finish, PUBLIC, summary="Where the provider sends the browser back"
        ),
    ]


def _login(sessions: Sessions, sign_on: SignOn) -> list[Route]:
    def show(call: Call) -> Page | Redirect:
        if call.caller.principal != NOBODY and call.caller.principal.auth == "session":
            return Redirect(_next_of(call))
        return _login_page(call, sign_on)

    def log_in(call: Call) -> Page | Redirect:
        name, password = call.body.get("name", "").strip().lower(), call.body.get("password", "")
        try:
            cookie = sessions.log_in(name, password, client_of(call))
        except Unauthenticated as error:
            return _login_page(call, sign_on, name, error.message, 401)
        return Redirect(_next_of(call), cookies=(cookie,))

    def log_out(call: Call) -> Redirect:
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
            "sentence": _sentence(who.auth),
            "secret": secret,
            "problem": problem,
        }
        return Page("identity/account.html", context, "Account", status)

    def show(call: Call) -> Page:
        return account_page(call)

    def change_password(call: Call) -> Page | Redirect:
        fields = call.body
        if fields.get("new", "") != fields.get("again", ""):
            return account_page(call, problem="The new password and its repetition differ.", status=400)
        try:
            people.change_password(call.caller, fields.get("old", ""), fields.get("new", ""))
        except (InvalidInput, Unauthenticated) as error:
            return account_page(call, problem=str(error), status=400)
        return Redirect("/account")

    def end_session(call: Call) -> Redirect:
        sessions.end(call.caller, call.path["session_id"])
        return Redirect("/account")

    def make_token(call: Call) -> Page:
        try:
            made = tokens.create(call.caller, token_form(call.body))
        except InvalidInput as error:
            return account_page(call, problem=str(error), status=400)
        return account_page(call, secret=made.secret)

    def revoke_token(call: Call) -> Redirect:
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


def _sentence(auth: str) -> str:
    if auth == "open":
        return (
            "This server is in open mode: everybody on this machine works without a login. The first user ends that: "
            "holdfast user add NAME --admin --data DATA_FOLDER."
        )
    if auth == "session":
        return "You are signed in in this browser. A session ends after 12 hours without use."
    return "You use this page with a token."


def client_of(call: Call) -> Client:
    """The browser behind a request."""
    return Client(
        call.address,
        call.headers.get("user-agent", ""),
        read_session_cookie(call.headers, is_secure=call.is_secure),
        call.is_secure,
        call.caller.request_id,
    )


def _login_page(call: Call, sign_on: SignOn, name: str = "", problem: str = "", status: int = 200) -> Page:
    provider = sign_on.provider()
    context = {"next": _next_of(call), "name": name, "problem": problem, "provider": provider}
    return Page("identity/login.html", context, "Sign in", status)


def _next_of(call: Call) -> str:
    """Where to go after signing in: an address of this server, never of another."""
    fields = call.body if isinstance(call.body, dict) else call.query
    wanted = str(fields.get("next", "")) or "/"
    is_own = (
        wanted.startswith("/") and not wanted.startswith(("//", "/\\", "/login")) and wanted.isprintable()
    )
    return quote(wanted, safe="/?&=%:@,.~+;!*'()-_#") if is_own else "/"
