"""The page that signs the administrator in."""

from __future__ import annotations

from holdfast.identity.records import PUBLIC
from holdfast.identity.service import Identity
from holdfast.identity.sign_in import COOKIE
from holdfast.web import Call, Raw, Route

__all__ = ["pages"]


def pages(identity: Identity) -> list[Route]:
    """`/sign-in?code=...`, which works once."""

    def sign_in(call: Call) -> Raw:
        session = identity.sign_in.redeem(call.query.get("code", ""))
        headers = {
            "Location": "/",
            "Set-Cookie": f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict",
            "Cache-Control": "no-store",
        }
        return Raw(b"", "text/plain", headers, 303)

    return [Route("GET", "/sign-in", sign_in, PUBLIC, summary="Sign in with a one-time code")]
