"""Many small files in few requests."""

from __future__ import annotations

import mmap
import os
import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from holdfast.chunks import bundle_head
from holdfast.client.transport import Parts
from holdfast.kernel.errors import InvalidInput

__all__ = ["files_below", "send_bundles"]

_SMALL, _FIRST = 4 << 20, 64 << 10
_MOST_BYTES = 24 << 20
_MOST_FILES = 2000
_CONNECTIONS = 3  # one more than a server works on at a time: the next bundle travels meanwhile


def files_below(root: str, top: str) -> Iterator[tuple[str, str]]:
    """(path below `top`, file) of every file in a folder and its folders, in the order of their names.

    Links to files count as files; links to folders, and what is neither file nor folder, are left out.
    """
    with os.scandir(root) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(entry.path, f"{top}/{entry.name}")
        elif entry.is_file():
            yield f"{top}/{entry.name}", entry.path


def send_bundles(
    files: Iterable[tuple[str, str | Path]], send: Callable[[Parts], None]
) -> list[tuple[str, str | Path]]:
    """Send the small files in bundles over a few connections; gives the files that are too large for one.

    Raises InvalidInput for a file that can't be read, and what `send` raises first.
    """
    large: list[tuple[str, str | Path]] = []
    free: queue.SimpleQueue[_Bundle] = queue.SimpleQueue()
    for _ in range(_CONNECTIONS + 1):
        free.put(_Bundle())

    def deliver(bundle: _Bundle) -> None:
        try:
            send(bundle.body())
        finally:
            bundle.clear()
            free.put(bundle)

    with ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="holdfast-upload") as pool:
        sent: deque[Future[None]] = deque()
        try:
            bundle = free.get()
            for path, file in files:
                if bundle.is_full():
                    sent.append(pool.submit(deliver, bundle))
                    bundle = free.get()
                    while sent and sent[0].done():
                        sent.popleft().result()
                if not bundle.add(path, file):
                    large.append((path, file))
            if bundle.heads:
                sent.append(pool.submit(deliver, bundle))
            for one in sent:
                one.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return large


class _Bundle:
    """One request in the making. Files are read to where they are sent from, and the memory is used again."""

    def __init__(self) -> None:
        self.heads: list[tuple[str, int]] = []
        self._size = 0
        # No memory until it is written to, so that a small bundle takes little.
        self._data = memoryview(mmap.mmap(-1, _MOST_BYTES + _SMALL + 1))

    def is_full(self) -> bool:
        """Whether it is to be sent before another file is added."""
        return self._size > _MOST_BYTES - _SMALL or len(self.heads) == _MOST_FILES

    def add(self, path: str, file: str | Path) -> bool:
        """Add a small file; False for a large one."""
        size = _read(file, self._data[self._size : self._size + _SMALL + 1])
        if size > _SMALL:
            return False
        self.heads.append((path, size))
        self._size += size
        return True

    def body(self) -> Parts:
        """What is sent."""
        return [bundle_head(self.heads), self._data[: self._size]]

    def clear(self) -> None:
        """Begin anew."""
        self.heads, self._size = [], 0


def _read(file: str | Path, target: memoryview) -> int:
    """Read a file into memory that ends before a large one does: its size, of a large one perhaps without reading it."""
    try:
        fd = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            size = _read_into(fd, target[:_FIRST])
            if size == _FIRST and (stated := os.fstat(fd).st_size) > _SMALL:
                return stated
            while size < len(target) and (more := _read_into(fd, target[size:])):
                size += more
            return size
        finally:
            os.close(fd)
    except OSError as error:
        raise InvalidInput(f"The file {str(file)!r} can't be read: {error.strerror}.") from error


def _read_into(fd: int, target: memoryview) -> int:
    if hasattr(os, "readv"):
        return os.readv(fd, [target])
    data = os.read(fd, len(target))  # Windows
    target[: len(data)] = data
    return len(data)
