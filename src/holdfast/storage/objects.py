"""Objects: bytes named by their SHA-256 in a local folder, durable before the answer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import msgspec

from holdfast.kernel.errors import IntegrityError, InvalidInput, NotFound, PayloadTooLarge, Unavailable
from holdfast.kernel.hashing import is_sha256, sha256_hex
from holdfast.kernel.ids import new_id

__all__ = ["Blob", "Objects"]

_BLOCK = 1 << 20


class Blob(msgspec.Struct, frozen=True):
    """Stored bytes: their SHA-256 (hex) and size."""

    sha256: str
    size: int


class Objects:
    """A content-addressed store in a folder.

    A put writes to a temporary file, syncs it, renames it into place and syncs the folder, so that an object
    is there whole or not at all, and stays after a power cut. Putting the same bytes again is cheap and safe,
    also from several processes. Nothing is ever overwritten.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "sha256"
        self._incoming = root / "incoming"
        for folder in (self._blobs, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> Blob:
        """Store `data`; returns after it is durable."""
        blob = Blob(sha256_hex(data), len(data))
        if not self._has(blob):
            return self._write(iter((data,)), None)
        # Another writer may have put it there a moment ago, and not have synced the folder yet.
        _sync_folder(self.path(blob.sha256).parent)
        return blob

    def put_stream(self, blocks: Iterable[bytes], most: int | None = None) -> Blob:
        """Store the bytes of `blocks`, which are never held in memory together.

        Raises PayloadTooLarge when they are more than `most` bytes; then nothing is kept.
        """
        return self._write(blocks, most)

    def put_file(self, path: Path) -> Blob:
        """Store the bytes of a file."""
        with path.open("rb") as file:
            return self._write(iter(lambda: file.read(_BLOCK), b""), None)

    def get(self, sha256: str) -> bytes:
        """The bytes behind a digest, checked against it. Raises NotFound, or IntegrityError when they differ."""
        with self.open(sha256) as file:
            data = file.read()
        if sha256_hex(data) != sha256:
            raise IntegrityError(
                f"The object {sha256} is damaged: its bytes have another digest.",
                hint=f"Restore the file {self.path(sha256).name} of the object store from a backup.",
            )
        return data

    def open(self, sha256: str) -> BinaryIO:
        """The bytes behind a digest as a file opened for reading, not checked. Raises NotFound."""
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError:
            raise NotFound(f"There is no object {sha256}.") from None

    def exists(self, sha256: str) -> bool:
        """Whether the object is stored."""
        return self.path(sha256).is_file()

    def path(self, sha256: str) -> Path:
        """Where the object stands, or would stand."""
        if not is_sha256(sha256):
            raise InvalidInput(f"{sha256[:80]!r} is not a SHA-256 in lower-case hex.")
        return self._blobs / sha256[:2] / sha256[2:4] / sha256

    def delete(self, sha256: str) -> None:
        """Remove an object that nothing refers to; no error when it is gone already."""
        self.path(sha256).unlink(missing_ok=True)

    @property
    def url(self) -> str:
        """Where the bytes are."""
        return str(self.root)

    def check(self) -> None:
        """Raises Unavailable when the store can't be reached now."""
        for folder in (self._blobs, self._incoming):
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise Unavailable(
                    f"The folder {folder} of the object store is missing or can't be written.",
                    hint="Check the disk and the rights of the data folder.",
                )

    def table(self, kind: str, owner: str) -> Path:
        """The folder of a Delta table: `<root>/<kind>/<owner>`."""
        return self.root / kind / owner

    def clean(self, older_than_s: float, now_s: float) -> int:
        """Remove temporary files that writers left behind when they were killed; how many."""
        count = 0
        for path in self._incoming.iterdir():
            try:
                if path.stat().st_mtime < now_s - older_than_s:
                    path.unlink()
                    count += 1
            except FileNotFoundError:  # its writer has finished meanwhile
                continue
        return count

    def _has(self, blob: Blob) -> bool:
        try:
            return self.path(blob.sha256).stat().st_size == blob.size
        except FileNotFoundError:
            return False

    def _write(self, blocks: Iterable[bytes], most: int | None) -> Blob:
        temporary = self._incoming / new_id()
        digest, size = hashlib.sha256(), 0
        try:
            with temporary.open("xb", buffering=0) as file:
                for block in blocks:
                    digest.update(block)
                    size += len(block)
                    if most is not None and size > most:
                        raise PayloadTooLarge(
                            f"The body is larger than {most} bytes.", hint="Send it in parts."
                        )
                    _write_all(file.fileno(), block)
                os.fsync(file.fileno())
            blob = Blob(digest.hexdigest(), size)
            self._move(temporary, self.path(blob.sha256))
        except OSError as error:
            raise Unavailable(
                f"The object store can't be written: {error.strerror}.",
                hint="Check the space and rights of the data folder.",
                retry_after_s=10,
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        return blob

    def _move(self, temporary: Path, final: Path) -> None:
        if not final.parent.is_dir():
            final.parent.mkdir(parents=True, exist_ok=True)
            _sync_folder(final.parent.parent)
            _sync_folder(self._blobs)
        temporary.replace(final)
        _sync_folder(final.parent)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
