"""What the registry does: models, versions and aliases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from holdfast.audit import service as audit
from holdfast.chunks import TreeFile
from holdfast.identity.service import require
from holdfast.kernel.errors import Conflict, InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.matching import Found, Wanted
from holdfast.kernel.paging import Items
from holdfast.kernel.principal import Caller
from holdfast.registry import changes, store
from holdfast.registry.changes import BESIDE_TREE, DEPLOYABLE_TREE, VERSION_TREE
from holdfast.registry.preparations import Preparations
from holdfast.registry.records import AliasChange, AliasState, ModelVersion, RegisteredModel
from holdfast.registry.rules import check_alias, check_name, check_note, check_tags, parse_version
from holdfast.registry.search import search_registry
from holdfast.registry.sources import Source, read_source
from holdfast.runtimes.files import read_model
from holdfast.runtimes.records import ModelDescription
from holdfast.storage import Objects, Storage, Tx, lock, trees
from holdfast.tracking.folder import FOLDER_OWNER, FOLDER_TREE
from holdfast.tracking.models import MODEL_TREE, LoggedModels
from holdfast.tracking.query import Filter, Order
from holdfast.tracking.service import RUN_TREE

__all__ = ["REFERENCE_FILE", "Registry"]

DESCRIPTION_FILE = "holdfast-model.json"
REFERENCE_FILE = "reference-scored.json.gz"
_DESCRIPTION_LIMIT = 4_000_000
_UNDESCRIBED = "It was not logged by holdfast's client, so it does not say how to serve it."


class Registry:
    """Registered models over the metadata database and the object store."""

    def __init__(self, storage: Storage, objects: Objects, models: LoggedModels) -> None:
        self._storage = storage
        self.preparations = Preparations(storage)
        self._objects = objects
        self._models = models
        self._users_of: Callable[[Caller, str, int | None], Sequence[str]] = lambda *_: ()

    def protect(self, users_of: Callable[[Caller, str, int | None], Sequence[str]]) -> None:
        """Have `users_of` (caller, model, version or None) tell what uses a version: that one is not deleted."""
        self._users_of = users_of

    def create_model(
        self, caller: Caller, name: str, *, note: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """A new model without versions. Raises AlreadyExists when the name is taken."""
        require(caller, "registry:write")
        check_name(name)
        check_note(note)
        check_tags(tags or {})

        def fn(tx: Tx) -> RegisteredModel:
            lock(tx, "model", caller.workspace, name)
            changes.refuse_taken(tx, caller, name)
            changes.insert_model(tx, caller, name, note)
            store.put_tags(tx, caller.workspace, name, None, tags or {})
            return changes.find_model(tx, caller, name)

        return self._storage.write(fn)

    def list_models(self, caller: Caller) -> Items[RegisteredModel]:
        """All models by name, with their versions."""
        require(caller, "registry:read")
        return Items(
            self._storage.read(
                lambda tx: store.load_models(tx, caller.workspace, store.list_models(tx, caller.workspace))
            )
        )

    def search(self, caller: Caller, wanted: Wanted, limit: int) -> Found:
        """The best models, and versions by number or alias, for the words: so many of each."""
        require(caller, "registry:read")
        return self._storage.read(lambda tx: search_registry(tx, caller.workspace, wanted, limit))

    def find_models(
        self, caller: Caller, where: Filter, order: Sequence[Order], *, offset: int, limit: int
    ) -> list[RegisteredModel]:
        """Models that match every clause, in the order asked for, then by name."""
        require(caller, "registry:read")

        def fn(tx: Tx) -> list[RegisteredModel]:
            names = store.find_model_names(tx, caller.workspace, where, order, offset, limit)
            return store.load_models(tx, caller.workspace, names)

        return self._storage.read(fn)

    def find_versions(
        self, caller: Caller, where: Filter, order: Sequence[Order], *, offset: int, limit: int
    ) -> list[ModelVersion]:
        """Versions that match every clause, in the order asked for, by default the one that changed last first."""
        require(caller, "registry:read")
        return self._storage.read(
            lambda tx: store.find_versions(tx, caller.workspace, where, order, offset, limit)
        )

    def get_model(self, caller: Caller, name: str) -> RegisteredModel:
        """One model. Raises NotFound, with the known names."""
        require(caller, "registry:read")
        return self._storage.read(lambda tx: changes.find_model(tx, caller, name))

    def rename_model(self, caller: Caller, name: str, new_name: str) -> RegisteredModel:
        """Give a model another name. Audited. Raises AlreadyExists, and Conflict while a version is in use."""
        require(caller, "registry:write")
        check_name(new_name)
        self._refuse_used(caller, name, None)

        def fn(tx: Tx) -> RegisteredModel:
            for held in sorted((name, new_name)):
                lock(tx, "model", caller.workspace, held)
            before = changes.find_model(tx, caller, name)
            if name == new_name:
                return before
            changes.refuse_taken(tx, caller, new_name)
            store.rename_model(tx, caller.workspace, name, new_name)
            store.update_model(tx, caller.workspace, new_name, {"updated_at": caller.time_ms})
            audit.append(
                tx,
                caller,
                action="model.rename",
                object=f"model:{new_name}",
                before={"name": name},
                after={"name": new_name},
            )
            return changes.find_model(tx, caller, new_name)

        return self._storage.write(fn)

    def describe_model(self, caller: Caller, name: str, note: str) -> RegisteredModel:
        """Say what a model is for, in Markdown."""
        require(caller, "registry:write")
        check_note(note)

        def fn(tx: Tx) -> RegisteredModel:
            lock(tx, "model", caller.workspace, name)
            changes.find_model(tx, caller, name)
            store.update_model(tx, caller.workspace, name, {"note": note, "updated_at": caller.time_ms})
            return changes.find_model(tx, caller, name)

        return self._storage.write(fn)

    def delete_model(self, caller: Caller, name: str) -> None:
        """Delete a model with its versions and aliases. Audited. Raises Conflict while a version is in use."""
        require(caller, "registry:write")
        self._refuse_used(caller, name, None)

        def fn(tx: Tx) -> None:
            lock(tx, "model", caller.workspace, name)
            model = changes.find_model(tx, caller, name)
            for version in model.versions:
                changes.drop_trees(tx, caller, version)
            store.delete_model(tx, caller.workspace, name)
            before = {"versions": [version.version for version in model.versions]}
            audit.append(tx, caller, action="model.delete", object=f"model:{name}", before=before)

        self._storage.write(fn)

    def set_tags(self, caller: Caller, name: str, version: int | None, tags: Mapping[str, str]) -> None:
        """Write tags of a model, or of a version of it; an existing key gets the new value."""
        require(caller, "registry:write")
        check_tags(tags)

        def fn(tx: Tx) -> None:
            changes.hold(tx, caller, name, version)
            store.put_tags(tx, caller.workspace, name, version, tags)
            changes.touch(tx, caller, name, version)

        self._storage.write(fn)

    def delete_tag(self, caller: Caller, name: str, version: int | None, key: str) -> None:
        """Take a tag off a model, or off a version of it; no error when it is gone already."""
        require(caller, "registry:write")

        def fn(tx: Tx) -> None:
            changes.hold(tx, caller, name, version)
            if store.remove_tag(tx, caller.workspace, name, version, key):
                changes.touch(tx, caller, name, version)

        self._storage.write(fn)

    def register_version(self, caller: Caller, name: str, model_id: str) -> ModelVersion:
        """A new version from a ready logged model, with its own rows of the model's files, so that deleting the
        run can't hurt it. The model is made when its name is new. The worker prepares the version afterwards.
        """
        require(caller, "registry:write")
        check_name(name)
        logged = self._models.get_model(caller, model_id)
        if logged.status != "ready" or logged.digest is None:
            raise Conflict(
                f"The logged model {model_id} is not ready.", hint="Finalize it after its files are uploaded."
            )
        description = self._read_description(caller, model_id)
        version = ModelVersion(
            name=name,
            version=0,
            version_id=new_id("v-"),
            model_id=model_id,
            run_id=logged.run_id,
            digest=logged.digest,
            created_at=caller.time_ms,
            created_by=caller.principal.name,
            description=description,
            updated_at=caller.time_ms,
            source=f"models:/{model_id}",
        )
        tree = (MODEL_TREE, model_id, "")
        return self._storage.write(lambda tx: changes.register(tx, caller, version, tree, makes_model=True))

    def create_version(
        self,
        caller: Caller,
        name: str,
        source: str,
        *,
        run_id: str = "",
        model_id: str = "",
        link: str = "",
        note: str = "",
        tags: Mapping[str, str] | None = None,
        is_placeholder: bool = False,
    ) -> ModelVersion:
        """A new version of an existing model from a source: see `registry.sources`. It takes its own rows of the
        files as they are now; a source elsewhere, or one whose run is not here, gives a version without files.

        is_placeholder: the source is a mere word, as MLflow's prompts have it. Raises NotFound for an unknown model.
        """
        require(caller, "registry:write")
        check_name(name)
        check_note(note)
        check_tags(tags or {})
        found = Source() if is_placeholder else read_source(source, run_id=run_id, model_id=model_id)
        if model_id:
            self._models.get_model(caller, model_id)
        tree = self._tree_of(caller, found)
        if found.model_id and not run_id:
            run_id = self._models.get_model(caller, found.model_id).run_id or ""
        description = self._describe_tree(caller, tree)
        version = ModelVersion(
            name=name,
            version=0,
            version_id=new_id("v-"),
            model_id=model_id or found.model_id,
            run_id=run_id or found.run_id or None,
            digest="",
            created_at=caller.time_ms,
            created_by=caller.principal.name,
            description=description,
            status="stored" if description is None else "pending",
            message=_UNDESCRIBED if description is None else "",
            updated_at=caller.time_ms,
            note=note,
            source=source,
            link=link,
            tags=dict(tags or {}),
        )
        return self._storage.write(lambda tx: changes.register(tx, caller, version, tree, makes_model=False))

    def _tree_of(self, caller: Caller, source: Source) -> changes.Tree | None:
        """The tree (kind, owner, folder) that a source names; None when it is not ours or not here."""
        if source.model_id:
            self._models.get_model(caller, source.model_id)
            return (MODEL_TREE, source.model_id, source.path)
        if source.name:
            version = self.get_version(caller, source.name, parse_version(source.version))
            return (VERSION_TREE, version.version_id, "")
        if source.folder:
            return (FOLDER_TREE, FOLDER_OWNER, source.folder)
        return (RUN_TREE, source.run_id, source.path) if source.run_id else None

    def _describe_tree(self, caller: Caller, tree: changes.Tree | None) -> ModelDescription | None:
        if tree is None:
            return None
        kind, owner, folder = tree
        path = f"{folder}/{DESCRIPTION_FILE}".lstrip("/")
        files = self._storage.read(lambda tx: trees.list_files(tx, caller.workspace, kind, owner, folder))
        file = next((one for one in files if one.path == path), None)
        return None if file is None else self._read_file(file)

    def update_version(self, caller: Caller, name: str, version: int, note: str) -> ModelVersion:
        """Say what a version is, in Markdown."""
        require(caller, "registry:write")
        check_note(note)

        def fn(tx: Tx) -> ModelVersion:
            changes.hold(tx, caller, name, version)
            values = {"note": note, "updated_at": caller.time_ms}
            store.update_version(tx, caller.workspace, name, version, values)
            return changes.find_version(tx, caller, name, version)

        return self._storage.write(fn)

    def delete_version(self, caller: Caller, name: str, version: int) -> None:
        """Delete a version; its number is never given again. Audited. Raises Conflict while it is in use."""
        require(caller, "registry:write")
        self._refuse_used(caller, name, version)

        def fn(tx: Tx) -> None:
            changes.hold(tx, caller, name, version)
            found = changes.find_version(tx, caller, name, version)
            for alias in found.aliases:
                changes.delete_alias(tx, caller, name, alias, version)
            changes.drop_trees(tx, caller, found)
            store.delete_version(tx, caller.workspace, name, version)
            store.update_model(tx, caller.workspace, name, {"updated_at": caller.time_ms})
            audit.append(
                tx, caller, action="version.delete", object=f"model:{name}/{version}", digest=found.digest
            )

        self._storage.write(fn)

    def move_to_stage(
        self, caller: Caller, name: str, version: int, stage: str, *, archive_others: bool
    ) -> ModelVersion:
        """Move a version to MLflow's stage: Staging and Production are the aliases `staging` and `production`.

        A stage is held by one version, so another that held it is in none afterwards, or archived.
        """
        require(caller, "registry:write")
        alias = stage.lower() if stage in ("Staging", "Production") else ""

        def fn(tx: Tx) -> ModelVersion:
            changes.hold(tx, caller, name, version)
            standing = {one.alias: one.version for one in store.aliases_of(tx, caller.workspace, name)}
            before = standing.get(alias) if alias else None
            if archive_others and before not in (None, version):
                changes.archive(tx, caller, name, int(before or 0), caller.time_ms)
            for other in ("staging", "production"):
                if other != alias and standing.get(other) == version:
                    changes.delete_alias(tx, caller, name, other, version)
            if alias:
                changes.set_alias(tx, caller, name, alias, version, "")
            changes.archive(tx, caller, name, version, caller.time_ms if stage == "Archived" else None)
            changes.touch(tx, caller, name, version)
            return changes.find_version(tx, caller, name, version)

        return self._storage.write(fn)

    def _refuse_used(self, caller: Caller, name: str, version: int | None) -> None:
        users = self._users_of(caller, name, version)
        if users:
            raise Conflict(
                f"The {'model' if version is None else 'model version'} {name}{'' if version is None else f'/{version}'} "
                f"is in use: {', '.join(users[:5])}.",
                hint="Deploy another version there, or stop the endpoint, first.",
            )

    def _read_description(self, caller: Caller, model_id: str) -> ModelDescription:
        return self._read_file(self._models.find_file(caller, model_id, DESCRIPTION_FILE))

    def _read_file(self, file: TreeFile) -> ModelDescription:
        if file.size > _DESCRIPTION_LIMIT:
            raise InvalidInput(
                f"{DESCRIPTION_FILE} has {file.size} bytes; the limit is {_DESCRIPTION_LIMIT}."
            )
        return read_model(self._objects.get(file.sha256))

    def get_version(self, caller: Caller, name: str, version: int) -> ModelVersion:
        """One version. Raises NotFound, with the known versions."""
        require(caller, "registry:read")
        return self._storage.read(lambda tx: changes.find_version(tx, caller, name, version))

    def registrations(self, caller: Caller, model_ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
        """The (name, version) pairs that were registered from each of the logged models."""
        require(caller, "registry:read")
        return self._storage.read(lambda tx: store.registrations(tx, caller.workspace, list(model_ids)))

    def files_of(self, caller: Caller, version_id: str) -> list[TreeFile]:
        """The files of a version by its id, as they were registered."""
        require(caller, "registry:read")
        return self._storage.read(lambda tx: trees.list_files(tx, caller.workspace, VERSION_TREE, version_id))

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
                return changes.find_version(
                    tx, caller, name, changes.find_alias(tx, caller, name, alias).version
                )
            if slash:
                return changes.find_version(tx, caller, slashed, parse_version(number))
            versions = changes.find_model(tx, caller, spec).versions
            if not versions:
                raise NotFound(f"The registered model {spec!r} has no version.", hint="Register one first.")
            return versions[0]

        return self._storage.read(fn)

    # Aliases

    def set_alias(self, caller: Caller, name: str, alias: str, version: int, reason: str = "") -> AliasState:
        """Point an alias at a version; pointing it where it points already changes nothing."""
        require(caller, "registry:write")
        check_alias(alias)

        def fn(tx: Tx) -> AliasState:
            lock(tx, "model", caller.workspace, name)
            changes.find_version(tx, caller, name, version)
            return changes.set_alias(tx, caller, name, alias, version, reason)

        return self._storage.write(fn)

    def delete_alias(self, caller: Caller, name: str, alias: str) -> None:
        """Delete an alias; no error when it is gone already. Raises NotFound for an unknown model."""
        require(caller, "registry:write")

        def fn(tx: Tx) -> None:
            lock(tx, "model", caller.workspace, name)
            states = {state.alias: state for state in changes.find_model(tx, caller, name).aliases}
            if alias in states:
                changes.delete_alias(tx, caller, name, alias, states[alias].version)

        self._storage.write(fn)

    def alias_history(
        self, caller: Caller, name: str, *, alias: str | None = None, at: int | None = None
    ) -> Items[AliasChange]:
        """The moves of a model's aliases, the latest first; with `at` (ms UTC), what each alias named then."""
        require(caller, "registry:read")

        def fn(tx: Tx) -> list[AliasChange]:
            changes.find_model(tx, caller, name)
            return store.alias_changes(tx, caller.workspace, name, alias, at)

        moves = self._storage.read(fn)
        if at is None:
            return Items(moves[::-1])
        standing = {change.alias: change for change in moves}
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
