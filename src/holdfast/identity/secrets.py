"""Secrets of 256 random bits: made once, told once, kept as their SHA-256."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path

from holdfast.kernel.errors import Conflict
from holdfast.kernel.ids import new_id

__all__ = ["TOKEN_PREFIX", "digest_of", "ensure_secret_file", "new_secret", "new_token"]

TOKEN_PREFIX = "holdfast_"
"""What every API token begins with, so that scanners of leaked secrets can tell one."""
_SECRET = re.compile(r"[0-9a-f]{64}")


def new_secret() -> str:
    """256 random bits as text for addresses and cookies."""
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """The secret of a new API token."""
    return TOKEN_PREFIX + new_secret()


def digest_of(secret: str) -> str:
    """What is kept of a secret: its SHA-256. Enough for 256 random bits; a password needs argon2."""
    return hashlib.sha256(secret.encode()).hexdigest()


def ensure_secret_file(path: Path) -> str:
    """The secret in a file such as `admin.token`, made on first use: 64 hex digits, readable by its owner alone.

    Raises Conflict when the file holds something else: a short secret could be guessed, an empty one is none.
    """
    if not path.exists():
        _write(path)
    try:
        secret = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Conflict(f"The file {path} can't be read: {error}.", hint="Check its rights.") from error
    if not _SECRET.fullmatch(secret):
        raise Conflict(
            f"The file {path} does not hold a secret of this server (64 hex digits).",
            hint="Delete it; the server makes a new one at its start.",
        )
    path.chmod(0o600)
    return secret


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{new_id()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(os.urandom(32).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)  # of two processes, the first one's secret stays
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
