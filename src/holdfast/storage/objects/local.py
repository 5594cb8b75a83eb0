"""Objects in a local folder: written, synced, then their folder synced, then answered."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from holdfast.kernel.errors import NotFound, Unavailable
from holdfast.kernel.ids import new_id
from holdfast.storage.objects.backend import Entry, Part

__all__ = ["LocalBackend"]

# So many for one writer that a disk which hesitates does not hold up what is received.
_BUFFER, _BUFFERS, _KEPT, _ALIGNED = 4 << 20, 5, 6, 4096
_FOLDERS = ("loose", "packs")


class LocalBackend:
    """A folder with one file per key."""

    block = 1 << 20

    def __init__(self, root: Path) -> None:
        self.url = str(root)
        self.root = root
        with _writing(root):
            for folder in _FOLDERS:
                (root / folder).mkdir(parents=True, exist_ok=True)
            _sync_folder(root)
        self._writers = ThreadPoolExecutor(4, thread_name_prefix="holdfast-objects")
        self._buffers = _Buffers()

    def put(self, key: str, parts: Sequence[Part]) -> None:
        if sum(map(len, parts)) > _BUFFER:
            writer = self.writer(key)
            try:
                for part in parts:
                    writer.write(part)
                writer.commit()
            finally:
                writer.abort()
            return
        with _writing(self.root):
            path = self.root / key
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                _write_at(fd, memoryview(b"".join(parts)), 0)
                os.fsync(fd)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            finally:
                os.close(fd)
            _sync_folder(path.parent)

    def put_new(self, key: str, data: bytes) -> bool:
        temporary = f"{key}.{new_id()}"
        self.put(temporary, [data])
        try:
            with _writing(self.root):
                os.link(self.root / temporary, self.root / key)
                _sync_folder((self.root / key).parent)
        except FileExistsError:
            return False
        finally:
            self.delete([temporary])
        return True

    def writer(self, key: str) -> _LocalWriter:
        return _LocalWriter(self.root, self.root / key, self._writers, self._buffers)

    def read(self, key: str, start: int, length: int) -> bytes:
        with self._open(key) as fd:
            return os.pread(fd, length, start)

    def size(self, key: str) -> int:
        try:
            return (self.root / key).stat().st_size
        except FileNotFoundError:
            raise _no_key(key) from None

    def delete(self, keys: Sequence[str]) -> None:
        with _writing(self.root):
            for key in keys:
                (self.root / key).unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[Entry]:
        try:
            with os.scandir(self.root / prefix) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        yield from self.list(f"{prefix}/{entry.name}")
                        continue
                    try:
                        found = entry.stat()
                    except FileNotFoundError:  # deleted since the folder was read
                        continue
                    yield Entry(f"{prefix}/{entry.name}", found.st_size, found.st_mtime_ns // 1_000_000)
        except (FileNotFoundError, NotADirectoryError):
            return

    def presign(self, key: str, seconds: int) -> None:
        return None

    def is_conditional(self) -> bool:
        return True

    def check(self) -> None:
        for folder in _FOLDERS:
            if not os.access(self.root / folder, os.R_OK | os.W_OK | os.X_OK):
                raise Unavailable(
                    f"The folder {self.root / folder} of the object store is missing or can't be written.",
                    hint="Check the disk and the rights of the data folder.",
                )

    def table(self, name: str) -> str:
        path = self.root / name
        with _writing(self.root):
            path.mkdir(parents=True, exist_ok=True)
        return str(path)

    def sync(self) -> None:
        """Make names that were changed by hand durable."""
        for folder in _FOLDERS:
            _sync_folder(self.root / folder)

    @contextmanager
    def _open(self, key: str) -> Iterator[int]:
        try:
            fd = os.open(self.root / key, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise _no_key(key) from None
        except OSError as error:
            raise Unavailable(f"The object store can't be read: {error.strerror}.") from error
        try:
            yield fd
        except OSError as error:
            raise Unavailable(f"The object store can't be read: {error.strerror}.") from error
        finally:
            os.close(fd)


class _LocalWriter:
    """Writes to the file itself: until the row names it, nobody looks.

    A few blocks are written at commit. Many go to the disk past the page cache, several at once, from aligned buffers:
    the bytes have to be on disk before the answer, and a cache full of them would hold up everybody's syncs.
    """

    def __init__(self, root: Path, path: Path, pool: ThreadPoolExecutor, free: _Buffers) -> None:
        self._root, self._path, self._pool, self._free = root, path, pool, free
        self._fd: int | None = None
        self._buffers: list[mmap.mmap] = []
        self._writing: list[Future[None] | None] = [None] * _BUFFERS
        self._turn = self._fill = self._offset = 0
        self._is_direct = True
        self._begin()

    def write(self, block: Part) -> None:
        end = self._fill + len(block)
        if end < _BUFFER:
            self._buffers[self._turn][self._fill : end] = block
            self._fill = end
            return
        view = memoryview(block)
        while view:
            taken = min(len(view), _BUFFER - self._fill)
            self._buffers[self._turn][self._fill : self._fill + taken] = view[:taken]
            self._fill += taken
            view = view[taken:]
            if self._fill == _BUFFER:
                with _writing(self._root):
                    self._send(_BUFFER)
                self._next_buffer()

    def commit(self) -> None:
        try:
            with _writing(self._root):
                size = self._offset + self._fill
                if self._fill:
                    is_padded = self._offset > 0 and self._is_direct
                    self._send(-(-self._fill // _ALIGNED) * _ALIGNED if is_padded else self._fill)
                self._settle()
                assert self._fd is not None
                if size != self._offset:
                    os.ftruncate(self._fd, size)
                os.fsync(self._fd)
                self._close()
                _sync_folder(self._path.parent)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        if self._fd is None:
            return
        try:
            self._settle()
        except OSError:  # the bytes are dropped anyway
            pass
        self._close()
        self._path.unlink(missing_ok=True)

    def _begin(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with _writing(self._root):
            self._fd = os.open(self._path, flags, 0o600)
        self._next_buffer()

    def _next_buffer(self) -> None:
        """Turn to the next buffer, once what was in it is written."""
        self._turn = (self._turn + 1) % _BUFFERS if self._buffers else 0
        if self._turn == len(self._buffers):
            self._buffers.append(self._free.take())
        writing, self._writing[self._turn] = self._writing[self._turn], None
        if writing is not None:
            with _writing(self._root):
                writing.result()

    def _send(self, length: int) -> None:
        """Have the buffer written at its place in the file."""
        assert self._fd is not None
        if self._offset == 0:
            self._is_direct = length == _BUFFER and _set_direct(self._fd)
        part = memoryview(self._buffers[self._turn])[:length]
        self._writing[self._turn] = self._pool.submit(_write_at, self._fd, part, self._offset)
        self._offset += length
        self._fill = 0

    def _settle(self) -> None:
        """Wait for writes under way: they must not meet another file under the same descriptor."""
        writing, self._writing = self._writing, [None] * _BUFFERS
        futures.wait([one for one in writing if one is not None])
        for one in writing:
            if one is not None:
                one.result()

    def _close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
        buffers, self._buffers = self._buffers, []
        self._free.give_back(buffers)


class _Buffers:
    """Aligned memory to write from. A few buffers are kept for the next writer: new memory costs more than to fill it."""

    def __init__(self) -> None:
        self._free: list[mmap.mmap] = []

    def take(self) -> mmap.mmap:
        """A buffer of `_BUFFER` bytes."""
        try:
            return self._free.pop()
        except IndexError:
            return mmap.mmap(-1, _BUFFER)

    def give_back(self, buffers: Sequence[mmap.mmap]) -> None:
        """Take buffers back that nothing reads or writes any more."""
        self._free += buffers[: max(0, _KEPT - len(self._free))]


def _set_direct(fd: int) -> bool:
    """Bypass the page cache from now on; False where the file system or the system can't."""
    flag = getattr(os, "O_DIRECT", 0)
    if not flag:
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | flag)
    except OSError:
        return False
    return True


def _write_at(fd: int, part: memoryview, offset: int) -> None:
    while part:
        written = os.pwrite(fd, part, offset)
        part, offset = part[written:], offset + written


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise Unavailable(
            f"The object store {root} can't be written: {error.strerror}.",
            hint="Free space on its disk." if full else "Check the space and rights of the data folder.",
            retry_after_s=10,
        ) from error


def _no_key(key: str) -> NotFound:
    return NotFound(f"The object store has no {key}.")


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
