"""The one file of a backup: members under names, compressed, each with its SHA-256, and one over the whole file.

Form 1: a zstd stream of a POSIX tar, whose last member `manifest` has a line `SHA256 SIZE NAME` for each member before
it; then a skippable zstd frame of 32 bytes, the SHA-256 of all bytes before it. `zstd -d | tar x` unpacks it.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

import zstandard

from holdfast.kernel.errors import Conflict, IntegrityError, NotFound, Unavailable

__all__ = ["ArchiveWriter", "check_archive", "read_archive"]

_MANIFEST = "manifest"
_FRAME = (0x184D2A5B).to_bytes(4, "little") + (32).to_bytes(4, "little")
_BLOCK = 1 << 20


class ArchiveWriter:
    """Writes the file beside its name and gives it the name at the end: it is whole, durable and there, or not there.

    For its owner alone (0600). Raises Conflict when the name is taken, Unavailable when it can't be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        if path.exists():
            raise Conflict(f"The file {path} is there already.", hint="Give another name, or move it away.")
        self._manifest: list[str] = []
        self.members = self.member_bytes = 0

    def __enter__(self) -> ArchiveWriter:
        try:
            fd = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error
        self._file = _Digesting(os.fdopen(fd, "wb"))
        compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
        self._stream = compressor.stream_writer(cast("IO[bytes]", self._file), closefd=False)
        self._tar = tarfile.open(fileobj=self._stream, mode="w|", format=tarfile.PAX_FORMAT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as failed:
            raise self._unwritable(failed) from failed
        finally:
            self._file.raw.close()
            self._partial.unlink(missing_ok=True)

    def add(self, name: str, data: bytes) -> str:
        """Add a member; its SHA-256."""
        return self.add_stream(name, len(data), iter((data,)))

    def add_stream(self, name: str, size: int, blocks: Iterable[bytes | memoryview]) -> str:
        """Add a member of exactly `size` bytes; its SHA-256. Raises IntegrityError when the blocks are fewer."""
        source = _Blocks(blocks)
        member = tarfile.TarInfo(name)
        member.size = size
        try:
            self._tar.addfile(member, cast("IO[bytes]", source))
        except OSError as error:
            if source.failed:
                raise
            if source.size < size:
                raise IntegrityError(f"{name} has {source.size} bytes instead of {size}.") from error
            raise self._unwritable(error) from error
        digest = source.digest.hexdigest()
        self._manifest.append(f"{digest} {size} {name}\n")
        self.members += 1
        self.member_bytes += size
        return digest

    def _finish(self) -> None:
        data = "".join(self._manifest).encode()
        member = tarfile.TarInfo(_MANIFEST)
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))
        self._tar.close()
        self._stream.close()  # type: ignore[no-untyped-call]
        self._file.raw.write(_FRAME + self._file.digest.digest())
        self._file.raw.flush()
        os.fsync(self._file.raw.fileno())
        self._partial.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _unwritable(self, error: OSError) -> Unavailable:
        return Unavailable(
            f"The backup {self._path} can't be written: {error.strerror or error}.",
            hint="Give a file on a disk with enough space, in a folder that you may write to.",
        )


def check_archive(path: Path, told: Callable[[int, int], None] = lambda _done, _size: None) -> None:
    """Read the whole file and compare it with its digest; `told` hears of (bytes read, bytes in all).

    Raises NotFound, or IntegrityError when it is no backup, was cut short, or any bit of it differs.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            digest, left = hashlib.sha256(), size - len(_FRAME) - 32
            while left > 0 and (block := file.read(min(_BLOCK, left))):
                digest.update(block)
                left -= len(block)
                told(size - left, size)
            end = file.read()
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.") from None
    except OSError as error:
        raise Unavailable(f"The backup {path} can't be read: {error.strerror}.") from error
    if end[: len(_FRAME)] != _FRAME or len(end) != len(_FRAME) + 32:
        raise IntegrityError(
            f"The file {path} is no backup of holdfast, or was cut short.", hint="Use another copy of it."
        )
    if end[len(_FRAME) :] != digest.digest():
        raise IntegrityError(
            f"The backup {path} is damaged: its bytes have another digest.", hint="Use another copy of it."
        )


def read_archive(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """(name, size, its bytes as a file) of each member, in order; each has to be read before the next is asked for.

    At the end everything that was read has been compared with the manifest. Raises IntegrityError.
    """
    seen: dict[str, tuple[str, int]] = {}
    try:
        with (
            path.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file) as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            for member in tar:
                inner = tar.extractfile(member)
                if inner is None:
                    raise IntegrityError(f"The backup's member {member.name!r} is no file.")
                if member.name == _MANIFEST:
                    _compare(path, inner.read().decode(), seen)
                    return
                reader = _Hashed(inner)
                yield member.name, member.size, cast("IO[bytes]", reader)
                seen[member.name] = (reader.digest.hexdigest(), reader.size)
    except (tarfile.TarError, zstandard.ZstdError, EOFError, UnicodeDecodeError) as error:
        raise IntegrityError(f"The backup {path} can't be read: {error}.") from error
    raise IntegrityError(f"The backup {path} has no manifest: it was cut short.")


def _compare(path: Path, manifest: str, seen: dict[str, tuple[str, int]]) -> None:
    said = dict[str, tuple[str, int]]()
    for line in manifest.splitlines():
        digest, size, name = line.split(" ", 2)
        said[name] = (digest, int(size))
    different = sorted(name for name in said.keys() | seen.keys() if said.get(name) != seen.get(name))
    if different:
        raise IntegrityError(f"The backup {path} is damaged: {different[0]} is not what its manifest says.")


class _Blocks:
    """Blocks as the file that tar reads from, hashed on the way."""

    def __init__(self, blocks: Iterable[bytes | memoryview]) -> None:
        self._blocks = iter(blocks)
        self._rest = b""
        self.digest, self.size, self.failed = hashlib.sha256(), 0, False

    def read(self, most: int) -> bytes:
        while len(self._rest) < most:
            try:
                block = next(self._blocks, None)
            except BaseException:
                self.failed = True
                raise
            if block is None:
                break
            self._rest += bytes(block)
        data, self._rest = self._rest[:most], self._rest[most:]
        self.digest.update(data)
        self.size += len(data)
        return data


class _Digesting:
    """A file that is hashed as it is written."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.raw, self.digest = raw, hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self.raw.write(data)

    def flush(self) -> None:
        self.raw.flush()


class _Hashed:
    """A member that is hashed as it is read."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner = inner
        self.digest, self.size = hashlib.sha256(), 0

    def read(self, most: int = -1) -> bytes:
        data = self._inner.read(most)
        self.digest.update(data)
        self.size += len(data)
        return data
