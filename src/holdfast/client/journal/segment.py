"""A file of records of a size that is fixed when it is made: written through mapped memory, read while it grows.

Layout v1, little-endian: 8 bytes `HFJRNL1\\n`, then records, each at a multiple of 8: length (uint32, the *commit
word*), CRC-32 of the payload, payload. The commit word is written last, so that a record is there whole or not at
all; the rest of the file is zeros. The disk space is taken as the file is made, so that a full disk is an error then
and not a signal that ends the process later.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from holdfast.kernel.errors import IntegrityError, Unavailable

__all__ = ["FIRST", "SEGMENT_SIZE", "SegmentReader", "SegmentWriter", "segment_path"]

SEGMENT_SIZE = 1 << 20
FIRST = 8
"""Where the first record of a segment stands."""
_RESERVE = 1024
_MAGIC = b"HFJRNL1\n"
_HEAD = struct.Struct("<II")
_WORD = struct.Struct("<I")


def segment_path(folder: Path, number: int) -> Path:
    """The file of a journal's segment; they are counted from 1."""
    return folder / f"{number:08d}.segment"


class SegmentWriter:
    """Appends to one segment. Not thread-safe: the journal has the lock.

    A record larger than a segment gets one of its own: `least` is the size of its payload. Raises Unavailable when
    the disk has no room.
    """

    def __init__(self, path: Path, least: int = 0) -> None:
        size = max(SEGMENT_SIZE, FIRST + _taken(least) + _RESERVE)
        # Under a name of its own until it is one: a reader, and a killed process, never leave half a segment.
        begun = path.with_name(f".new-{path.name}")
        try:
            fd = os.open(begun, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            try:
                _reserve(fd, size)
                os.lseek(fd, 0, os.SEEK_SET)
                os.write(fd, _MAGIC)
            finally:
                os.close(fd)
            begun.rename(path)
            with path.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), size)
        except OSError as error:
            begun.unlink(missing_ok=True)
            raise Unavailable(
                f"The journal can't grow at {str(path)!r}: {error.strerror}.",
                hint="Make room there, or choose another folder by HOLDFAST_JOURNAL.",
            ) from error
        self._size = size - _RESERVE
        self.end = FIRST
        """Where the next record will stand."""

    def append(self, payload: bytes) -> bool:
        """Write a record; False when it does not fit any more."""
        at = self.end
        size = len(payload)
        end = at + (size + 15 & -8)
        if end > self._size:
            return False
        target = self._map
        target[at + 4 : at + 8 + size] = _WORD.pack(zlib.crc32(payload)) + payload
        target[at : at + 4] = _WORD.pack(size)
        self.end = end
        return True

    def open_reserve(self) -> None:
        """Let the last record have the room that is kept for it, so that it needs none of a full disk."""
        self._size += _RESERVE

    def close(self) -> None:
        """Give the memory back; what is written stays, and nothing fits any more."""
        self._map.close()
        self._size = 0


class SegmentReader:
    """Reads one segment, of a living process or of one that has ended.

    Raises IntegrityError when the file is no segment.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self._map[:FIRST] != _MAGIC:
            raise IntegrityError(f"{str(path)!r} is not a segment of a journal.")

    def read(self, at: int = FIRST) -> Iterator[tuple[bytes, int]]:
        """(payload, where the next record stands) of each record from `at` on, to the last that is committed.

        Raises IntegrityError at a record that does not have its checksum.
        """
        size = len(self._map)
        while at + _HEAD.size < size:
            length, checksum = _HEAD.unpack_from(self._map, at)
            if length == 0:
                return
            payload = self._map[at + 8 : at + 8 + length]
            if len(payload) != length or zlib.crc32(payload) != checksum:
                raise IntegrityError(
                    f"The record at byte {at} of {str(self._path)!r} is damaged: its checksum does not fit.",
                    hint="What stands before it was delivered; the file is kept.",
                )
            at += _taken(length)
            yield payload, at

    def close(self) -> None:
        """Give the memory back."""
        self._map.close()


def _taken(length: int) -> int:
    """The bytes that a record takes with its head, up to the next multiple of 8."""
    return length + 15 & -8


def _reserve(fd: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
        return
    os.write(fd, bytes(size))  # macOS, Windows
