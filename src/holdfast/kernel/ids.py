"""Identifiers: UUIDv7 (RFC 9562, section 5.7), ordered by time of creation."""

from __future__ import annotations

import os
import threading
import time

__all__ = ["new_id", "uuid7"]

_lock = threading.Lock()
_last = 0


def _next_stamp() -> int:
    """A strictly increasing count of 1/4096 ms since the epoch: 48 bits of ms and 12 bits of fraction."""
    global _last
    stamp = time.time_ns() * 4096 // 1_000_000
    with _lock:
        _last = stamp = max(stamp, _last + 1)
    return stamp


def _after_fork() -> None:
    """Another thread of the parent may have held the lock, and is not here to let it go."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def uuid7() -> str:
    """A new UUIDv7 as canonical text. Later calls in one process compare greater (monotonic, thread-safe)."""
    stamp = _next_stamp()
    random = int.from_bytes(os.urandom(8), "big") >> 2
    value = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | random
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_id(prefix: str = "") -> str:
    """A new identifier of 32 hex digits, time-ordered, behind `prefix`."""
    return prefix + uuid7().replace("-", "")
