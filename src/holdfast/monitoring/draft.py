"""What a fold has counted and not written yet, over what is stored: readers see all of it at once, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from holdfast.kernel.errors import Conflict
from holdfast.kernel.times import DAY_MS
from holdfast.monitoring import store
from holdfast.monitoring.profile import Profile
from holdfast.monitoring.records import Bucket, FoldState
from holdfast.storage import Storage, Tx, lock

__all__ = ["MOST_BUCKETS", "Draft"]

MOST_BUCKETS = 512
"""In one transaction, so that nobody waits long for the database."""


class Draft:
    """The stored state, references and buckets of one endpoint, with changes that `write` stores together."""

    def __init__(self, storage: Storage, workspace: str, endpoint_id: str) -> None:
        self._storage = storage
        self._owner = (workspace, endpoint_id)
        self.state = storage.read(lambda tx: store.load_state(tx, *self._owner))
        self.profiles = storage.read(lambda tx: store.load_profiles(tx, *self._owner))
        self._stored = storage.read(lambda tx: store.list_buckets(tx, *self._owner))
        self._changed: set[int] = set()
        self._is_wiped = False
        self._days: set[int] = set()
        self._counted: list[Bucket] = []

    def put_profile(self, version: int, profile: Profile) -> None:
        """Give a version another reference. Buckets counted against the one before are stale from now on."""
        self.profiles[version] = profile
        self._changed.add(version)

    def wipe(self, grain_ms: int) -> None:
        """Drop every bucket, to be counted anew from the beginning in buckets of `grain_ms`."""
        self.state = msgspec.structs.replace(self.state, cursor=0, grain_ms=grain_ms)
        self._is_wiped = True
        self._stored = []

    def put_days(self, first: int, last: int, buckets: Sequence[Bucket]) -> None:
        """Replace all buckets of the days from `first` to `last` (starts, both included)."""
        days = set(range(first, last + 1, DAY_MS))
        self._stored = [bucket for bucket in self._stored if _day(bucket) not in days]
        self._counted = [bucket for bucket in self._counted if _day(bucket) not in days]
        self._counted += buckets
        self._days |= days

    @property
    def is_large(self) -> bool:
        """Whether as much is counted as one transaction should write."""
        return len(self._counted) >= MOST_BUCKETS

    def buckets(self) -> list[Bucket]:
        """Every bucket as it will be, by start and version; those not stored yet have their bodies."""
        return sorted([*self._stored, *self._counted], key=lambda bucket: (bucket.start, bucket.version))

    def stale_days(self) -> list[int]:
        """The days with buckets counted against another reference than their version's."""
        names = {version: store.profile_id(profile) for version, profile in self.profiles.items()}
        return sorted({_day(b) for b in self.buckets() if b.reference_id != names.get(b.version)})

    def bodies(self, first: int, last: int) -> dict[tuple[int, int], bytes]:
        """(start, version) to body of the buckets that start within [first, last]."""
        stored = self._storage.read(lambda tx: store.load_bodies(tx, *self._owner, first, last))
        return stored | {(bucket.start, bucket.version): bucket.body for bucket in self._counted}

    def write(self, state: FoldState, then: Callable[[Tx], None] | None = None) -> None:
        """Store all changes and `state`, then run `then`, in one transaction.

        Raises Conflict when another fold has written since this one began or wrote last.
        """
        expected = self.state.revision
        after = msgspec.structs.replace(state, revision=expected + 1)
        profiles = {version: self.profiles[version] for version in self._changed}

        def fn(tx: Tx) -> None:
            lock(tx, "fold", *self._owner)
            if store.load_state(tx, *self._owner).revision != expected:
                raise Conflict(
                    "Another fold of this endpoint runs at the same time.",
                    hint="It has done the work, or the next one will.",
                )
            store.save_state(tx, *self._owner, after)
            for version, profile in profiles.items():
                store.save_profile(tx, *self._owner, version, profile)
            store.delete_buckets(tx, *self._owner, None if self._is_wiped else sorted(self._days))
            store.insert_buckets(tx, *self._owner, self._counted)
            if then is not None:
                then(tx)

        self._storage.write(fn)
        self.state, self._is_wiped = after, False
        self._stored += [msgspec.structs.replace(bucket, body=b"") for bucket in self._counted]
        self._counted, self._days, self._changed = [], set(), set()


def _day(bucket: Bucket) -> int:
    return bucket.start // DAY_MS * DAY_MS
