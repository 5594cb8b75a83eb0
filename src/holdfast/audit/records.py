"""The audit log's nouns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from holdfast.audit.rotation import Rotation

__all__ = [
    "AuditEntry",
    "Change",
    "CheckpointView",
    "ConsistencyProof",
    "Damage",
    "InclusionProof",
    "KeyView",
    "LogHead",
    "StoredCheckpoint",
    "Verification",
]


class AuditEntry(msgspec.Struct, frozen=True):
    """One entry: the signed-over leaf and, beside it, the details that may be erased without breaking the tree."""

    index: int
    time_ms: int
    workspace: str
    actor: str
    """The principal's pseudonym, as in the leaf."""
    actor_name: str
    auth: str
    action: str
    object: str
    digest: str | None
    request_id: str
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    leaf: dict[str, Any]
    leaf_hash: str


class LogHead(msgspec.Struct, frozen=True):
    """How long the log is, and when its newest entry was made (ms; None while it is empty)."""

    size: int
    newest_at: int | None


class Change(msgspec.Struct, frozen=True):
    """What an entry is made of: `action` is noun.verb, `object` kind:name; the states before and after are JSON objects."""

    action: str
    object: str
    digest: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    reason: str = ""


class Damage(msgspec.Struct, frozen=True):
    """One damaged entry: its index (-1: the tree as a whole) and what is wrong with it."""

    index: int
    problem: str


class Verification(msgspec.Struct, frozen=True):
    """The result of checking the whole log: `ok`, its size, its root (hex) and what is damaged."""

    ok: bool
    size: int
    root: str
    damaged: list[Damage]


class StoredCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint as it is stored: `note` as the log signed it, `cosignatures` the lines that witnesses added."""

    size: int
    origin: str
    root: bytes
    note: str
    cosignatures: str
    made_at: int


class CheckpointView(msgspec.Struct, frozen=True):
    """A signed state of the log (C2SP tlog-checkpoint), with the key (`NAME+HASH+BASE64`) that signed it."""

    origin: str
    size: int
    root: str
    """Hex."""
    note: str
    """The signed note, with the lines of witnesses."""
    key: str
    made_at: int


class InclusionProof(msgspec.Struct, frozen=True):
    """That an entry is in the tree of the checkpoint (RFC 6962, 2.1.1). Hashes are hex, from the leaf upwards."""

    index: int
    leaf: str
    """The leaf's bytes, which are canonical JSON."""
    leaf_hash: str
    hashes: list[str]
    checkpoint: CheckpointView


class ConsistencyProof(msgspec.Struct, frozen=True):
    """That the tree of `second` entries begins with that of `first` (RFC 6962, 2.1.2). Hashes are hex."""

    first: int
    second: int
    hashes: list[str]


class KeyView(msgspec.Struct, frozen=True):
    """What may be known of a key: its current public half (hex; of the secret box the key id) and how it came about."""

    name: str
    kind: str
    """`ed25519` or `aes-256-gcm`."""
    current: str
    first: str
    """The public half, or key id, before any rotation."""
    rotations: list[Rotation]
