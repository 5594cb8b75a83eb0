"""The audit log's nouns."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["AuditEntry", "Damage", "LogHead", "Verification"]


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
