"""Lines to and from a process that may hang, die or flood: every wait has a deadline, every line a limit."""

from __future__ import annotations

import os
import select
import time

from holdfast.jobs.records import Process

__all__ = ["Channel", "EndedError", "LateError"]

_READ_BYTES = 256 * 1024


class EndedError(Exception):
    """The process closed its pipe or wrote more than a line may have."""


class LateError(Exception):
    """There was no answer before the deadline."""


class Channel:
    """Newline-terminated messages over a process's pipes. One caller at a time."""

    def __init__(self, process: Process, most_bytes: int) -> None:
        """most_bytes: the longest line that is read."""
        self._most = most_bytes
        self._in, self._out = process.stdin.fileno(), process.stdout.fileno()
        self._read = bytearray()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)

    def exchange(self, line: bytes, deadline: float) -> bytes:
        """Write `line` (with its newline; empty to write nothing) and give the next line that comes.

        deadline: on the clock of `time.monotonic`. Raises LateError after it, EndedError when the process is gone.
        """
        poller = select.poll()
        poller.register(self._out, select.POLLIN)
        rest = memoryview(line)
        if rest:
            poller.register(self._in, select.POLLOUT)
        while (end := self._read.find(b"\n")) < 0:
            ready = dict(poller.poll(max(0.0, deadline - time.monotonic()) * 1000))
            if not ready:
                raise LateError
            if self._in in ready:
                rest = self._write(rest)
                if not rest:
                    poller.unregister(self._in)
            if self._out in ready:
                self._receive()
        answer = bytes(self._read[:end])
        del self._read[: end + 1]
        return answer

    def _write(self, rest: memoryview) -> memoryview:
        try:
            return rest[os.write(self._in, rest[:_READ_BYTES]) :]
        except BlockingIOError:
            return rest
        except OSError as error:
            raise EndedError from error

    def _receive(self) -> None:
        try:
            data = os.read(self._out, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:  # closed meanwhile by another thread
            raise EndedError from error
        if not data or len(self._read) + len(data) > self._most:
            raise EndedError
        self._read += data
