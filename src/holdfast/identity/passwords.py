"""Passwords: argon2id at rest, checked at login alone and in the same time whether the user exists or not."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from holdfast.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = ["Passwords", "check_password"]

_SHORTEST, _LONGEST = 10, 1000
_AT_ONCE = 2


def check_password(password: str, name: str) -> str:
    """The password itself when a user may have it. Raises InvalidInput; the message never holds the password."""
    if not _SHORTEST <= len(password) <= _LONGEST or "\0" in password:
        raise InvalidInput(
            f"The password has {len(password)} characters.",
            hint=f"Use {_SHORTEST} to {_LONGEST}; several words are easy to keep.",
        )
    if name and name.lower() in password.lower() and len(password) < len(name) + _SHORTEST:
        raise InvalidInput("The password is little more than the user's name.", hint="Use several words.")
    return password


class Passwords:
    """Hashing and checking, two at a time: each takes 64 MB and a tenth of a second. Thread-safe."""

    def __init__(self) -> None:
        self._turns = threading.Semaphore(_AT_ONCE)

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher  # where the first password is

        return PasswordHasher()

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("the password of nobody")

    def make_hash(self, password: str) -> str:
        """The argon2id hash with its salt and parameters."""
        with self._turns:
            return self._hasher.hash(password)

    def is_right(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one behind the hash; without a hash it takes as long, and is wrong."""
        from argon2.exceptions import InvalidHashError, VerifyMismatchError

        with self._turns:
            try:
                return self._hasher.verify(stored or self._nobodys, password) and stored is not None
            except (VerifyMismatchError, InvalidHashError):
                return False

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(stored)
