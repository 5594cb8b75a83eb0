"""Logged models: a tree of files that is filled, then sealed."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.audit import service as audit
from holdfast.chunks import TreeFile, check_path
from holdfast.identity.service import require
from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.paging import Items
from holdfast.kernel.principal import Caller
from holdfast.storage import Objects, Storage, Tx, lock, trees
from holdfast.tracking.records import LoggedModel
from holdfast.tracking.store import models as model_store
from holdfast.tracking.store import runs as run_store

__all__ = ["FILE_LIMIT", "MODEL_TREE", "LoggedModels"]

MODEL_TREE = "logged_model"
FILE_LIMIT = 20 * 1024**3


class LoggedModels:
    """Models that runs log, over the metadata database and the object store."""

    def __init__(self, storage: Storage, objects: Objects) -> None:
        self._storage = storage
        self._objects = objects

    def create_model(self, caller: Caller, *, name: str, run_id: str | None) -> LoggedModel:
        """A new pending model of a run (or of none), ready to take files."""
        require(caller, "tracking:write")
        if not name or len(name) > 250 or any(char in "/\\:.%\"'" or ord(char) < 32 for char in name):
            raise InvalidInput(
                f"{name[:80]!r} is not a name for a logged model.",
                hint="Use 1 to 250 characters without / \\ : . % and quotes.",
            )
        model_id = new_id("m-")

        def fn(tx: Tx) -> LoggedModel:
            run = None if run_id is None else run_store.find_run(tx, caller.workspace, run_id)
            if run_id is not None and run is None:
                raise NotFound(f"There is no run {run_id[:80]!r}.")
            experiment_id = None if run is None else run.experiment_id
            model = LoggedModel(model_id, run_id, experiment_id, name, "pending", caller.time_ms, None)
            model_store.insert_logged_model(tx, caller.workspace, model)
            return model

        return self._storage.write(fn)

    def get_model(self, caller: Caller, model_id: str) -> LoggedModel:
        """One logged model. Raises NotFound."""
        require(caller, "tracking:read")
        return self._storage.read(lambda tx: _find(tx, caller, model_id))

    def list_models(self, caller: Caller, run_id: str) -> list[LoggedModel]:
        """The models that a run logged."""
        require(caller, "tracking:read")
        return self._storage.read(lambda tx: model_store.list_logged_models(tx, caller.workspace, run_id))

    def put_file(self, caller: Caller, model_id: str, path: str, blocks: Iterator[bytes]) -> TreeFile:
        """Store a file of a pending model. On a ready model identical bytes are accepted, others refused."""
        require(caller, "tracking:write")
        check_path(path)
        self.get_model(caller, model_id)
        blob = self._objects.put_stream(blocks, FILE_LIMIT)
        return self._storage.write(
            lambda tx: trees.put_file(
                tx, caller.workspace, MODEL_TREE, model_id, path, blob.sha256, blob.size
            )
        )

    def finalize_model(self, caller: Caller, model_id: str) -> LoggedModel:
        """Seal the model's tree and set it ready; doing it again gives the same. Raises Conflict without files."""
        require(caller, "tracking:write")

        def fn(tx: Tx) -> LoggedModel:
            lock(tx, "logged-model", caller.workspace, model_id)
            model = _find(tx, caller, model_id)
            if model.status == "ready":
                return model
            digest = trees.seal(tx, caller.workspace, MODEL_TREE, model_id)
            model_store.mark_ready(tx, caller.workspace, model_id, digest)
            audit.append(tx, caller, action="model.log", object=f"logged-model:{model_id}", digest=digest)
            return _find(tx, caller, model_id)

        return self._storage.write(fn)

    def list_files(self, caller: Caller, model_id: str) -> Items[TreeFile]:
        """The model's files by path."""
        require(caller, "tracking:read")
        self.get_model(caller, model_id)
        return Items(
            self._storage.read(lambda tx: trees.list_files(tx, caller.workspace, MODEL_TREE, model_id))
        )

    def find_file(self, caller: Caller, model_id: str, path: str) -> TreeFile:
        """One file's digest and size. Raises NotFound."""
        require(caller, "tracking:read")
        self.get_model(caller, model_id)
        return self._storage.read(
            lambda tx: trees.find_file(tx, caller.workspace, MODEL_TREE, model_id, path)
        )


def _find(tx: Tx, caller: Caller, model_id: str) -> LoggedModel:
    model = model_store.find_logged_model(tx, caller.workspace, model_id)
    if model is None:
        raise NotFound(f"There is no logged model {model_id[:80]!r}.")
    return model
