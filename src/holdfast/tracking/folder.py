"""A folder of a workspace for artifacts that belong to no run and no logged model, as clients of MLflow may put them."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.chunks import TreeFile, check_path
from holdfast.identity.service import require
from holdfast.kernel.principal import Caller
from holdfast.storage import Objects, Storage, trees

__all__ = ["FOLDER_OWNER", "FOLDER_TREE", "SharedFolder"]

FOLDER_TREE, FOLDER_OWNER = "folder", "artifacts"
_LIMIT = 5 * 1024**3


class SharedFolder:
    """Its files, over the metadata database and the object store."""

    def __init__(self, storage: Storage, objects: Objects) -> None:
        self._storage = storage
        self._objects = objects

    def put_file(self, caller: Caller, path: str, blocks: Iterator[bytes]) -> TreeFile:
        """Store a file; durable before the answer. The same path again replaces it."""
        require(caller, "tracking:write")
        check_path(path)
        return self._objects.put_for(
            blocks,
            lambda tx, blob: trees.put_file(
                tx, caller.workspace, FOLDER_TREE, FOLDER_OWNER, path, blob.sha256, blob.size
            ),
            _LIMIT,
        )

    def list_files(self, caller: Caller) -> list[TreeFile]:
        """All files, by path."""
        require(caller, "tracking:read")
        return self._storage.read(
            lambda tx: trees.list_files(tx, caller.workspace, FOLDER_TREE, FOLDER_OWNER)
        )

    def delete_files(self, caller: Caller, path: str) -> None:
        """Take a file, or everything below a folder, out. Raises NotFound."""
        require(caller, "tracking:write")
        check_path(path)
        self._storage.write(
            lambda tx: trees.remove_below(tx, caller.workspace, FOLDER_TREE, FOLDER_OWNER, path)
        )
