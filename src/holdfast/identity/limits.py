"""How often: requests of a principal (in memory, by replica) and failed logins (in the database, of all replicas)."""

from __future__ import annotations

import math
import threading
import time

from holdfast.identity.secrets import digest_of
from holdfast.identity.store import credentials as store
from holdfast.kernel.errors import TooManyRequests
from holdfast.storage import Storage, Tx, lock

__all__ = ["LoginLimits", "RequestLimits"]

_WINDOW_MS = 15 * 60_000
_MOST_BY_NAME_AND_ADDRESS = 10
_MOST_BY_NAME = 50
_MOST_BY_ADDRESS = 100
_MOST_KEYS = 10_000
_BURST_S = 5


class RequestLimits:
    """A bucket by principal that refills with `per_second` requests and holds five seconds of them. Thread-safe.

    It belongs to this replica: with N replicas a principal may ask N times as often. 0 is no limit.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._most = per_second * _BURST_S
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def count(self, key: str) -> None:
        """Count one request. Raises TooManyRequests when the bucket is empty."""
        if not self._per_second:
            return
        now = time.monotonic()
        with self._lock:
            left, since = self._buckets.get(key, (float(self._most), now))
            left = min(self._most, left + (now - since) * self._per_second)
            if left >= 1:
                if len(self._buckets) >= _MOST_KEYS and key not in self._buckets:
                    self._buckets.clear()  # a flood of addresses: forgetting is cheaper than falling over
                self._buckets[key] = (left - 1, now)
                return
        raise TooManyRequests(
            f"More than {self._per_second} requests a second came from this principal.",
            hint="Send several values in one request, or have the server started with a higher --request-limit.",
            retry_after_s=math.ceil((1 - left) / self._per_second),
        )


class LoginLimits:
    """Failed logins within 15 minutes: 10 of a name from one address, 50 of a name, 100 from an address."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def count(self, name: str, address: str, now_ms: int) -> None:
        """Count an attempt before its password is looked at, so that many at once gain nothing.

        Raises TooManyRequests with the seconds until the window ends.
        """
        subjects = _subjects(name, address)

        def fn(tx: Tx) -> int:
            waits = [0]
            for subject, most in subjects.items():
                lock(tx, "login", subject)
                count, since = store.count_attempts(tx, subject, now_ms, _WINDOW_MS)
                if count > most:
                    waits.append(since + _WINDOW_MS - now_ms)
            return max(waits)

        wait_ms = self._storage.write(fn)
        if wait_ms:
            raise TooManyRequests(
                "Too many logins failed.",
                hint="Wait, or have an administrator set the password: holdfast user password NAME.",
                retry_after_s=math.ceil(wait_ms / 1000),
            )

    def forgive(self, name: str, address: str) -> None:
        """Take the attempt back: it worked."""
        subjects = list(_subjects(name, address))
        self._storage.write(lambda tx: store.forget_attempts(tx, subjects))


def _subjects(name: str, address: str) -> dict[str, int]:
    """What is counted, as digests in a fixed order, with how many failures it may have."""
    found = {
        digest_of(f"pair:{name}\0{address}"): _MOST_BY_NAME_AND_ADDRESS,
        digest_of(f"name:{name}"): _MOST_BY_NAME,
        digest_of(f"address:{address}"): _MOST_BY_ADDRESS,
    }
    return dict(sorted(found.items()))
