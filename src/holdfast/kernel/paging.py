"""Opaque page tokens: the key of the last row seen (keyset paging), so that pages stay right under writes."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Generic, TypeVar

import msgspec

from holdfast.kernel.errors import InvalidInput

__all__ = ["Items", "decode_number", "decode_token", "encode_token", "parse_limit"]

T = TypeVar("T")


class Items(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list; `next_page_token` is None on the last page."""

    items: list[T]
    next_page_token: str | None = None


def encode_token(key: Any) -> str:
    """The token that stands for `key` (JSON values)."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_token(token: str) -> Any:
    """The key behind `token`. Raises InvalidInput when it is not one of ours."""
    try:
        return json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _not_ours(token) from error


def decode_number(token: str) -> int:
    """The whole number (within 64 bits) behind `token`. Raises InvalidInput when it is not one of ours."""
    key = decode_token(token)
    if isinstance(key, bool) or not isinstance(key, int) or not -(2**63) <= key < 2**63:
        raise _not_ours(token)
    return key


def _not_ours(token: str) -> InvalidInput:
    return InvalidInput(
        f"The page token {token[:80]!r} is not valid.",
        hint="Use next_page_token of the answer before, unchanged.",
    )


def parse_limit(text: str | None, default: int = 100, most: int = 1000) -> int:
    """A page size from a query parameter, within 1 to `most`."""
    if text is None or text == "":
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= most:
        raise InvalidInput(f"The limit {text[:40]!r} is not a whole number from 1 to {most}.")
    return int(text)
