"""The data folder: made, checked, and locked, so that two servers never share one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.kernel.errors import Conflict, Unavailable

__all__ = ["hold_folder"]


@contextmanager
def hold_folder(data: Path) -> Iterator[Path]:
    """Make the folder when it is missing and hold its lock while the block runs.

    Raises Unavailable when it can't be written, Conflict when another server holds it.
    """
    data = data.expanduser().absolute()
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(data / "holdfast.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Unavailable(
            f"The data folder {data} can't be written: {error.strerror}.",
            hint="Give a folder that you may write to with --data.",
        ) from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            raise Conflict(
                f"The data folder {data} is in use by another holdfast server (process {holder or 'unknown'}).",
                hint="Stop that one, or give another folder with --data.",
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield data
    finally:
        os.close(fd)
