"""SHA-256, the one digest that names content everywhere."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

__all__ = ["is_sha256", "sha256_file", "sha256_hex"]

_HEX = re.compile(r"[0-9a-f]{64}")


def sha256_hex(data: bytes | memoryview) -> str:
    """The SHA-256 of `data` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return (
            hashlib.file_digest(file, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else _blocks(file)
        )


def _blocks(file: object) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):  # type: ignore[attr-defined]
        digest.update(block)
    return digest.hexdigest()


def is_sha256(text: str) -> bool:
    """Whether `text` is 64 lower-case hex digits."""
    return _HEX.fullmatch(text) is not None
