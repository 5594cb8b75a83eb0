"""The background sender of one run: points, params and tags leave the caller's thread at once and arrive in
batches.

Nothing is lost in silence: a batch that the server refuses, or that cannot be delivered within the retry
time, is written to a file, named on standard error at once and raised by `flush`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from holdfast.client.api import encode
from holdfast.client.unsent import UnsentFile
from holdfast.client.values import point_record
from holdfast.kernel.errors import HoldfastError, Unavailable

__all__ = ["Sender"]

_MOST = 1000
_MAX_WAIT_S = 0.05
_RETRY_S = 30.0
_LONGEST_PAUSE_S = 2.0

Point = tuple[str, float, int, int]


class Sender:
    """Delivers what a run logs, in order, in batches of at most 1,000 points or 50 ms. Thread-safe.

    `send` delivers one encoded batch or raises; a batch is repeated with identical bytes, which the server
    counts once. After `retry_s` without success the batches go to the unsent file instead, without further
    waiting.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        unsent: UnsentFile,
        *,
        retry_s: float = _RETRY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._unsent = unsent
        self._retry_s = retry_s
        self._clock = clock
        self._changed = threading.Condition()
        self._points: list[Point] = []
        self._params: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._busy = False
        self._hurry = False
        self._closing = False
        self._gave_up = False
        self._errors: list[HoldfastError] = []
        self._thread: threading.Thread | None = None

    def add_points(self, points: list[Point]) -> None:
        """Queue metric points (key, value, step, time in ms)."""
        with self._changed:
            self._points.extend(points)
            self._wake()

    def add_params(self, params: dict[str, str]) -> None:
        """Queue params; a later value of a key wins within a batch."""
        with self._changed:
            self._params.update(params)
            self._wake()

    def add_tags(self, tags: dict[str, str]) -> None:
        """Queue tags; a later value of a key wins within a batch."""
        with self._changed:
            self._tags.update(tags)
            self._wake()

    def flush(self) -> None:
        """Wait until everything queued is delivered or written to the unsent file; raise the first
        failure.
        """
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            while self._has_work() or self._busy:
                self._changed.wait()
            self._hurry = False
            errors, self._errors = self._errors, []
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Flush and end the thread. Raises what `flush` raises."""
        try:
            self.flush()
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            if self._thread is not None:
                self._thread.join()

    def _wake(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="holdfast-sender", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _has_work(self) -> bool:
        return bool(self._points or self._params or self._tags)

    def _run(self) -> None:
        while (body := self._next_batch()) is not None:
            error = self._deliver(body)
            with self._changed:
                self._busy = False
                if error is not None:
                    self._errors.append(error)
                self._changed.notify_all()

    def _next_batch(self) -> bytes | None:
        """The next batch, encoded, after at most 50 ms of collecting; None when the sender closes."""
        with self._changed:
            while not self._has_work():
                if self._closing:
                    return None
                self._changed.wait()
            end = self._clock() + _MAX_WAIT_S
            while len(self._points) < _MOST and not self._hurry and not self._closing:
                left = end - self._clock()
                if left <= 0:
                    break
                self._changed.wait(left)
            points, self._points = self._points[:_MOST], self._points[_MOST:]
            params, self._params = _split(self._params)
            tags, self._tags = _split(self._tags)
            self._busy = True
        records = [point_record(*point) for point in points]
        return encode({"metrics": records, "params": params, "tags": tags})

    def _deliver(self, body: bytes) -> HoldfastError | None:
        """Send one batch, again and again while the server is away; spill it to the file when that fails."""
        end = self._clock() + self._retry_s
        pause = 0.1
        error: HoldfastError | None = None
        while not self._gave_up:
            try:
                self._send(body)
                return None
            except Unavailable as unavailable:
                error = unavailable
                self._gave_up = self._clock() + pause > end
            except HoldfastError as refused:
                return self._spill(body, refused)
            if not self._gave_up:
                with self._changed:
                    self._changed.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
        return self._spill(body, error)

    def _spill(self, body: bytes, error: HoldfastError | None) -> HoldfastError | None:
        """Keep a batch in the unsent file; gives the failure once per reason."""
        path = self._unsent.append(body)
        if error is None:
            return None
        error.message += f" What this run logged and could not be delivered is kept in {path}."
        if isinstance(error, Unavailable):
            error.hint = f"Deliver it later with: holdfast runs send {path}"
        print(f"holdfast: {error}", file=sys.stderr)  # noqa: T201  # the caller may never ask
        return error


def _split(values: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The entries for this batch and those for the next."""
    items = list(values.items())
    return dict(items[:_MOST]), dict(items[_MOST:])
