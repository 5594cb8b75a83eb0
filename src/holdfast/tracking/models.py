"""Logged models: a tree of files that is filled, then sealed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from holdfast.audit import service as audit
from holdfast.chunks import TreeFile, check_path
from holdfast.identity.service import require
from holdfast.kernel.errors import Conflict, InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.paging import Items
from holdfast.kernel.principal import Caller
from holdfast.storage import Objects, Storage, Tx, lock, trees
from holdfast.tracking.batches import check_value
from holdfast.tracking.experiments import find_experiment
from holdfast.tracking.held import no_model
from holdfast.tracking.names import check_given_id
from holdfast.tracking.query import Filter, Order
from holdfast.tracking.records import LoggedModel
from holdfast.tracking.store import find
from holdfast.tracking.store import models as model_store
from holdfast.tracking.store import runs as run_store

__all__ = ["FILE_LIMIT", "MODEL_TREE", "LoggedModels"]

MODEL_TREE = "logged_model"
FILE_LIMIT = 20 * 1024**3
_TYPE_LIMIT, _PARAM_LIMIT, _TAG_LIMIT = 500, 6000, 8000


class LoggedModels:
    """Models that runs log, over the metadata database and the object store."""

    def __init__(self, storage: Storage, objects: Objects) -> None:
        self._storage = storage
        self._objects = objects

    def create_model(
        self,
        caller: Caller,
        *,
        name: str,
        run_id: str | None,
        experiment: str | int | None = None,
        type: str = "",
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        model_id: str | None = None,
    ) -> LoggedModel:
        """A new pending model of a run (or of none, then of an experiment where one is named), ready to take files.

        `model_id`: `m-` and 32 hex digits that the client chose; asked again, it gives the model that is there.
        Raises NotFound for an unknown run or experiment, Conflict when the id is that of another run's model.
        """
        require(caller, "tracking:write")
        if not name or len(name) > 250 or any(char in "/\\:.%\"'" or ord(char) < 32 for char in name):
            raise InvalidInput(
                f"{name[:80]!r} is not a name for a logged model.",
                hint="Use 1 to 250 characters without / \\ : . % and quotes.",
                details={"logged_model_name": name[:80]},
            )
        if len(type) > _TYPE_LIMIT:
            raise InvalidInput(f"The model type {type[:80]!r} has more than {_TYPE_LIMIT} characters.")
        _check_values("param", params or {}, _PARAM_LIMIT)
        _check_values("tag", tags or {}, _TAG_LIMIT)
        if model_id is not None:
            check_given_id("logged model", model_id, "m-")
        new = model_id or new_id("m-")

        def fn(tx: Tx) -> LoggedModel:
            if model_id is not None and (there := _given_model(tx, caller, model_id, run_id)):
                return there
            run = None if run_id is None else run_store.find_run(tx, caller.workspace, run_id)
            if run_id is not None and run is None:
                raise NotFound(f"There is no run {run_id[:80]!r}.")
            of_run = None if run is None else run.experiment_id
            model = LoggedModel(
                model_id=new,
                run_id=run_id,
                experiment_id=of_run
                if experiment is None
                else find_experiment(tx, caller, experiment).experiment_id,
                name=name,
                status="pending",
                created_at=caller.time_ms,
                digest=None,
                type=type,
                updated_at=caller.time_ms,
                params=dict(params or {}),
                tags=dict(tags or {}),
            )
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
        return self._objects.put_for(
            blocks,
            lambda tx, blob: trees.put_file(
                tx, caller.workspace, MODEL_TREE, model_id, path, blob.sha256, blob.size
            ),
            FILE_LIMIT,
        )

    def find_models(
        self,
        caller: Caller,
        experiments: Sequence[int],
        where: Filter,
        order: Sequence[tuple[Order, str, str]],
        *,
        data: Sequence[tuple[str, str]] = (),
        offset: int = 0,
        limit: int = 100,
    ) -> list[LoggedModel]:
        """Logged models of some experiments that match every clause: see `tracking.store.find`."""
        require(caller, "tracking:read")
        return self._storage.read(
            lambda tx: find.find_models(tx, caller.workspace, experiments, where, order, data, offset, limit)
        )

    def finalize_model(
        self, caller: Caller, model_id: str, *, failed: bool = False, may_be_empty: bool = False
    ) -> LoggedModel:
        """Seal the model's tree and set it ready; doing it again gives the same. Raises Conflict without files.

        failed: note instead that its upload failed; it stays open. may_be_empty: a model without files is fine.
        """
        require(caller, "tracking:write")

        def fn(tx: Tx) -> LoggedModel:
            model = _hold(tx, caller, model_id)
            if model.status == "ready":
                return model
            values: dict[str, Any] = {"status": "failed", "updated_at": caller.time_ms}
            if not failed:
                digest = trees.seal(tx, caller.workspace, MODEL_TREE, model_id, may_be_empty=may_be_empty)
                values |= {"status": "ready", "digest": digest}
                audit.append(tx, caller, action="model.log", object=f"logged-model:{model_id}", digest=digest)
            model_store.update_logged_model(tx, caller.workspace, model_id, values)
            return _find(tx, caller, model_id)

        return self._storage.write(fn)

    def delete_model(self, caller: Caller, model_id: str) -> None:
        """Delete a logged model; versions that were registered from it keep their files. Audited.

        One that is deleted already is fine. Raises NotFound for one that never was.
        """
        require(caller, "tracking:write")

        def fn(tx: Tx) -> None:
            lock(tx, "logged-model", caller.workspace, model_id)
            if model_store.was_deleted(tx, caller.workspace, model_id):
                return
            _find(tx, caller, model_id)
            values = {"deleted_at": caller.time_ms, "updated_at": caller.time_ms}
            model_store.update_logged_model(tx, caller.workspace, model_id, values)
            audit.append(tx, caller, action="model.delete", object=f"logged-model:{model_id}")

        self._storage.write(fn)

    def add_params(self, caller: Caller, model_id: str, params: Mapping[str, str]) -> None:
        """Write params, once each: the same value again is fine, another raises InvalidInput."""
        require(caller, "tracking:write")
        _check_values("param", params, _PARAM_LIMIT)

        def fn(tx: Tx) -> None:
            model = _hold(tx, caller, model_id)
            for key, value in params.items():
                if model.params.get(key, value) != value:
                    raise InvalidInput(
                        f"The param {key!r} of the logged model {model_id} is {model.params[key][:80]!r} already.",
                        hint="Params are written once.",
                    )
            new = {key: value for key, value in params.items() if key not in model.params}
            model_store.add_params(tx, caller.workspace, _number(tx, caller, model_id), new)

        self._storage.write(fn)

    def set_tags(self, caller: Caller, model_id: str, tags: Mapping[str, str]) -> LoggedModel:
        """Write tags; an existing key gets the new value. Raises NotFound."""
        require(caller, "tracking:write")
        _check_values("tag", tags, _TAG_LIMIT)

        def fn(tx: Tx) -> LoggedModel:
            _hold(tx, caller, model_id)
            model_store.put_tags(tx, caller.workspace, _number(tx, caller, model_id), tags)
            values = {"updated_at": caller.time_ms}
            model_store.update_logged_model(tx, caller.workspace, model_id, values)
            return _find(tx, caller, model_id)

        return self._storage.write(fn)

    def delete_tag(self, caller: Caller, model_id: str, key: str) -> None:
        """Take a tag off. Raises NotFound when it has none of the key."""
        require(caller, "tracking:write")

        def fn(tx: Tx) -> None:
            _hold(tx, caller, model_id)
            if not model_store.remove_tag(tx, caller.workspace, _number(tx, caller, model_id), key):
                raise NotFound(
                    f"The logged model {model_id} has no tag {key[:250]!r}.",
                    details={"logged_model": model_id, "tag": key[:250]},
                )

        self._storage.write(fn)

    def delete_files(self, caller: Caller, model_id: str, path: str) -> None:
        """Take a file, or everything below a folder, out of a model that is not ready. Raises NotFound."""
        require(caller, "tracking:write")
        self.get_model(caller, model_id)
        self._storage.write(lambda tx: trees.remove_below(tx, caller.workspace, MODEL_TREE, model_id, path))

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


def _check_values(kind: str, values: Mapping[str, str], most: int) -> None:
    for key, value in values.items():
        check_value(kind, key, value, most)


def _number(tx: Tx, caller: Caller, model_id: str) -> int:
    number = model_store.model_number(tx, caller.workspace, model_id)
    assert number is not None
    return number


def _hold(tx: Tx, caller: Caller, model_id: str) -> LoggedModel:
    """The model, with its lock: nobody else changes it until the transaction ends."""
    lock(tx, "logged-model", caller.workspace, model_id)
    return _find(tx, caller, model_id)


def _find(tx: Tx, caller: Caller, model_id: str) -> LoggedModel:
    model = model_store.find_logged_model(tx, caller.workspace, model_id)
    if model is None:
        raise no_model(model_id)
    return model


def _given_model(tx: Tx, caller: Caller, model_id: str, run_id: str | None) -> LoggedModel | None:
    """The model of an id that the client chose, when it is there already. Raises Conflict when it is another's."""
    lock(tx, "logged-model", caller.workspace, model_id)
    there = model_store.find_logged_model(tx, caller.workspace, model_id)
    if there is not None and there.run_id != run_id:
        raise Conflict(f"The logged model {model_id} is of another run: {there.run_id}.")
    return there
