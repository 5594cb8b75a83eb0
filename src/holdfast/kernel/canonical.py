"""Canonical JSON: one byte string per value, so that a digest of it means something.

A subset of RFC 8785 (JCS): objects sorted by key, no white space, UTF-8, shortest escapes. Numbers are
integers within ±(2^53 - 1) or strings; floats are refused, because their text is where implementations differ.
"""

from __future__ import annotations

import json
from typing import Any

from holdfast.kernel.errors import InvalidInput

__all__ = ["canonical_json"]

_SAFE = 2**53 - 1


def canonical_json(value: Any) -> bytes:
    """The canonical bytes of `value` (dict with text keys, list, text, int, bool, None).

    Raises InvalidInput on floats, on integers beyond ±(2^53 - 1), on keys that are not text.
    """
    _check(value)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8")


def _check(value: Any) -> None:
    if value is None or isinstance(value, (str, bool)):
        return
    if isinstance(value, int):
        if not -_SAFE <= value <= _SAFE:
            raise InvalidInput(f"The integer {value} is beyond ±(2^53 - 1).", hint="Write it as text.")
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidInput(f"The key {key!r} of an object is not text.")
            _check(item)
    else:
        raise InvalidInput(f"A {type(value).__name__} has no canonical JSON form.", hint="Write it as text.")
