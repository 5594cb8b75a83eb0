"""Opaque page tokens: the key of the last row seen (keyset paging), so that pages stay right under writes."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from holdfast.kernel.errors import InvalidInput

__all__ = ["Items", "Limit", "PageQuery", "decode_number", "decode_token", "encode_token"]

T = TypeVar("T")
Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]
"""How many items a page may have."""


class Items(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list; `next_page_token` is None on the last page."""

    items: list[T]
    next_page_token: str | None = None


class PageQuery(msgspec.Struct, frozen=True):
    """What the address of a list may ask for."""

    limit: Limit = 100
    page_token: str = ""
    """`next_page_token` of the page before."""


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
        details={"page_token": token[:80]},
    )
