"""The storage of identity: whoever is at the door hears of every change at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from holdfast.storage import Storage, Tx

__all__ = ["Watched"]

T = TypeVar("T")


class Watched:
    """A storage that calls `changed` after every write, failed ones too."""

    def __init__(self, storage: Storage, changed: Callable[[], None]) -> None:
        self._storage = storage
        self._changed = changed

    def read(self, fn: Callable[[Tx], T]) -> T:
        """As `Storage.read`."""
        return self._storage.read(fn)

    def write(self, fn: Callable[[Tx], T]) -> T:
        """As `Storage.write`."""
        try:
            return self._storage.write(fn)
        finally:
            self._changed()
