"""For receivers of holdfast's webhooks: is a message really the server's, and is it new?"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from holdfast.kernel.errors import Unauthenticated
from holdfast.kernel.webhooks import sign_message

__all__ = ["verify_webhook"]


def verify_webhook(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance_s: int = 300,
    now_s: float | None = None,
) -> dict[str, Any]:
    """The event that a webhook's request carries, once its signature holds. Raises Unauthenticated.

    A message older or newer than `tolerance_s` seconds is refused, so that one that was listened to can't be sent
    again later. Within that time the header `webhook-id` tells repetitions: the same for every attempt.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, stamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not message_id or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        raise Unauthenticated("The request does not carry the headers webhook-id and webhook-timestamp.")
    now = time.time() if now_s is None else now_s
    if abs(now - int(stamp)) > tolerance_s:
        raise Unauthenticated(
            f"The message was signed {abs(now - int(stamp)):.0f} s away from now; at most {tolerance_s} s are allowed.",
            hint="Check both clocks; otherwise somebody sends an old message again.",
        )
    expected = sign_message(secret, message_id, int(stamp), body).encode()
    signatures = given.get("webhook-signature", "").split()
    if not any(hmac.compare_digest(one.encode(), expected) for one in signatures):
        raise Unauthenticated("The message's signature does not hold: another secret, or it was changed.")
    event: dict[str, Any] = json.loads(body)
    return event
