"""Leaf v1: the canonical JSON whose hash enters the tree. Final: later kinds of leaf get another `v`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from json.encoder import encode_basestring as _text
from typing import Any

from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.principal import Caller

__all__ = ["commit_reason", "details_bytes", "make_leaf"]

_LATEST_MS = 2**53 - 1
_TEXT, _PLAIN = frozenset([str]), frozenset([str, int, bool, type(None)])


def make_leaf(
    caller: Caller,
    *,
    action: str,
    object: str,
    digest: str | None,
    before: bytes | None,
    after: bytes | None,
    reason_commitment: str | None,
) -> bytes:
    """The leaf's bytes. `before` and `after` enter as their SHA-256, the reason as a salted commitment."""
    if not 0 <= caller.time_ms <= _LATEST_MS:
        raise InvalidInput(f"The time {caller.time_ms} of a change is not in milliseconds since 1970.")
    # Canonical JSON by hand: the keys are known and in order, and this is in every change's transaction.
    text = (
        f'{{"action":{_text(action)},"actor":{_text(caller.principal.id)},"after":{_digest(after)},'
        f'"auth":{_text(caller.principal.auth)},"before":{_digest(before)},'
        f'"digest":{"null" if digest is None else _text(digest)},"object":{_text(object)},'
        f'"reason":{"null" if reason_commitment is None else _text(reason_commitment)},'
        f'"request_id":{_text(caller.request_id)},"time_ms":{caller.time_ms},'
        f'"token_id":{_text(caller.principal.token_id)},"v":1,"workspace":{_text(caller.workspace)}}}'
    )
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidInput("A text holds half of a surrogate pair, which has no UTF-8 form.") from None


def _digest(state: bytes | None) -> str:
    return "null" if state is None else f'"{sha256_hex(state)}"'


def commit_reason(reason: str, salt: bytes) -> str:
    """SHA-256 of the salt (32 bytes) and the reason, as hex: binds the reason, and tells nothing once it is erased."""
    return hashlib.sha256(salt + reason.encode()).hexdigest()


def details_bytes(details: Mapping[str, Any] | None) -> bytes | None:
    """The canonical bytes of a state before or after a change; floats enter as their shortest text."""
    if details is None:
        return None
    # What most changes hold, told at once: then nothing is to be made plain.
    is_plain = _TEXT.issuperset(map(type, details)) and _PLAIN.issuperset(map(type, details.values()))
    return canonical_json(dict(details) if is_plain else _plain(details))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (dict, Mapping)):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
