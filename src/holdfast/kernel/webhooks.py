"""The signature of a webhook's messages, as the Standard Webhooks specification has it.

HMAC-SHA256 over `ID.TIMESTAMP.BODY`, so that neither the body nor the time of a message can be changed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from holdfast.kernel.errors import InvalidInput

__all__ = ["SECRET_PREFIX", "encode_secret", "sign_message"]

SECRET_PREFIX = "whsec_"


def encode_secret(key: bytes) -> str:
    """A key of 24 to 64 bytes as the text that both sides keep."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def sign_message(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of the header `webhook-signature`; `timestamp` in seconds since the epoch.

    Raises InvalidInput when the secret is not one of `encode_secret`.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise InvalidInput("The webhook's secret is not 'whsec_' and 24 to 64 bytes in base64.")
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
