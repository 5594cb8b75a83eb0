"""The object store: bytes named by their SHA-256, loose or as chunks in packs, in a folder or a bucket."""

from holdfast.storage.objects.backend import Backend, Entry, Writer, open_backend
from holdfast.storage.objects.collect import GRACE_MS, Collected, GcRoots
from holdfast.storage.objects.delta import table_options
from holdfast.storage.objects.objects import Objects
from holdfast.storage.objects.records import Blob, Damage, Stats, Stored

__all__ = [
    "GRACE_MS",
    "Backend",
    "Blob",
    "Collected",
    "Damage",
    "Entry",
    "GcRoots",
    "Objects",
    "Stats",
    "Stored",
    "Writer",
    "open_backend",
    "table_options",
]
