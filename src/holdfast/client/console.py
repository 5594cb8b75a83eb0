"""What a process prints, kept with its run while it goes on to the terminal.

The file descriptors of standard output and error are replaced, so that what C extensions and child processes print is
kept too; where Python's own streams do not write to them (notebooks), these are teed as well. POSIX only.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from holdfast.kernel.errors import HoldfastError, InvalidInput

__all__ = ["CHUNK", "Console", "ConsoleLog", "chunk_path"]

CHUNK = 64 * 1024
"""Bytes after which a chunk is followed by another."""
_BLOCK = 1 << 16
_LONGEST_LINE = 1 << 16
_REST_S = 1.0
"""How long what a child goes on printing is still kept after the end."""


def chunk_path(number: int) -> str:
    """The artifact of a chunk, counted from 1; joined in order they are the log."""
    return f"console/{number:06d}.log"


class ConsoleLog:
    """The lines of several streams, in chunks of whole lines. Thread-safe.

    A line that a carriage return wrote over (a progress bar) counts as it was last. `store(path, content)` is given each
    chunk anew while it grows.
    """

    def __init__(self, store: Callable[[str, bytes], None]) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._begun: dict[int, bytes] = {}
        self._chunk = bytearray()
        self._number = 1
        self._stored = b""

    def add(self, stream: int, block: bytes) -> None:
        """Take what a stream has printed. Raises what `store` raises, when a chunk is full."""
        with self._lock:
            lines = (self._begun.get(stream, b"") + block).split(b"\n")
            begun = lines.pop()
            if len(begun) > _LONGEST_LINE:
                begun = _last_state(begun)
            if len(begun) > _LONGEST_LINE:
                lines, begun = [*lines, begun], b""
            self._begun[stream] = begun
            for line in lines:
                self._chunk += _last_state(line) + b"\n"
                if len(self._chunk) >= CHUNK:
                    self._store(chunk_path(self._number), bytes(self._chunk))
                    self._number, self._chunk, self._stored = self._number + 1, bytearray(), b""

    def store(self) -> None:
        """Give what has come since the last time to `store`, with the lines that are not ended yet."""
        with self._lock:
            content = bytes(self._chunk) + b"".join(map(_last_state, self._begun.values()))
            if content != self._stored:
                self._store(chunk_path(self._number), content)
                self._stored = content


def _last_state(line: bytes) -> bytes:
    """A line as a terminal shows it after its carriage returns."""
    return line.rstrip(b"\r").rpartition(b"\r")[2]


class Console:
    """Copies what is printed from now until `stop` into a log that is stored every `every_s` seconds."""

    def __init__(self, store: Callable[[str, bytes], None], *, every_s: float = 5.0) -> None:
        if os.name == "nt":
            raise InvalidInput(
                "The console can't be captured on Windows.", hint="Use: holdfast run -- COMMAND"
            )
        self._log = ConsoleLog(store)
        self._every_s = every_s
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._failure: HoldfastError | None = None
        self._is_stopped = False
        self._last_words = b""
        _flush()
        # A service may have been started without them: then other files have these numbers.
        given = {1: sys.__stdout__, 2: sys.__stderr__}
        self._terminals = {fd: os.dup(fd) for fd, stream in given.items() if stream is not None}
        self._sources: dict[int, int] = {}
        for fd, terminal in self._terminals.items():
            source, sink = _pair(terminal)
            os.dup2(sink, fd)
            os.close(sink)
            self._sources[source] = fd
        self._teed = [tee for tee in (self._tee("stdout", 1), self._tee("stderr", 2)) if tee is not None]
        self._stop, self._stopper = os.pipe()
        self._thread = threading.Thread(target=self._copy, name="holdfast-console", daemon=True)
        self._thread.start()

    def note(self, text: str) -> None:
        """What the log ends with, because it is printed only after the end."""
        self._last_words = text.encode(errors="replace")

    def stop(self) -> None:
        """Print to the terminal alone again, and store what has come. Raises what storing raised."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._is_stopped:
                return
            self._is_stopped = True
            for tee in self._teed:
                tee.undo()
            _flush()
            for fd, terminal in self._terminals.items():
                os.dup2(terminal, fd)
            os.close(self._stopper)
        self._thread.join()
        if self._last_words:
            self._keep(2, self._last_words)
        self._store()
        if self._failure is not None:
            raise self._failure

    def _tee(self, name: str, fd: int) -> _Tee | None:
        stream = getattr(sys, name)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if stream.fileno() == fd:
                return None
        return (
            None
            if stream is None
            else _Tee(name, lambda text: self._keep(fd + 10, text.encode(errors="replace")))
        )

    def _copy(self) -> None:
        """Copy until the console is stopped and what was printed before is read; children that still print go on being
        copied to the terminal."""
        terminals = dict(self._terminals)
        open_sources = dict(self._sources)
        due = time.monotonic() + self._every_s
        last: float | None = None
        while True:
            ready = select.select([self._stop, *open_sources], [], [], max(0.0, due - time.monotonic()))[0]
            for source in [one for one in ready if one != self._stop]:
                self._pass_on(source, open_sources, terminals)
            if self._stop in ready:
                last = last or time.monotonic() + _REST_S
                if ready == [self._stop] or time.monotonic() >= last:
                    break
            if time.monotonic() >= due:
                self._store()
                due = time.monotonic() + self._every_s
        os.close(self._stop)
        if open_sources:
            _Rest(open_sources, terminals)

    def _pass_on(self, source: int, open_sources: dict[int, int], terminals: dict[int, int]) -> None:
        block = _read(source)
        fd = open_sources[source]
        if not block:
            os.close(source)
            del open_sources[source]
            return
        _write(terminals[fd], block)
        self._keep(fd, block)

    def _keep(self, stream: int, block: bytes) -> None:
        try:
            self._log.add(stream, block)
        except HoldfastError as error:
            self._failure = self._failure or error

    def _store(self) -> None:
        try:
            self._log.store()
        except HoldfastError as error:
            self._failure = self._failure or error


