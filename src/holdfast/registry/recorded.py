"""What the audit log holds of models, versions and aliases."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.audit.recorded import Fact
from holdfast.audit.records import AuditEntry
from holdfast.registry import store
from holdfast.storage import Tx

__all__ = ["RecordedModels"]


class RecordedModels:
    """Models by name, versions by digest and deployable digest, aliases by version."""

    def by_log(self, entry: AuditEntry) -> Iterator[Fact]:
        """See `Recorded`."""
        name, after = f"{entry.workspace}/{entry.object.removeprefix('model:')}", entry.after or {}
        match entry.action:
            case "model.create":
                yield _model(name), "registered"
            case "version.register":
                yield _version(name), f"{entry.digest} of {after['model_id']} and run {after['run_id']}"
            case "version.prepare":
                yield _prepared(name), f"{after['status']} {after['runtime']} {entry.digest}"
            case "alias.set":
                yield _alias(name), f"version {after['version']}"
            case "alias.delete":
                yield _alias(name), None

    def by_rows(self, tx: Tx) -> Iterator[Fact]:
        """See `Recorded`."""
        for workspace, model in store.all_models(tx):
            yield _model(f"{workspace}/{model}"), "registered"
        for row in store.all_versions(tx):
            name = f"{row.workspace_id}/{row.name}/{row.version}"
            yield _version(name), f"{row.digest} of {row.model_id} and run {row.run_id}"
            if row.status != "pending":
                yield _prepared(name), f"{row.status} {row.runtime} {row.deployable_digest}"
        for workspace, model, alias, version in store.all_aliases(tx):
            yield _alias(f"{workspace}/{model}@{alias}"), f"version {version}"


def _model(name: str) -> str:
    return f"the model {name}"


def _version(name: str) -> str:
    return f"the model version {name}"


def _prepared(name: str) -> str:
    return f"what is served of the model version {name}"


def _alias(name: str) -> str:
    return f"the alias {name}"
