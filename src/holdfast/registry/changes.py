"""Finding and changing models, versions and aliases inside a transaction, each change with its audit entry."""

from __future__ import annotations

import msgspec

from holdfast.audit import service as audit
from holdfast.kernel.errors import AlreadyExists, NotFound
from holdfast.kernel.principal import Caller
from holdfast.registry import store
from holdfast.registry.records import AliasState, ModelVersion, Preparation, RegisteredModel
from holdfast.storage import Tx, lock, trees

__all__ = [
    "BESIDE_TREE",
    "DEPLOYABLE_TREE",
    "VERSION_TREE",
    "Tree",
    "archive",
    "delete_alias",
    "drop_trees",
    "find_alias",
    "find_model",
    "find_version",
    "hold",
    "insert_model",
    "no_model",
    "refuse_taken",
    "register",
    "set_alias",
    "store_trees",
    "touch",
]

VERSION_TREE = "model_version"
DEPLOYABLE_TREE = "deployable"
BESIDE_TREE = "version_beside"
Tree = tuple[str, str, str]
"""Kind, owner and folder of a tree; an empty folder is the whole."""


def store_trees(tx: Tx, caller: Caller, version: ModelVersion, outcome: Preparation) -> str | None:
    owner = version.version_id
    for path, (sha256, size) in outcome.beside_files.items():
        trees.put_file(tx, caller.workspace, BESIDE_TREE, owner, path, sha256, size)
    if outcome.status != "ready":
        return None
    trees.copy_tree(tx, caller.workspace, (VERSION_TREE, owner), (DEPLOYABLE_TREE, owner))
    for path, (sha256, size) in outcome.deployable_files.items():
        trees.put_file(tx, caller.workspace, DEPLOYABLE_TREE, owner, path, sha256, size)
    return trees.seal(tx, caller.workspace, DEPLOYABLE_TREE, owner)


def register(
    tx: Tx, caller: Caller, version: ModelVersion, tree: Tree | None, *, makes_model: bool
) -> ModelVersion:
    """Give the version its number and its own rows of the tree's files."""
    lock(tx, "model", caller.workspace, version.name)
    if not store.has_model(tx, caller.workspace, version.name):
        if not makes_model:
            raise no_model(tx, caller, version.name)
        insert_model(tx, caller, version.name)
    if tree is not None:
        trees.copy_tree(tx, caller.workspace, tree[:2], (VERSION_TREE, version.version_id), folder=tree[2])
    digest = trees.seal(tx, caller.workspace, VERSION_TREE, version.version_id, may_be_empty=not makes_model)
    number = store.next_version(tx, caller.workspace, version.name)
    version = msgspec.structs.replace(version, version=number, digest=digest)
    store.insert_version(tx, caller.workspace, version)
    audit.append(
        tx,
        caller,
        action="version.register",
        object=f"model:{version.name}/{number}",
        digest=digest,
        after={"version": number, "model_id": version.model_id, "run_id": version.run_id},
    )
    return version


def drop_trees(tx: Tx, caller: Caller, version: ModelVersion) -> None:
    for kind in (VERSION_TREE, DEPLOYABLE_TREE, BESIDE_TREE):
        trees.drop_tree(tx, caller.workspace, kind, version.version_id)


def archive(tx: Tx, caller: Caller, name: str, version: int, at: int | None) -> None:
    store.update_version(tx, caller.workspace, name, version, {"archived_at": at})


def set_alias(tx: Tx, caller: Caller, name: str, alias: str, version: int, reason: str) -> AliasState:
    before = {state.alias: state for state in store.aliases_of(tx, caller.workspace, name)}.get(alias)
    if before is not None and before.version == version:
        return before
    state = AliasState(alias, version, caller.time_ms, caller.principal.name)
    store.set_alias(tx, caller.workspace, name, state)
    store.update_model(tx, caller.workspace, name, {"updated_at": caller.time_ms})
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


def delete_alias(tx: Tx, caller: Caller, name: str, alias: str, version: int) -> None:
    store.delete_alias(tx, caller.workspace, name, alias, caller.time_ms, caller.principal.name)
    before = {"version": version}
    audit.append(tx, caller, action="alias.delete", object=f"model:{name}@{alias}", before=before)


def hold(tx: Tx, caller: Caller, name: str, version: int | None) -> None:
    """Hold a model, and be sure that it, or its version, is there. Raises NotFound."""
    lock(tx, "model", caller.workspace, name)
    if version is not None:
        find_version(tx, caller, name, version)
    elif not store.has_model(tx, caller.workspace, name):
        raise no_model(tx, caller, name)


def touch(tx: Tx, caller: Caller, name: str, version: int | None) -> None:
    values = {"updated_at": caller.time_ms}
    if version is not None:
        store.update_version(tx, caller.workspace, name, version, values)
    store.update_model(tx, caller.workspace, name, values)


def refuse_taken(tx: Tx, caller: Caller, name: str) -> None:
    if store.has_model(tx, caller.workspace, name):
        raise AlreadyExists(f"There is a registered model {name!r} already.", details={"model": name})


def insert_model(tx: Tx, caller: Caller, name: str, note: str = "") -> None:
    store.insert_model(tx, caller.workspace, name, caller.time_ms, note)
    audit.append(tx, caller, action="model.create", object=f"model:{name}", after={"name": name})


def find_model(tx: Tx, caller: Caller, name: str) -> RegisteredModel:
    found = store.load_models(tx, caller.workspace, [name])
    if not found:
        raise no_model(tx, caller, name)
    return found[0]


def no_model(tx: Tx, caller: Caller, name: str) -> NotFound:
    known = store.list_models(tx, caller.workspace)
    return NotFound(
        f"There is no registered model {name[:80]!r}.", details={"model": name[:80], "known": known[:50]}
    )


def find_version(tx: Tx, caller: Caller, name: str, version: int) -> ModelVersion:
    found = store.find_version(tx, caller.workspace, name, version)
    if found is None:
        known = [one.version for one in find_model(tx, caller, name).versions]
        raise NotFound(
            f"The registered model {name!r} has no version {version}.",
            details={"model": name, "version": version, "known": known[:50]},
        )
    return found


def find_alias(tx: Tx, caller: Caller, name: str, alias: str) -> AliasState:
    states = {state.alias: state for state in find_model(tx, caller, name).aliases}
    if alias not in states:
        raise NotFound(
            f"The registered model {name!r} has no alias {alias[:80]!r}.",
            hint=f"Set it with: holdfast model alias {name} {alias or 'production'} VERSION",
            details={"known": sorted(states)},
        )
    return states[alias]
