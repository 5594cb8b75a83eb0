"""What is said about stored objects."""

from __future__ import annotations

import msgspec

__all__ = ["Blob", "Damage", "Stats", "Stored"]


class Blob(msgspec.Struct, frozen=True, gc=False):
    """Stored bytes: their SHA-256 (hex) and size."""

    sha256: str
    size: int


class Stored(msgspec.Struct, frozen=True):
    """One object in the list of all: `packed` when it lies as chunks in packs; last put at `touched_at` (ms)."""

    sha256: str
    size: int
    packed: bool
    touched_at: int


class Stats(msgspec.Struct, frozen=True):
    """How much a store holds. `object_bytes` is what was given to it; loose objects and packs are what it takes."""

    url: str
    objects: int
    object_bytes: int
    loose: int
    loose_bytes: int
    packs: int
    pack_bytes: int
    chunks: int
    chunk_bytes: int
    conditional_put: bool
    """Whether the store keeps a key that exists from being created again."""


class Damage(msgspec.Struct, frozen=True):
    """What a verification found wrong: an object's digest or a pack's id, what it is, and what refers to it."""

    name: str
    problem: str
    referrers: list[str] = []
