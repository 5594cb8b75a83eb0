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

    def __init__(self) -> None:
        self._known: dict[str, dict[str, str]] = {}
        """Of each model what is known of it: a thing's words behind the model's name -> what it is."""

    def by_log(self, entry: AuditEntry) -> Iterator[Fact]:
        """See `Recorded`."""
        if not entry.object.startswith("model:"):
            return
        name, after = entry.object.removeprefix("model:"), entry.after or {}
        model = f"{entry.workspace}/{name.partition('@')[0].partition('/')[0]}"
        match entry.action:
            case "model.create":
                self._known[model] = {}
                yield from self._learn(model, _model(""), "registered")
            case "model.rename":
                before = f"{entry.workspace}/{(entry.before or {})['name']}"
                self._known[model] = dict(known := self._known.pop(before, {}))
                for part, value in known.items():
                    yield part.format(before), None
                    yield part.format(model), value
            case "model.delete":
                for part in self._known.pop(model, {}):
                    yield part.format(model), None
            case "version.register":
                made = f"{entry.digest} of {after['model_id']} and run {after['run_id']}"
                yield from self._learn(model, _version(_rest(name)), made)
            case "version.prepare":
                made = f"{after['status']} {after['runtime']} {entry.digest}"
                yield from self._learn(model, _prepared(_rest(name)), made)
            case "version.delete":
                yield from self._forget(model, _version(_rest(name)))
                yield from self._forget(model, _prepared(_rest(name)))
            case "alias.set":
                yield from self._learn(model, _alias(_rest(name)), f"version {after['version']}")
            case "alias.delete":
                yield from self._forget(model, _alias(_rest(name)))

    def _learn(self, model: str, part: str, value: str) -> Iterator[Fact]:
        self._known.setdefault(model, {})[part] = value
        yield part.format(model), value

    def _forget(self, model: str, part: str) -> Iterator[Fact]:
        self._known.get(model, {}).pop(part, None)
        yield part.format(model), None

    def by_rows(self, tx: Tx) -> Iterator[Fact]:
        """See `Recorded`."""
        for workspace, model in store.all_models(tx):
            yield _model("").format(f"{workspace}/{model}"), "registered"
        for row in store.all_versions(tx):
            model, rest = f"{row.workspace_id}/{row.name}", f"/{row.version}"
            yield _version(rest).format(model), f"{row.digest} of {row.model_id} and run {row.run_id}"
            if row.status not in ("pending", "stored"):
                yield _prepared(rest).format(model), f"{row.status} {row.runtime} {row.deployable_digest}"
        for workspace, model, alias, version in store.all_aliases(tx):
            yield _alias(_braced(f"@{alias}")).format(f"{workspace}/{model}"), f"version {version}"


def _rest(name: str) -> str:
    """What stands behind the model's name: `/3` or `@production`."""
    at = min((name.index(mark) for mark in "/@" if mark in name), default=len(name))
    return _braced(name[at:])


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _model(rest: str) -> str:
    return f"the model {{}}{rest}"


def _version(rest: str) -> str:
    return f"the model version {{}}{rest}"


def _prepared(rest: str) -> str:
    return f"what is served of the model version {{}}{rest}"


def _alias(rest: str) -> str:
    return f"the alias {{}}{rest}"
