"""What the prediction log refers to in the object store, for the collection of garbage."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.predictions import store
from holdfast.storage import Tx

__all__ = ["PredictionRoots"]

_SHOWN = 100


class PredictionRoots:
    """Segments whose rows may not be in the table yet, label batches, and references given for endpoints."""

    def referred(self, tx: Tx, digests: Sequence[str]) -> set[str]:
        """Those of the digests that the log needs."""
        return set(store.referred_objects(tx, digests))

    def referrers(self, tx: Tx, digest: str) -> list[str]:
        """What needs an object, the first hundred."""
        return store.referred_objects(tx, [digest]).get(digest, [])[:_SHOWN]
