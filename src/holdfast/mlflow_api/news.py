"""What changes of the registry are to MLflow's webhooks: events by MLflow's names, with its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.audit.records import AuditEntry
from holdfast.identity.service import system_caller
from holdfast.kernel.errors import NotFound
from holdfast.kernel.principal import Caller
from holdfast.mlflow_api.grammars import PROMPT_TAG
from holdfast.registry.records import ModelVersion
from holdfast.registry.service import Registry

__all__ = ["EVENTS", "PROMPT_TEXT_TAG", "RegistryNews", "examples", "tag_event"]

PROMPT_TEXT_TAG = "mlflow.prompt.text"
EVENTS: Mapping[str, tuple[str, ...]] = {
    "registered_model": ("created",),
    "model_version": ("created",),
    "model_version_tag": ("set", "deleted"),
    "model_version_alias": ("created", "deleted"),
    "prompt": ("created",),
    "prompt_version": ("created",),
    "prompt_tag": ("set", "deleted"),
    "prompt_version_tag": ("set", "deleted"),
    "prompt_alias": ("created", "deleted"),
    "budget_policy": ("exceeded",),
}
"""What a webhook may ask for. Of budget policies, which there are none here, it is told nothing."""


class RegistryNews:
    """Reads what an entry of the audit log says of the registry. See `HookSource`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def told(self, entry: AuditEntry) -> list[tuple[str, dict[str, Any]]]:
        """(event, data); nothing of what is gone since."""
        kind, _, name = entry.object.partition(":")
        if kind != "model":
            return []
        caller = system_caller(entry.workspace, entry.time_ms)
        try:
            match entry.action:
                case "model.create":
                    return [self._created(caller, name)]
                case "version.register":
                    model, _, number = name.rpartition("/")
                    return [self._registered(caller, model, int(number))]
                case "alias.set" | "alias.delete":
                    model, _, alias = name.rpartition("@")
                    return [self._alias(caller, model, alias, entry)]
        except NotFound:
            return []
        return []

    def _created(self, caller: Caller, name: str) -> tuple[str, dict[str, Any]]:
        model = self._registry.get_model(caller, name)
        event = "prompt.created" if _is_prompt(model.tags) else "registered_model.created"
        return event, {"name": name, "tags": _shown(model.tags), "description": model.note or None}

    def _registered(self, caller: Caller, name: str, number: int) -> tuple[str, dict[str, Any]]:
        version = self._registry.get_version(caller, name, number)
        data: dict[str, Any] = {"name": name, "version": str(number), "tags": _shown(version.tags)}
        data["description"] = version.note or None
        if self._is_prompt(caller, name, version):
            return "prompt_version.created", {**data, "template": version.tags.get(PROMPT_TEXT_TAG, "")}
        return "model_version.created", {**data, "source": version.source, "run_id": version.run_id}

    def _alias(self, caller: Caller, name: str, alias: str, entry: AuditEntry) -> tuple[str, dict[str, Any]]:
        kind = "prompt_alias" if self._is_prompt(caller, name) else "model_version_alias"
        if entry.action == "alias.delete":
            return f"{kind}.deleted", {"name": name, "alias": alias}
        version = str((entry.after or {})["version"])
        return f"{kind}.created", {"name": name, "alias": alias, "version": version}

    def _is_prompt(self, caller: Caller, name: str, version: ModelVersion | None = None) -> bool:
        if version is not None and _is_prompt(version.tags):
            return True
        return _is_prompt(self._registry.get_model(caller, name).tags)


def tag_event(
    registry: Registry, caller: Caller, name: str, version: int | None, key: str, value: str | None
) -> tuple[str, dict[str, Any]] | None:
    """(event, data) of a tag that was set, or without a value deleted; None when webhooks are told nothing of it."""
    is_prompt = _is_prompt(registry.get_model(caller, name).tags)
    if version is None and not is_prompt:
        return None
    entity = {(True, True): "prompt_tag", (True, False): "prompt_version_tag"}.get(
        (is_prompt, version is None), "model_version_tag"
    )
    data = {"name": name, "key": key, **({} if version is None else {"version": str(version)})}
    if value is None:
        return f"{entity}.deleted", data
    return f"{entity}.set", {**data, "value": value}


def examples(event: str) -> dict[str, Any]:
    """Data as an event has it, for a test."""
    entity, _, action = event.partition(".")
    name = "example_prompt" if entity.startswith("prompt") else "example_model"
    found: dict[str, Any] = {"name": name}
    if entity in ("registered_model", "prompt"):
        return {**found, "tags": {"example_key": "example_value"}, "description": "An example"}
    if entity in ("model_version", "prompt_version"):
        found |= {"version": "1", "tags": {"example_key": "example_value"}, "description": "An example"}
        if entity == "prompt_version":
            return {**found, "template": "Hello {{name}}!"}
        return {**found, "source": "models:/123", "run_id": "abcd1234abcd5678"}
    if entity in ("model_version_alias", "prompt_alias"):
        return {**found, "alias": "example_alias", **({"version": "1"} if action == "created" else {})}
    if entity == "budget_policy":
        return {"budget_policy_id": "example_policy"}
    if entity != "prompt_tag":
        found["version"] = "1"
    return {**found, "key": "example_key", **({"value": "example_value"} if action == "set" else {})}


def _is_prompt(tags: Mapping[str, str]) -> bool:
    return tags.get(PROMPT_TAG, "").lower() == "true"


def _shown(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that people set: those by which prompts are kept are not told."""
    return {key: value for key, value in tags.items() if key not in (PROMPT_TAG, PROMPT_TEXT_TAG)}
