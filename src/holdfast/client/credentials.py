"""Tokens that `holdfast login` keeps, by server: a file in the user's home that nobody else can read."""

from __future__ import annotations

import json
import os
from pathlib import Path

from holdfast.client.home import own_folder
from holdfast.kernel.errors import Conflict, Unavailable

__all__ = ["drop_token", "keep_token", "kept_token"]


def kept_token(url: str) -> str:
    """The token kept for a server; empty without one."""
    return _load().get(_key(url), "")


def keep_token(url: str, token: str) -> Path:
    """Keep a token for a server, in place of the one before; where it stands."""
    return _save(_load() | {_key(url): token})


def drop_token(url: str) -> str:
    """Forget the token of a server; gives it, or an empty text when there was none."""
    kept = _load()
    token = kept.pop(_key(url), "")
    if token:
        _save(kept)
    return token


def _key(url: str) -> str:
    return url.rstrip("/").lower()


def _path() -> Path:
    return own_folder() / "credentials.json"


def _load() -> dict[str, str]:
    path = _path()
    try:
        kept = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Conflict(
            f"The file of kept tokens {path} can't be read: {error}.", hint="Delete it and log in again."
        ) from error
    return {str(url): str(token) for url, token in kept.items()} if isinstance(kept, dict) else {}


def _save(kept: dict[str, str]) -> Path:
    path = _path()
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(kept, file)
        temporary.replace(path)
    except OSError as error:
        raise Unavailable(f"The token can't be kept in {path}: {error.strerror}.") from error
    return path
