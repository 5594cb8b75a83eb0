"""The artifacts of runs: files by path, kept with their run and sealed with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from holdfast.chunks import TreeFile, check_path, read_bundle
from holdfast.identity.service import require
from holdfast.kernel.paging import Items
from holdfast.kernel.principal import Caller
from holdfast.storage import Blob, Objects, Storage, Tx, trees
from holdfast.tracking.held import hold_run, run_number, unseal
from holdfast.tracking.records import UploadedBundle
from holdfast.tracking.seal import RUN_TREE

__all__ = ["ARTIFACT_LIMIT", "RunArtifacts"]

ARTIFACT_LIMIT = 5 * 1024**3


class RunArtifacts:
    """Artifacts over the metadata database and the object store."""

    def __init__(self, storage: Storage, objects: Objects) -> None:
        self._storage = storage
        self._objects = objects

    def put(self, caller: Caller, run_id: str, path: str, blocks: Iterator[bytes]) -> TreeFile:
        """Store an artifact; durable before the answer. The same path again replaces it; the same bytes again
        change nothing."""
        require(caller, "tracking:write")
        check_path(path)
        self._check(caller, run_id)

        def refer(tx: Tx, blob: Blob) -> TreeFile:
            state = hold_run(tx, caller, run_id)
            file = TreeFile(path, blob.sha256, blob.size)
            if trees.holds_file(tx, caller.workspace, RUN_TREE, run_id, file):
                return file
            unseal(tx, caller, run_id, state)
            return trees.put_file(tx, caller.workspace, RUN_TREE, run_id, path, blob.sha256, blob.size)

        return self._objects.put_for(blocks, refer, ARTIFACT_LIMIT)

    def put_bundle(self, caller: Caller, run_id: str, blocks: Iterable[bytes]) -> UploadedBundle:
        """Store the files of a bundle as artifacts, all or none; durable before the answer. As `put` for each.

        Raises InvalidInput for what is no bundle and for a path that no tree may hold.
        """
        require(caller, "tracking:write")
        self._check(caller, run_id)
        paths: list[str] = []

        def contents() -> Iterator[bytes | memoryview]:
            for path, data in read_bundle(blocks):
                paths.append(path)
                yield data

        blobs = self._objects.put_batch(contents())
        given = [TreeFile(path, b.sha256, b.size) for path, b in zip(paths, blobs, strict=True)]

        def fn(tx: Tx) -> UploadedBundle:
            state = hold_run(tx, caller, run_id)
            if trees.put_files(tx, caller.workspace, RUN_TREE, run_id, given):
                unseal(tx, caller, run_id, state)
            return UploadedBundle(len(given), sum(file.size for file in given))

        return self._storage.write(fn)

    def list(self, caller: Caller, run_id: str) -> Items[TreeFile]:
        """A run's artifacts by path."""
        require(caller, "tracking:read")
        self._check(caller, run_id)
        return Items(self._storage.read(lambda tx: trees.list_files(tx, caller.workspace, RUN_TREE, run_id)))

    def find(self, caller: Caller, run_id: str, path: str) -> TreeFile:
        """One artifact's digest and size. Raises NotFound."""
        require(caller, "tracking:read")
        self._check(caller, run_id)
        return self._storage.read(lambda tx: trees.find_file(tx, caller.workspace, RUN_TREE, run_id, path))

    def delete(self, caller: Caller, run_id: str, path: str) -> None:
        """Take an artifact out of a run. Raises NotFound."""
        require(caller, "tracking:write")
        check_path(path)

        def fn(tx: Tx) -> None:
            unseal(tx, caller, run_id, hold_run(tx, caller, run_id))
            trees.remove_file(tx, caller.workspace, RUN_TREE, run_id, path)

        self._storage.write(fn)

    def delete_below(self, caller: Caller, run_id: str, path: str) -> None:
        """Take an artifact, or everything below a folder, out of a run. Raises NotFound."""
        require(caller, "tracking:write")
        check_path(path)

        def fn(tx: Tx) -> None:
            unseal(tx, caller, run_id, hold_run(tx, caller, run_id))
            trees.remove_below(tx, caller.workspace, RUN_TREE, run_id, path)

        self._storage.write(fn)

    def _check(self, caller: Caller, run_id: str) -> None:
        """Raises NotFound, before a byte is stored."""
        self._storage.read(lambda tx: run_number(tx, caller, run_id))
