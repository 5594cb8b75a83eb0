"""Opaque page tokens: the key of the last row seen (keyset paging), so that pages stay right under writes."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Generic, TypeVar

import msgspec

from holdfast.kernel.errors import InvalidInput

__all__ = ["Items", "decode_token", "encode_token", "parse_limit"]

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
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(
            f"The page token {token[:80]!r} is not valid.",
            hint="Use next_page_token of the answer before, unchanged.",
        ) from error


def parse_limit(text: str | None, default: int = 100, most: int = 1000) -> int:
    """A page size from a query parameter, within 1 to `most`."""
    if text is None or text == "":
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise InvalidInput(f"The limit {text[:40]!r} is not a whole number from 1 to {most}.")
    return int(text)
