"""Where holdfast keeps things: metadata in a database, bytes in an object store.

The unit of work is a synchronous function of a transaction, run by `Storage.write`; bytes go through
`Objects`, durable before the answer. Trees, leases and migrations are the mechanisms that every room shares.
Not here: what the rows mean (each room's `store`).
"""

from holdfast.storage import leases, trees
from holdfast.storage.engine import Storage, Tx
from holdfast.storage.locks import lock
from holdfast.storage.objects import Blob, GcRoots, Objects, open_backend
from holdfast.storage.scope import ALL_WORKSPACES
from holdfast.storage.tables import BigId, metadata
from holdfast.storage.values import misplaced_values

__all__ = [
    "ALL_WORKSPACES",
    "BigId",
    "Blob",
    "GcRoots",
    "Objects",
    "Storage",
    "Tx",
    "leases",
    "lock",
    "metadata",
    "misplaced_values",
    "open_backend",
    "trees",
]
