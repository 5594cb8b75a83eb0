"""SHA-256 of bytes and files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from holdfast.kernel.hashing import is_sha256, sha256_file, sha256_hex

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_known_digests() -> None:
    assert sha256_hex(b"") == EMPTY
    assert sha256_hex(memoryview(b"abc")) == hashlib.sha256(b"abc").hexdigest()


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9_000
    (tmp_path / "data").write_bytes(data)
    assert sha256_file(tmp_path / "data") == sha256_hex(data)


def test_what_is_a_digest() -> None:
    assert is_sha256(EMPTY)
    assert not any(is_sha256(text) for text in ("", EMPTY[:-1], EMPTY + "0", EMPTY.upper(), EMPTY + "\n"))
