"""What the registry does: models, versions, aliases, and the outcome of preparing a version."""

from __future__ import annotations

import re

import msgspec

from holdfast.audit import service as audit
from holdfast.chunks import TreeFile
from holdfast.identity.service import require
from holdfast.kernel.errors import Conflict, InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.matching import Found, Wanted
from holdfast.kernel.paging import Items
from holdfast.kernel.principal import Caller
from holdfast.registry import store
from holdfast.registry.records import AliasChange, AliasState, ModelVersion, Preparation, RegisteredModel
from holdfast.registry.search import search_registry
from holdfast.runtimes.files import read_model
from holdfast.runtimes.records import ModelDescription
from holdfast.storage import Objects, Storage, Tx, lock, trees
from holdfast.tracking.models import MODEL_TREE, LoggedModels

__all__ = ["BESIDE_TREE", "DEPLOYABLE_TREE", "REFERENCE_FILE", "VERSION_TREE", "Registry"]

VERSION_TREE = "model_version"
DEPLOYABLE_TREE = "deployable"
BESIDE_TREE = "version_beside"
DESCRIPTION_FILE = "holdfast-model.json"
REFERENCE_FILE = "reference-scored.json.gz"
_DESCRIPTION_LIMIT = 4_000_000
_ALIAS = re.compile(r"[\w\-]{1,255}")
_NAME_HINT = "Use 1 to 250 characters without '/', ':', '@' and control characters."


