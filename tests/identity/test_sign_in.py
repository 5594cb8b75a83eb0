from __future__ import annotations

from typing import Any

import pytest

from holdfast.identity.service import OPEN, SIGNED_IN, Identity
from holdfast.identity.sign_in import COOKIE, SignIn
from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import Unauthenticated

HOUR_MS = 3_600_000


def test_a_code_opens_one_session(clock: ManualClock) -> None:
    sign_in = SignIn(clock)
    code = sign_in.make_code()
    session = sign_in.redeem(code)
    assert sign_in.is_session(f"theme=dark; {COOKIE}={session}")
    with pytest.raises(Unauthenticated, match="used already"):
        sign_in.redeem(code)


@pytest.mark.parametrize("code", ["", "x", "é" * 50])
def test_a_code_that_was_never_made_opens_none(clock: ManualClock, code: str) -> None:
    with pytest.raises(Unauthenticated):
        SignIn(clock).redeem(code)


def test_codes_and_sessions_end(clock: ManualClock) -> None:
    sign_in = SignIn(clock)
    late, session = sign_in.make_code(), sign_in.redeem(sign_in.make_code())
    clock.advance(HOUR_MS)
    with pytest.raises(Unauthenticated):
        sign_in.redeem(late)
    assert sign_in.is_session(f"{COOKIE}={session}")
    clock.advance(12 * HOUR_MS)
    assert not sign_in.is_session(f"{COOKIE}={session}")


@pytest.mark.parametrize(
    "cookies", ["", "other=1", f"{COOKIE}=", f"{COOKIE}=guess", "\x00=;;;", f'{COOKIE}="']
)
def test_other_cookies_are_open_mode(clock: ManualClock, cookies: str) -> None:
    assert Identity("0" * 64, clock).authenticate({"cookie": cookies}) == OPEN


def test_the_address_signs_the_administrator_in_once(http: Any, composition: Any) -> None:
    code = composition.identity.sign_in.make_code()
    assert http.get("/api/v1/roles").status_code == 403
    answer = http.get(f"/sign-in?code={code}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    signed_in = {"Cookie": cookie.partition(";")[0]}
    assert http.get("/api/v1/roles", headers=signed_in).status_code == 200
    assert http.get("/api/v1/whoami", headers=signed_in).json()["auth"] == SIGNED_IN.auth
    assert http.get(f"/sign-in?code={code}").status_code == 401
