"""Leaf v1: the canonical JSON whose hash enters the tree. Final: later kinds of leaf get another `v`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.principal import Caller

__all__ = ["commit_reason", "details_bytes", "make_leaf"]


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
    return canonical_json(
        {
            "v": 1,
            "time_ms": caller.time_ms,
            "workspace": caller.workspace,
            "actor": caller.principal.id,
            "auth": caller.principal.auth,
            "token_id": caller.principal.token_id,
            "action": action,
            "object": object,
            "digest": digest,
            "before": None if before is None else sha256_hex(before),
            "after": None if after is None else sha256_hex(after),
            "reason": reason_commitment,
            "request_id": caller.request_id,
        }
    )


def commit_reason(reason: str, salt: bytes) -> str:
    """SHA-256 of the salt (32 bytes) and the reason, as hex: binds the reason, and tells nothing once it is erased."""
    return hashlib.sha256(salt + reason.encode()).hexdigest()


def details_bytes(details: Mapping[str, Any] | None) -> bytes | None:
    """The canonical bytes of a state before or after a change; floats enter as their shortest text."""
    return None if details is None else canonical_json(_plain(details))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
