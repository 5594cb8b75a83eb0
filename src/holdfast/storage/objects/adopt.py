"""Objects that an earlier version kept without rows, as `sha256/ab/cd/DIGEST` of a local folder."""

from __future__ import annotations

import shutil

from holdfast.kernel.hashing import is_sha256
from holdfast.storage.engine import Storage, Tx
from holdfast.storage.objects import rows
from holdfast.storage.objects.backend import Backend
from holdfast.storage.objects.local import LocalBackend

__all__ = ["adopt"]

_MANY = 500


def adopt(storage: Storage, backend: Backend, now_ms: int) -> int:
    """Give every object of the old layout its row and its place; how many there were.

    For the start of a server, before it answers. Killed at any point, the next start goes on.
    """
    if not isinstance(backend, LocalBackend) or not (old := backend.root / "sha256").is_dir():
        return 0
    found = [path for path in sorted(old.rglob("*")) if path.is_file() and is_sha256(path.name)]
    for first in range(0, len(found), _MANY):
        some = {path.name: path for path in found[first : first + _MANY]}
        sizes = {digest: path.stat().st_size for digest, path in some.items()}

        def fn(tx: Tx, sizes: dict[str, int] = sizes) -> None:
            there = rows.find_objects(tx, list(sizes))
            for digest in sizes.keys() - there.keys():
                rows.add_loose(tx, digest, sizes[digest], _key(digest), True, now_ms)

        storage.write(fn)
        for digest, path in some.items():
            path.rename(backend.root / _key(digest))
    backend.sync()
    shutil.rmtree(old)
    shutil.rmtree(backend.root / "incoming", ignore_errors=True)
    return len(found)


def _key(digest: str) -> str:
    return f"loose/{digest}"
