"""The thread that ships a run's journal while the run goes on."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from holdfast.client.journal.courier import Courier
from holdfast.client.journal.folder import Journal
from holdfast.kernel.errors import HoldfastError, IntegrityError, Unavailable

__all__ = ["Shipper"]

_COLLECT_S = 0.05
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0
_RETRY_S = 30.0


class Shipper:
    """Ships what stands in a journal, in order, within about 50 ms. Thread-safe.

    While the server is away it tries again and again; `flush` gives up after `retry_s` without success, and
    everything stays in the journal. `make_courier` is called in the thread.
    """

    def __init__(
        self,
        journal: Journal,
        make_courier: Callable[[], Courier],
        *,
        retry_s: float = _RETRY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._make_courier = make_courier
        self._retry_s = retry_s
        self._clock = clock
        self.is_idle = True
        """Whether `wake` has to be called after something was written."""
        self._work = threading.Event()
        self._hurry = threading.Event()
        self._changed = threading.Condition()
        self._done = (1, 0)
        self._failing_since: float | None = None
        self._failure: HoldfastError | None = None
        self._refusals: list[HoldfastError] = []
        self._closing = threading.Event()
        self._ended = False
        self.courier: Courier | None = None
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Something was written while the thread was idle."""
        self.is_idle = False
        if self._thread is None:
            with self._changed:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="holdfast-shipper", daemon=True)
                    self._thread.start()
        self._work.set()

    def flush(self) -> None:
        """Wait until everything written so far has arrived. Raises the first refusal since the last flush, and what
        keeps it from arriving: then it stays in the journal."""
        wanted = self._journal.end
        self.wake()
        self._hurry.set()
        since = self._clock()
        with self._changed:
            while self._done < wanted and not self._ended:
                if self._failure is not None and self._is_hopeless(since):
                    raise self._kept(self._failure)
                self._changed.wait(0.2)
            refusals, self._refusals = self._refusals, []
            if self._ended and self._done < wanted and self._failure is not None:
                raise self._kept(self._failure)
        self._hurry.clear()
        if refusals:
            raise refusals[0]

    def close(self) -> None:
        """Flush and end the thread. Raises what `flush` raises."""
        try:
            self.flush()
        finally:
            self._closing.set()
            self._hurry.set()
            self._work.set()
            if self._thread is not None:
                self._thread.join()

    @property
    def is_delivered(self) -> bool:
        """Whether everything that was written has arrived."""
        return self._done >= self._journal.end

    def _is_hopeless(self, since: float) -> bool:
        if not isinstance(self._failure, Unavailable):
            return True
        # One that asks a run that has failed for long waits no more than for one attempt.
        began = since if self._failing_since is None else min(since, self._failing_since)
        return self._clock() - began >= self._retry_s

    def _kept(self, error: HoldfastError) -> HoldfastError:
        where = f" What this run logged is kept in {self._journal.folder}."
        if where not in error.message:
            error.message += where
            error.hint = f"{error.hint} Deliver it later with: holdfast sync".lstrip()
        return error

    def _run(self) -> None:
        try:
            self.courier = self._make_courier()
            while self._wait_for_work():
                self._ship_all(self.courier)
        except (HoldfastError, OSError) as error:
            failure = error if isinstance(error, HoldfastError) else HoldfastError(str(error))
            self._note(failure)
        finally:
            if self.courier is not None:
                self.courier.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _wait_for_work(self) -> bool:
        """Wait for something to ship, and a moment for more; False when the shipper closes."""
        if self._closing.is_set():
            return False
        if self._done >= self._journal.end:
            self.is_idle = True
            if self._done >= self._journal.end:  # nothing came before the flag was seen
                self._work.wait()
        self._work.clear()
        self.is_idle = False
        self._hurry.wait(_COLLECT_S)
        return not self._closing.is_set()

    def _ship_all(self, courier: Courier) -> None:
        pause = _FIRST_PAUSE_S
        while not self._closing.is_set():
            try:
                count, refusal = courier.ship_next()
            except IntegrityError:
                raise
            except HoldfastError as error:
                self._note(error)
                self._closing.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            pause = _FIRST_PAUSE_S
            with self._changed:
                self._failing_since = self._failure = None
                self._done = tuple(courier.position.done)  # type: ignore[assignment]
                if refusal is not None:
                    self._refusals.append(refusal)
                    print(f"holdfast: {refusal}", file=sys.stderr)  # noqa: T201  # the caller may never ask
                self._changed.notify_all()
            if count == 0:
                return

    def _note(self, error: HoldfastError) -> None:
        """A failure, told once for as long as it lasts."""
        with self._changed:
            if self._failing_since is None:
                self._failing_since = self._clock()
                print(f"holdfast: {self._kept(error)}", file=sys.stderr)  # noqa: T201
            self._failure = error
            self._changed.notify_all()