class _Tee:
    """Calls `keep` with what is written to a stream of `sys` that has no file descriptor of its own."""

    def __init__(self, name: str, keep: Callable[[str], None]) -> None:
        self._name, self._keep = name, keep
        self._stream: Any = getattr(sys, name)
        setattr(sys, name, self)

    def write(self, text: str) -> int:
        """As the stream's own."""
        self._keep(text)
        return int(self._stream.write(text) or 0)

    def undo(self) -> None:
        """Put the stream back, unless something else stands there meanwhile."""
        if getattr(sys, self._name) is self:
            setattr(sys, self._name, self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _pair(terminal: int) -> tuple[int, int]:
    """What is read and what is written to: a terminal where there was one, so that progress bars stay, else a pipe."""
    if not os.isatty(terminal):
        return os.pipe()
    import termios  # where there are terminals
    import tty

    source, sink = os.openpty()
    tty.setraw(sink)
    with contextlib.suppress(termios.error, AttributeError):
        termios.tcsetwinsize(sink, termios.tcgetwinsize(terminal))
    return source, sink


def _read(source: int) -> bytes:
    try:
        return os.read(source, _BLOCK)
    except OSError:  # a terminal whose other side is closed
        return b""


def _write(terminal: int, block: bytes) -> None:
    """Write it all; a terminal that is gone must not stop what is logged."""
    with contextlib.suppress(OSError):
        while block:
            block = block[os.write(terminal, block) :]


class _Rest:
    """Copies to the terminal what children print after the end, until they are done or this process ends."""

    def __init__(self, sources: dict[int, int], terminals: dict[int, int]) -> None:
        self._sources, self._terminals = sources, terminals
        self._pid = os.getpid()
        self._lock = threading.Lock()
        atexit.register(self._at_exit)
        threading.Thread(target=self._copy, name="holdfast-console-rest", daemon=True).start()

    def _copy(self) -> None:
        while self._sources:
            select.select(list(self._sources), [], [])
            with self._lock:  # what was ready may have been copied at the exit
                for source in select.select(list(self._sources), [], [], 0)[0]:
                    if not self._pass_on(source):
                        os.close(source)
                        del self._sources[source]
        atexit.unregister(self._at_exit)

    def _at_exit(self) -> None:
        """The last words of a child that ended just before; one that prints without end is not waited for."""
        if os.getpid() != self._pid:
            return
        until = time.monotonic() + _REST_S
        with self._lock:
            going = set(self._sources)
            while (ready := select.select(list(going), [], [], 0)[0]) and time.monotonic() < until:
                going -= {source for source in ready if not self._pass_on(source)}

    def _pass_on(self, source: int) -> bool:
        block = _read(source)
        _write(self._terminals[self._sources[source]], block)
        return bool(block)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
