"""Canonical JSON: one byte string per value, so that a digest of it means something.

A subset of RFC 8785 (JCS): objects sorted by key (in UTF-16 code units), no white space, UTF-8, shortest
escapes. Numbers are integers within ±(2^53 - 1) or strings; floats are refused, because their text is where
implementations differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from holdfast.kernel.errors import InvalidInput

__all__ = ["canonical_json"]

_SAFE = 2**53 - 1
_DEEPEST = 100
_encode = msgspec.json.Encoder().encode


def canonical_json(value: Any) -> bytes:
    """The canonical bytes of `value` (dict with text keys, list, text, int, bool, None).

    Raises InvalidInput on floats, on integers beyond ±(2^53 - 1), on keys that are not text, on text that is
    not valid Unicode, and on values nested deeper than 100.
    """
    try:
        return _encode(_ordered(value, 0))
    except UnicodeEncodeError:
        raise InvalidInput("A text holds half of a surrogate pair, which has no UTF-8 form.") from None


def _ordered(value: Any, depth: int) -> Any:
    """The value with its objects' keys in order, checked on the way."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        if not -_SAFE <= value <= _SAFE:
            raise InvalidInput(f"The integer {value} is beyond ±(2^53 - 1).", hint="Write it as text.")
        return value
    if depth >= _DEEPEST and value:
        raise InvalidInput(f"The value is nested deeper than {_DEEPEST}.")
    if isinstance(value, dict):
        return {
            key: item if type(item := value[key]) is str else _ordered(item, depth + 1)
            for key in _keys(value)
        }
    if isinstance(value, (list, tuple)):
        return [_ordered(item, depth + 1) for item in value]
    raise InvalidInput(f"A {type(value).__name__} has no canonical JSON form.", hint="Write it as text.")


def _keys(value: dict[Any, Any]) -> Iterable[str]:
    """The keys in order."""
    for key in value:
        if not isinstance(key, str):
            raise InvalidInput(f"The key {key!r} of an object is not text.")
    if len(value) < 2:
        return value
    # Of ASCII keys the order by code point is that by UTF-16 code unit.
    return sorted(value) if all(map(str.isascii, value)) else sorted(value, key=_utf16)


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")