class Registry:
    """Registered models over the metadata database and the object store."""

    def __init__(self, storage: Storage, objects: Objects, models: LoggedModels) -> None:
        self._storage = storage
        self._objects = objects
        self._models = models

    def create_model(self, caller: Caller, name: str) -> RegisteredModel:
        """A new model without versions. Raises Conflict when the name is taken."""
        require(caller, "registry:write")
        _check_name(name)

        def fn(tx: Tx) -> RegisteredModel:
            lock(tx, "model", caller.workspace, name)
            if store.model_created_at(tx, caller.workspace, name) is not None:
                raise Conflict(f"There is a registered model {name!r} already.")
            _insert_model(tx, caller, name)
            return _find_model(tx, caller, name)

        return self._storage.write(fn)

    def list_models(self, caller: Caller) -> Items[RegisteredModel]:
        """All models by name, with their versions."""
        require(caller, "registry:read")

        def fn(tx: Tx) -> list[RegisteredModel]:
            return [_find_model(tx, caller, name) for name, _ in store.list_models(tx, caller.workspace)]

        return Items(self._storage.read(fn))

    def search(self, caller: Caller, wanted: Wanted, limit: int) -> Found:
        """The best models, and versions by number or alias, for the words: so many of each."""
        require(caller, "registry:read")
        return self._storage.read(lambda tx: search_registry(tx, caller.workspace, wanted, limit))

    def get_model(self, caller: Caller, name: str) -> RegisteredModel:
        """One model. Raises NotFound, with the known names."""
        require(caller, "registry:read")
        return self._storage.read(lambda tx: _find_model(tx, caller, name))

    def register_version(self, caller: Caller, name: str, model_id: str) -> ModelVersion:
        """A new version from a ready logged model, with its own rows of the model's files, so that deleting the
        run can't hurt it. The model is made when its name is new. The worker prepares the version afterwards.
        """
        require(caller, "registry:write")
        _check_name(name)
        logged = self._models.get_model(caller, model_id)
        if logged.status != "ready" or logged.digest is None:
            raise Conflict(
                f"The logged model {model_id} is not ready.", hint="Finalize it after its files are uploaded."
            )
        digest, version_id = logged.digest, new_id("v-")
        description = self._read_description(caller, model_id)

        def fn(tx: Tx) -> ModelVersion:
            lock(tx, "model", caller.workspace, name)
            if store.model_created_at(tx, caller.workspace, name) is None:
                _insert_model(tx, caller, name)
            number = store.next_version(tx, caller.workspace, name)
            version = ModelVersion(
                name=name,
                version=number,
                version_id=version_id,
                model_id=model_id,
                run_id=logged.run_id,
                digest=digest,
                created_at=caller.time_ms,
                created_by=caller.principal.name,
                description=description,
            )
            store.insert_version(tx, caller.workspace, version)
            trees.copy_tree(tx, caller.workspace, (MODEL_TREE, model_id), (VERSION_TREE, version_id))
            trees.seal(tx, caller.workspace, VERSION_TREE, version_id)
            after = {"version": number, "model_id": model_id, "run_id": logged.run_id}
            audit.append(
                tx,
                caller,
                action="version.register",
                object=f"model:{name}/{number}",
                digest=digest,
                after=after,
            )
            return version

        return self._storage.write(fn)

    def _read_description(self, caller: Caller, model_id: str) -> ModelDescription:
        file = self._models.find_file(caller, model_id, DESCRIPTION_FILE)
        if file.size > _DESCRIPTION_LIMIT:
            raise InvalidInput(
                f"{DESCRIPTION_FILE} has {file.size} bytes; the limit is {_DESCRIPTION_LIMIT}."
            )
        return read_model(self._objects.get(file.sha256))

    def get_version(self, caller: Caller, name: str, version: int) -> ModelVersion:
        """One version. Raises NotFound, with the known versions."""
        require(caller, "registry:read")
        return self._storage.read(lambda tx: _find_version(tx, caller, name, version))

    def versions_of_run(self, caller: Caller, run_id: str) -> list[ModelVersion]:
        """The versions that came out of a run."""
        require(caller, "registry:read")
        return self._storage.read(lambda tx: store.list_versions(tx, caller.workspace, run_id=run_id))

    def resolve_version(self, caller: Caller, spec: str) -> ModelVersion:
        """The version that `spec` names: `flights@production`, `flights/3`, or `flights` for the newest one."""
        require(caller, "registry:read")
        name, at, alias = spec.partition("@")
        slashed, slash, number = spec.rpartition("/")

        def fn(tx: Tx) -> ModelVersion:
            if at:
                return _find_version(tx, caller, name, _find_alias(tx, caller, name, alias).version)
            if slash:
                return _find_version(tx, caller, slashed, parse_version(number))
            versions = _find_model(tx, caller, spec).versions
            if not versions:
                raise NotFound(f"The registered model {spec!r} has no version.", hint="Register one first.")
            return versions[0]

        return self._storage.read(fn)

    # Aliases

    def set_alias(self, caller: Caller, name: str, alias: str, version: int, reason: str = "") -> AliasState:
        """Point an alias at a version; pointing it where it points already changes nothing."""
        require(caller, "registry:write")
        _check_alias(alias)

        def fn(tx: Tx) -> AliasState:
            lock(tx, "model", caller.workspace, name)
            _find_version(tx, caller, name, version)
            before = {state.alias: state for state in store.aliases_of(tx, caller.workspace, name)}.get(alias)
            if before is not None and before.version == version:
                return before
            state = AliasState(alias, version, caller.time_ms, caller.principal.name)
            store.set_alias(tx, caller.workspace, name, state)
            audit.append(
                tx,
                caller,
                action="alias.set",
                object=f"model:{name}@{alias}",
                before=None if before is None else {"version": before.version},
                after={"version": version},
                reason=reason,
            )
            return state

        return self._storage.write(fn)

    def delete_alias(self, caller: Caller, name: str, alias: str) -> None:
        """Delete an alias; no error when it is gone already. Raises NotFound for an unknown model."""
        require(caller, "registry:write")

        def fn(tx: Tx) -> None:
            lock(tx, "model", caller.workspace, name)
            states = {state.alias: state for state in _find_model(tx, caller, name).aliases}
            if alias not in states:
                return
            store.delete_alias(tx, caller.workspace, name, alias, caller.time_ms, caller.principal.name)
            before = {"version": states[alias].version}
            audit.append(tx, caller, action="alias.delete", object=f"model:{name}@{alias}", before=before)

        self._storage.write(fn)

    def alias_history(
        self, caller: Caller, name: str, *, alias: str | None = None, at: int | None = None
    ) -> Items[AliasChange]:
        """The moves of a model's aliases, the latest first; with `at` (ms UTC), what each alias named then."""
        require(caller, "registry:read")

        def fn(tx: Tx) -> list[AliasChange]:
            _find_model(tx, caller, name)
            return store.alias_changes(tx, caller.workspace, name, alias, at)

        changes = self._storage.read(fn)
        if at is None:
            return Items(changes[::-1])
        standing = {change.alias: change for change in changes}
        return Items([change for change in standing.values() if change.version is not None])

    # Files

    def list_files(self, caller: Caller, name: str, version: int) -> Items[TreeFile]:
        """The files of a version: of its deployable once that is ready, else of its model."""
        require(caller, "registry:read")
        found = self.get_version(caller, name, version)
        kind = VERSION_TREE if found.deployable_digest is None else DEPLOYABLE_TREE
        return Items(
            self._storage.read(lambda tx: trees.list_files(tx, caller.workspace, kind, found.version_id))
        )

    def find_file(self, caller: Caller, name: str, version: int, path: str) -> TreeFile:
        """One file of a version. Raises NotFound."""
        files = {file.path: file for file in self.list_files(caller, name, version).items}
        if path not in files:
            raise NotFound(f"There is no file {path[:120]!r} in the model version {name}/{version}.")
        return files[path]

    def scored_reference(self, caller: Caller, name: str, version: int) -> bytes | None:
        """The reference rows with the model's own answers (gzipped JSON columns); None when the version has none."""
        require(caller, "registry:read")
        found = self.get_version(caller, name, version)
        beside = self._storage.read(
            lambda tx: trees.list_files(tx, caller.workspace, BESIDE_TREE, found.version_id)
        )
        digests = {file.path: file.sha256 for file in beside}
        return self._objects.get(digests[REFERENCE_FILE]) if REFERENCE_FILE in digests else None

    # Preparation, by the worker

    def pending_versions(self) -> list[tuple[str, str, int]]:
        """(workspace, name, version) of every version that waits, the oldest first."""
        return self._storage.read(store.pending_versions)

    def record_preparation(
        self, caller: Caller, name: str, version: int, outcome: Preparation
    ) -> ModelVersion:
        """Write what preparing a version gave; a version that is not pending any more stays as it is."""
        require(caller, "registry:write")

        def fn(tx: Tx) -> ModelVersion:
            lock(tx, "model", caller.workspace, name)
            found = _find_version(tx, caller, name, version)
            if found.status != "pending":
                return found
            digest = _store_trees(tx, caller, found, outcome)
            values = {
                "status": outcome.status,
                "runtime": outcome.runtime,
                "parity": None if outcome.parity is None else msgspec.json.encode(outcome.parity).decode(),
                "message": outcome.message,
                "deployable_digest": digest,
                "prepared_at": caller.time_ms,
            }
            store.update_version(tx, caller.workspace, name, version, values)
            audit.append(
                tx,
                caller,
                action="version.prepare",
                object=f"model:{name}/{version}",
                digest=digest,
                after={"status": outcome.status, "runtime": outcome.runtime, "message": outcome.message},
            )
            return _find_version(tx, caller, name, version)

        return self._storage.write(fn)


