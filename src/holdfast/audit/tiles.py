"""The hashes of a log as tiles (C2SP tlog-tiles): static files of 256 hashes each, for mirrors and monitors. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.audit.merkle import node_hash

__all__ = ["tiles_of"]

_WIDTH = 256


def tiles_of(leaves: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """Every tile of the tree over these leaf hashes as (path, bytes): `tile/LEVEL/INDEX`, the last of a level partial."""
    hashes, level = list(leaves), 0
    while hashes:
        for start in range(0, len(hashes), _WIDTH):
            tile = hashes[start : start + _WIDTH]
            partial = "" if len(tile) == _WIDTH else f".p/{len(tile)}"
            yield f"tile/{level}/{_index_path(start // _WIDTH)}{partial}", b"".join(tile)
        full = len(hashes) // _WIDTH
        hashes = [_root(hashes[at * _WIDTH : (at + 1) * _WIDTH]) for at in range(full)]
        level += 1


def _root(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def _index_path(index: int) -> str:
    """The index in groups of three digits, all but the last with an x: 1234067 is x001/x234/067."""
    parts = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        parts.insert(0, f"x{index % 1000:03d}")
    return "/".join(parts)
