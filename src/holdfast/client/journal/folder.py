"""The journal of one run by one process: a folder of segments, files that wait for their upload, and a lock.

The lock is held by the process that writes, and let go by the system however that one ends: who gets it may ship what
is left.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from holdfast.client.home import own_folder
from holdfast.client.journal.records import (
    POINT,
    POINTS,
    Operation,
    key_record,
    operation_record,
    points_record,
    stepped_record,
)
from holdfast.client.journal.segment import SegmentWriter, segment_path
from holdfast.kernel.errors import Conflict, HoldfastError, Unavailable
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.ids import new_id

__all__ = [
    "MOST_AT_ONCE",
    "Head",
    "Journal",
    "journal_root",
    "list_journals",
    "remove_journal",
    "remove_litter",
    "take_lock",
]

MOST_AT_ONCE = 1000
"""Points in a record, and in a request."""
_HEAD, _LOCK, _NEW, _DONE = "run.json", "lock", ".new-", ".done-"


class Head(msgspec.Struct, frozen=True):
    """Of which run a journal is, and where it is to go."""

    run_id: str
    url: str
    workspace: str = ""
    is_offline: bool = False
    """It waits until somebody calls `holdfast sync`."""
    is_owned: bool = True
    """The run ends with the process: when that one was killed, so was the run."""
    format: int = 1


def journal_root() -> Path:
    """Where journals stand: HOLDFAST_JOURNAL, or the folder `journal` of HOLDFAST_HOME, by default ~/.holdfast; the
    temporary folder where that can't be written."""
    given = os.environ.get("HOLDFAST_JOURNAL")
    if given:
        return Path(given)
    home = own_folder()
    try:
        (home / "journal").mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return _temporary()
    return home / "journal" if os.access(home / "journal", os.W_OK) else _temporary()


def _temporary() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"holdfast-journal-{user}"


class Journal:
    """What this process logs to a run. Thread-safe. What a call has written survives the process.

    Raises Unavailable when the disk has no room.
    """

    def __init__(self, head: Head, root: Path | None = None) -> None:
        root = root or journal_root()
        name = f"{new_id()}.{_mark(head.run_id)}"
        made = root / f"{_NEW}{name}"
        try:
            made.mkdir(parents=True, mode=0o700)
            self._lock_fd = take_lock(made)
            assert self._lock_fd is not None, "nobody else knows the folder"
            (made / _HEAD).write_bytes(msgspec.json.encode(head))
            self._writer = SegmentWriter(segment_path(made, 1))
            self.folder = made.rename(root / name)
        except OSError as error:
            raise Unavailable(
                f"A journal can't be made in {str(root)!r}: {error.strerror}.",
                hint="Choose another folder by HOLDFAST_JOURNAL.",
            ) from error
        self.head = head
        self.segment = 1
        self.lock = threading.Lock()
        """For `add_point` and `add_points`, which callers hold together with what they know of steps."""
        self._sets: dict[str | tuple[str, ...], int] = {}
        self._is_closed = False

    @property
    def end(self) -> tuple[int, int]:
        """Where the next record will stand: segment and byte."""
        with self.lock:
            return self.segment, self._writer.end

    def knows(self, keys: tuple[str, ...]) -> bool:
        """Whether points of these keys were logged together before, so that they need no look again."""
        return keys in self._sets

    def add_point(self, key: str, value: float, step: int, time_ms: int) -> None:
        """Write one point, under the lock, of a key that may be one."""
        number = self._sets.get(key)
        if number is None:
            number = self._new_set(key, (key,))
        if not self._writer.append(POINT.pack(POINTS, number, step, time_ms, value)):
            self._rotate(0)
            self.add_point(key, value, step, time_ms)

    def add_points(
        self, keys: tuple[str, ...], values: Sequence[float], steps: int | Sequence[int], time_ms: int
    ) -> None:
        """Write a point of each key as one record (of more than 1,000: as several), under the lock.

        `steps` is one for all, or one for each.
        """
        for first in range(0, len(keys), MOST_AT_ONCE) if len(keys) > MOST_AT_ONCE else ():
            part = slice(first, first + MOST_AT_ONCE)
            self.add_points(
                keys[part], values[part], steps if isinstance(steps, int) else steps[part], time_ms
            )
        if len(keys) > MOST_AT_ONCE:
            return
        number = self._sets.get(keys)
        if number is None:
            number = self._new_set(keys, keys)
        if isinstance(steps, int):
            record = points_record(number, steps, time_ms, values)
        else:
            record = stepped_record(number, steps, time_ms, values)
        if not self._writer.append(record):
            self._rotate(0)
            self.add_points(keys, values, steps, time_ms)

    def add(self, operation: Operation) -> None:
        """Write an operation."""
        with self.lock:
            self._append(operation_record(operation))

    def keep_file(self, source: bytes | Path) -> str:
        """Copy bytes or a file into the folder, until it is uploaded; gives its name there."""
        name = f"{new_id()}.file"
        target = self.folder / name
        try:
            if isinstance(source, bytes):
                target.write_bytes(source)
            else:
                shutil.copyfile(source, target)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise Unavailable(
                f"The file can't be kept in {str(self.folder)!r}: {error.strerror}.",
                hint="Make room there, or choose another folder by HOLDFAST_JOURNAL.",
            ) from error
        return name

    def close(self, last: Operation | None = None) -> None:
        """Write no more, after `last`: who still tries gets Conflict. What is not delivered yet may be delivered by
        others, once the lock is let go."""
        with self.lock:
            if last is not None:
                self._writer.open_reserve()
                self._append(operation_record(last))
            self._is_closed = True
            self._writer.close()

    def let_go(self) -> None:
        """Let others have the lock."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
        self._lock_fd = None

    def forget(self) -> None:
        """In a forked child: the journal is the parent's, whose lock must not live on here."""
        self._writer.close()
        self.let_go()

    def _new_set(self, name: str | tuple[str, ...], keys: tuple[str, ...]) -> int:
        number = len(self._sets)
        before = self.segment
        self._append(key_record(number, keys))
        if self.segment != before:  # rotated: sets are counted anew
            return self._new_set(name, keys)
        self._sets[name] = number
        return number

    def _append(self, record: bytes) -> None:
        if not self._writer.append(record):
            self._rotate(len(record))
            self._writer.append(record)

    def _rotate(self, least: int) -> None:
        """Go on in another segment. Raises Conflict when the journal is closed: nothing fits into its last."""
        if self._is_closed:
            raise Conflict(
                f"The run {self.head.run_id} has ended here, so nothing more is logged to it.",
                hint="Start another run.",
            )
        writer = SegmentWriter(segment_path(self.folder, self.segment + 1), least)
        self._writer.close()
        self._writer, self._sets = writer, {}
        self.segment += 1


