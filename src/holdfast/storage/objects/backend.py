"""What an object store must do for us, wherever the bytes lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from holdfast.kernel.errors import InvalidInput

__all__ = ["Backend", "Entry", "Part", "Writer", "open_backend"]

Part = bytes | memoryview
_REMOTE = ("s3://", "gs://", "az://", "memory://")


class Entry(msgspec.Struct, frozen=True):
    """One stored key: its size in bytes and when it was last written (ms)."""

    key: str
    size: int
    modified_ms: int


class Writer(Protocol):
    """One key on its way. What is not committed does not stay."""

    def write(self, block: Part) -> None:
        """Add bytes; they may be written later, but are never held beyond a bound."""
        ...

    def commit(self) -> None:
        """Make the whole key durable and visible; returns after both."""
        ...

    def abort(self) -> None:
        """Drop what was written; no error when it was committed or dropped already."""
        ...


class Backend(Protocol):
    """Bytes under keys. Thread-safe.

    `Objects` writes a key once, under a new name, and never changes it; so no method needs more than that: what was
    acknowledged is durable and is read back whole, a key is not there until it is whole or its writer was killed, and
    deleting is idempotent. Every method raises Unavailable when the store can't be reached or written, and reads raise
    NotFound for a key that is not there.
    """

    url: str
    """Where it is, as `--objects` names it."""
    block: int
    """How many bytes a read in order should take at a time."""

    def put(self, key: str, parts: Sequence[Part]) -> None:
        """Write a new key; durable before it returns."""
        ...

    def put_new(self, key: str, data: bytes) -> bool:
        """Write a key unless it exists; whether it was written. Atomic where `is_conditional()`."""
        ...

    def writer(self, key: str) -> Writer:
        """A new key from blocks, whose memory is bounded."""
        ...

    def read(self, key: str, start: int, length: int) -> Part:
        """The bytes from `start` on, at most `length`, fewer at the end of the key."""
        ...

    def size(self, key: str) -> int:
        """The size of a key."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Remove keys; those that are gone already are no error."""
        ...

    def list(self, prefix: str) -> Iterator[Entry]:
        """Every key below the folder `prefix`, at any depth; none when there is no such folder."""
        ...

    def presign(self, key: str, seconds: int) -> str | None:
        """An address that gives the key to whoever has it for so long; None where there is none."""
        ...

    def is_conditional(self) -> bool:
        """Whether the store keeps a key that exists from being created again; found by trying it once."""
        ...

    def check(self) -> None:
        """Raises Unavailable when the store can't be reached now."""
        ...

    def table(self, name: str) -> str:
        """The address of the Delta table of this name."""
        ...


def open_backend(where: str | Path) -> Backend:
    """The store at a folder, or at `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, `memory://`.

    Credentials come from the environment that the stores' own tools read. Raises InvalidInput for another scheme.
    """
    text = str(where)
    if text.startswith(_REMOTE):
        from holdfast.storage.objects.remote import RemoteBackend  # obstore is loaded where it is used alone

        return RemoteBackend(text)
    if "://" in text:
        raise InvalidInput(
            f"The object store {text[:120]!r} has no scheme that holdfast knows.",
            hint="Give a folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.",
        )
    from holdfast.storage.objects.local import LocalBackend

    return LocalBackend(Path(text).expanduser().absolute())