def parse_version(text: str) -> int:
    """A version number from text. Raises InvalidInput."""
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise InvalidInput(f"{text[:40]!r} is not a version number.", hint="Versions count from 1.")
    return int(text)


def _store_trees(tx: Tx, caller: Caller, version: ModelVersion, outcome: Preparation) -> str | None:
    owner = version.version_id
    for path, (sha256, size) in outcome.beside_files.items():
        trees.put_file(tx, caller.workspace, BESIDE_TREE, owner, path, sha256, size)
    if outcome.status != "ready":
        return None
    trees.copy_tree(tx, caller.workspace, (VERSION_TREE, owner), (DEPLOYABLE_TREE, owner))
    for path, (sha256, size) in outcome.deployable_files.items():
        trees.put_file(tx, caller.workspace, DEPLOYABLE_TREE, owner, path, sha256, size)
    return trees.seal(tx, caller.workspace, DEPLOYABLE_TREE, owner)


def _insert_model(tx: Tx, caller: Caller, name: str) -> None:
    store.insert_model(tx, caller.workspace, name, caller.time_ms)
    audit.append(tx, caller, action="model.create", object=f"model:{name}", after={"name": name})


def _find_model(tx: Tx, caller: Caller, name: str) -> RegisteredModel:
    created_at = store.model_created_at(tx, caller.workspace, name)
    if created_at is None:
        known = [other for other, _ in store.list_models(tx, caller.workspace)]
        raise NotFound(f"There is no registered model {name[:80]!r}.", details={"known": known[:50]})
    versions = store.list_versions(tx, caller.workspace, name=name)
    return RegisteredModel(name, created_at, store.aliases_of(tx, caller.workspace, name), versions)


def _find_version(tx: Tx, caller: Caller, name: str, version: int) -> ModelVersion:
    found = store.find_version(tx, caller.workspace, name, version)
    if found is None:
        known = [one.version for one in _find_model(tx, caller, name).versions]
        raise NotFound(
            f"The registered model {name!r} has no version {version}.", details={"known": known[:50]}
        )
    return found


def _find_alias(tx: Tx, caller: Caller, name: str, alias: str) -> AliasState:
    states = {state.alias: state for state in _find_model(tx, caller, name).aliases}
    if alias not in states:
        raise NotFound(
            f"The registered model {name!r} has no alias {alias[:80]!r}.",
            hint=f"Set it with: holdfast model alias {name} {alias or 'production'} VERSION",
            details={"known": sorted(states)},
        )
    return states[alias]


def _check_name(name: str) -> None:
    clean = name.strip() and len(name) <= 250 and not any(char in "/:@" or ord(char) < 32 for char in name)
    if not clean or name in (".", "..") or name != name.strip():
        raise InvalidInput(f"{name[:80]!r} is not a name for a registered model.", hint=_NAME_HINT)


def _check_alias(alias: str) -> None:
    if not _ALIAS.fullmatch(alias) or alias == "latest" or re.fullmatch(r"v\d+", alias):
        raise InvalidInput(
            f"{alias[:80]!r} is not an alias.",
            hint="Use 1 to 255 letters, digits, '_' or '-'; not 'latest', not 'v' and a number.",
        )