def _mark(run_id: str) -> str:
    """By what the names of a run's journals end."""
    return sha256_hex(run_id.encode())[:12]


def list_journals(root: Path, run_id: str | None = None) -> Iterator[tuple[Path, Head]]:
    """The journals in a folder, or the one that it is itself, oldest first: all, or those of one run. What is none is
    left out."""
    pattern = "*" if run_id is None else f"*.{_mark(run_id)}"
    folders = [root] if (root / _HEAD).exists() else sorted(root.glob(pattern)) if root.is_dir() else []
    for folder in folders:
        if folder.name.startswith(".") and folder != root:
            continue
        try:
            yield folder, msgspec.json.decode((folder / _HEAD).read_bytes(), type=Head)
        except (OSError, msgspec.DecodeError):
            continue  # another process has just removed it, or it is no journal


def take_lock(folder: Path) -> int | None:
    """The lock of a journal, held until the descriptor is closed or the process ends, however it does; None while
    another has it."""
    fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    try:
        if os.name == "nt":
            import msvcrt  # Windows alone

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl  # not on Windows

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError as error:
        os.close(fd)
        if os.name == "nt":
            return None
        raise HoldfastError(f"The journal {str(folder)!r} can't be locked: {error.strerror}.") from error
    return fd


def remove_journal(folder: Path) -> None:
    """Remove a journal that is delivered. One that is half removed is not seen as one."""
    hidden = folder.with_name(f"{_DONE}{folder.name}")
    try:
        folder.rename(hidden)
    except OSError:  # Windows: an open lock file
        hidden = folder
        (folder / _HEAD).unlink(missing_ok=True)
    shutil.rmtree(hidden, ignore_errors=True)


def remove_litter(root: Path) -> None:
    """Remove what processes left that were killed while they removed a journal that was delivered."""
    for folder in root.glob(f"{_DONE}*") if root.is_dir() else ():
        shutil.rmtree(folder, ignore_errors=True)
