"""MLflow's calls on registered models and their versions."""

from __future__ import annotations

import msgspec

from holdfast.collaboration.hooks import Hooks
from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.mlflow_api.entities import (
    latest_versions,
    model_root,
    registered_model_entity,
    version_entity,
)
from holdfast.mlflow_api.experiments import Pair, values_of
from holdfast.mlflow_api.grammars import MODELS, PROMPT_TAG, VERSIONS, read_filter, read_order
from holdfast.mlflow_api.news import tag_event
from holdfast.mlflow_api.wire import (
    Message,
    answer,
    decode_offset,
    encode_offset,
    limit_of,
    route,
)
from holdfast.registry.records import ModelVersion
from holdfast.registry.service import Registry
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.models import LoggedModels
from holdfast.tracking.query import Clause
from holdfast.web import Call, Raw, Route

__all__ = ["RegistryCalls", "registry_routes"]

_MODELS, _VERSIONS = "/api/2.0/mlflow/registered-models", "/api/2.0/mlflow/model-versions"
_STAGES = {name.lower(): name for name in ("None", "Staging", "Production", "Archived")}
_MOST_MODELS, _MOST_VERSIONS = 1000, 200_000
_LATEST = "latest"


class _Create(msgspec.Struct):
    name: str | None = None
    tags: list[Pair] | None = None
    description: str | None = None


class _Named(msgspec.Struct):
    name: str | None = None


class _Rename(_Named):
    new_name: str | None = None


class _Describe(_Named):
    description: str | None = None


class _Latest(_Named):
    stages: list[str] | None = None


class _Tag(_Named):
    version: str | None = None
    key: str | None = None
    value: str | None = None


class _Alias(_Named):
    alias: str | None = None
    version: str | None = None


class _Search(msgspec.Struct):
    filter: str = ""
    max_results: int | None = None
    order_by: list[str] | None = None
    page_token: str = ""


class _CreateVersion(_Named):
    source: str | None = None
    run_id: str | None = None
    tags: list[Pair] | None = None
    run_link: str | None = None
    description: str | None = None
    model_id: str | None = None


class _OfVersion(_Named):
    version: str | None = None
    description: str | None = None


class _Transition(_OfVersion):
    stage: str | None = None
    archive_existing_versions: bool = False


_CREATE, _NAMED = Message(_Create, "name"), Message(_Named, "name")
_RENAME, _DESCRIBE = Message(_Rename, "name", "new_name"), Message(_Describe, "name")
_LATEST_OF, _SEARCH = Message(_Latest, "name"), Message(_Search)
_MODEL_TAG, _VERSION_TAG = Message(_Tag, "name", "key"), Message(_Tag, "name", "version", "key")
_ALIAS, _SET_ALIAS = Message(_Alias, "name", "alias"), Message(_Alias, "name", "alias", "version")
_CREATE_VERSION = Message(_CreateVersion, "name", "source")
_OF_VERSION, _TRANSITION = (
    Message(_OfVersion, "name", "version"),
    Message(_Transition, "name", "version", "stage"),
)


class RegistryCalls:
    """The handlers."""

    def __init__(
        self, registry: Registry, experiments: Experiments, models: LoggedModels, hooks: Hooks
    ) -> None:
        self._registry = registry
        self._experiments = experiments
        self._models = models
        self._hooks = hooks

    # Registered models

    def create(self, call: Call) -> Raw:
        """createRegisteredModel"""
        body = _CREATE.read(call)
        found = self._registry.create_model(
            call.caller, str(body.name), note=body.description or "", tags=values_of(body.tags)
        )
        return answer({"registered_model": registered_model_entity(found)})

    def get(self, call: Call) -> Raw:
        """getRegisteredModel"""
        found = self._registry.get_model(call.caller, str(_NAMED.read(call).name))
        return answer({"registered_model": registered_model_entity(found)})

    def rename(self, call: Call) -> Raw:
        """renameRegisteredModel"""
        body = _RENAME.read(call)
        found = self._registry.rename_model(call.caller, str(body.name), str(body.new_name))
        return answer({"registered_model": registered_model_entity(found)})

    def describe(self, call: Call) -> Raw:
        """updateRegisteredModel"""
        body = _DESCRIBE.read(call)
        found = self._registry.describe_model(call.caller, str(body.name), body.description or "")
        return answer({"registered_model": registered_model_entity(found)})

    def delete(self, call: Call) -> Raw:
        """deleteRegisteredModel"""
        self._registry.delete_model(call.caller, str(_NAMED.read(call).name))
        return answer()

    def search(self, call: Call) -> Raw:
        """searchRegisteredModels"""
        body = _SEARCH.read(call)
        limit = limit_of(body.max_results, default=100, most=_MOST_MODELS)
        where, order = (
            _without_prompts(read_filter(body.filter, MODELS)),
            read_order(body.order_by or (), MODELS),
        )
        bound = ("models", body.filter, body.order_by)
        offset = decode_offset(body.page_token, bound)
        found = self._registry.find_models(call.caller, where, order, offset=offset, limit=limit + 1)
        more = encode_offset(offset + limit, bound) if len(found) > limit else None
        models = [registered_model_entity(one) for one in found[:limit]]
        return answer({"registered_models": models or None, "next_page_token": more})

    def latest(self, call: Call) -> Raw:
        """getLatestVersions"""
        body = _LATEST_OF.read(call)
        model = self._registry.get_model(call.caller, str(body.name))
        stages = [_stage(one) for one in body.stages or ()]
        versions = [version_entity(one) for one in latest_versions(model, stages)]
        return answer({"model_versions": versions or None})

    def set_tag(self, call: Call) -> Raw:
        """setRegisteredModelTag"""
        body = _MODEL_TAG.read(call)
        self._registry.set_tags(call.caller, str(body.name), None, {str(body.key): body.value or ""})
        self._tell(call.caller, body, body.value or "")
        return answer()

    def delete_tag(self, call: Call) -> Raw:
        """deleteRegisteredModelTag"""
        body = _MODEL_TAG.read(call)
        self._registry.delete_tag(call.caller, str(body.name), None, str(body.key))
        self._tell(call.caller, body, None)
        return answer()

    def set_alias(self, call: Call) -> Raw:
        """setRegisteredModelAlias"""
        body = _SET_ALIAS.read(call)
        self._registry.set_alias(call.caller, str(body.name), str(body.alias), _number(body.version))
        return answer()

    def delete_alias(self, call: Call) -> Raw:
        """deleteRegisteredModelAlias"""
        body = _ALIAS.read(call)
        self._registry.delete_alias(call.caller, str(body.name), str(body.alias))
        return answer()

    def get_by_alias(self, call: Call) -> Raw:
        """getModelVersionByAlias"""
        body = _ALIAS.read(call)
        model, alias = self._registry.get_model(call.caller, str(body.name)), str(body.alias)
        if alias.lower() == _LATEST and model.versions:
            return answer({"model_version": version_entity(model.versions[0])})
        for version in model.versions:
            if alias in version.aliases:
                return answer({"model_version": version_entity(version)})
        raise InvalidInput(f"Registered model alias {alias[:255]} not found.")

    # Versions

    def create_version(self, call: Call) -> Raw:
        """createModelVersion"""
        body = _CREATE_VERSION.read(call)
        tags = values_of(body.tags)
        found = self._registry.create_version(
            call.caller,
            str(body.name),
            str(body.source),
            run_id=body.run_id or "",
            model_id=body.model_id or "",
            link=body.run_link or "",
            note=body.description or "",
            tags=tags,
            is_placeholder=tags.get(PROMPT_TAG, "").lower() == "true",
        )
        self._note_registrations(call.caller, found)
        return answer({"model_version": version_entity(found)})

    def _note_registrations(self, caller: Caller, version: ModelVersion) -> None:
        """MLflow's servers tell a logged model what was registered from it, in a tag."""
        if version.model_id:
            registered = self._registry.registrations(caller, [version.model_id]).get(version.model_id, [])
            listed = [{"name": name, "version": str(number)} for name, number in registered]
            tags = {"mlflow.modelVersions": msgspec.json.encode(listed).decode()}
            self._models.set_tags(caller, version.model_id, tags)

    def get_version(self, call: Call) -> Raw:
        """getModelVersion"""
        body = _OF_VERSION.read(call)
        return answer({"model_version": version_entity(self._version(call.caller, body))})

    def _version(self, caller: Caller, body: _OfVersion) -> ModelVersion:
        return self._registry.get_version(caller, str(body.name), _number(body.version))

    def update_version(self, call: Call) -> Raw:
        """updateModelVersion"""
        body = _OF_VERSION.read(call)
        self._version(call.caller, body)
        found = self._registry.update_version(
            call.caller, str(body.name), _number(body.version), body.description or ""
        )
        return answer({"model_version": version_entity(found)})

    def transition(self, call: Call) -> Raw:
        """transitionModelVersionStage"""
        body = _TRANSITION.read(call)
        stage, archives = _stage(str(body.stage)), body.archive_existing_versions
        if archives and stage not in ("Staging", "Production"):
            raise InvalidInput(
                f"Model version transition cannot archive existing model versions because '{stage}' is not an Active "
                "stage. Valid stages are Staging, Production"
            )
        self._version(call.caller, body)
        found = self._registry.move_to_stage(
            call.caller, str(body.name), _number(body.version), stage, archive_others=archives
        )
        return answer({"model_version": version_entity(found)})

    def delete_version(self, call: Call) -> Raw:
        """deleteModelVersion"""
        body = _OF_VERSION.read(call)
        self._version(call.caller, body)
        self._registry.delete_version(call.caller, str(body.name), _number(body.version))
        return answer()

    def search_versions(self, call: Call) -> Raw:
        """searchModelVersions"""
        body = _SEARCH.read(call)
        limit = limit_of(body.max_results, default=_MOST_VERSIONS, most=_MOST_VERSIONS)
        where, order = (
            _without_prompts(read_filter(body.filter, VERSIONS)),
            read_order(body.order_by or (), VERSIONS),
        )
        bound = ("versions", body.filter, body.order_by)
        offset = decode_offset(body.page_token, bound)
        found = self._registry.find_versions(call.caller, where, order, offset=offset, limit=limit + 1)
        more = encode_offset(offset + limit, bound) if len(found) > limit else None
        versions = [version_entity(one) for one in found[:limit]]
        return answer({"model_versions": versions or None, "next_page_token": more})

    def download_uri(self, call: Call) -> Raw:
        """getModelVersionDownloadUri"""
        version = self._version(call.caller, _OF_VERSION.read(call))
        return answer({"artifact_uri": self._place(call.caller, version)})

    def _place(self, caller: Caller, version: ModelVersion) -> str:
        """Where the files of a version are: where it was registered from while that is there, else its own copy."""
        if not version.source.startswith("models:/"):
            return version.source
        try:
            if version.source.startswith("models:/m-"):
                model = self._models.get_model(caller, version.model_id)
                locations = self._experiments.locations(caller, [model.experiment_id or 0])
                return model_root(model, locations.get(model.experiment_id or 0, ""))
            name, _, number = version.source.removeprefix("models:/").rpartition("/")
            return self._place(caller, self._registry.get_version(caller, name, _number(number)))
        except NotFound:
            return f"mlflow-artifacts:/versions/{version.version_id}"

    def set_version_tag(self, call: Call) -> Raw:
        """setModelVersionTag"""
        body = _VERSION_TAG.read(call)
        tags = {str(body.key): body.value or ""}
        self._registry.set_tags(call.caller, str(body.name), _number(body.version), tags)
        self._tell(call.caller, body, body.value or "")
        return answer()

    def delete_version_tag(self, call: Call) -> Raw:
        """deleteModelVersionTag"""
        body = _VERSION_TAG.read(call)
        self._registry.delete_tag(call.caller, str(body.name), _number(body.version), str(body.key))
        self._tell(call.caller, body, None)
        return answer()

    def _tell(self, caller: Caller, body: _Tag, value: str | None) -> None:
        """Tags are not in the audit log, which webhooks follow otherwise."""
        if not self._hooks.are_there(caller):
            return
        version = None if body.version is None else _number(body.version)
        told = tag_event(self._registry, caller, str(body.name), version, str(body.key), value)
        if told is not None:
            self._hooks.publish(caller, *told)


def _without_prompts(where: list[Clause]) -> list[Clause]:
    """Prompts ride on the registry, and are found by who asks for them alone."""
    if any((one.entity, one.key) == ("tag", PROMPT_TAG) for one in where):
        return [_asks_for_models(one) for one in where]
    return [*where, Clause("tag", PROMPT_TAG, "IS NULL")]


def _asks_for_models(clause: Clause) -> Clause:
    """`tag.is_prompt != 'true'` is how clients ask for what is no prompt: what has no such tag is none."""
    if (clause.entity, clause.key, clause.operator) == ("tag", PROMPT_TAG, "!="):
        return Clause("tag", PROMPT_TAG, "IS NULL")
    return clause


def _number(text: str | None) -> int:
    text = str(text)
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidInput(f"Parameter 'version' must be an integer, got '{text[:80]}'.")
    return int(text)


def _stage(text: str) -> str:
    found = _STAGES.get(text.lower())
    if found is None:
        raise InvalidInput(
            f"Invalid Model Version stage: {text[:80]}. Value must be one of None, Staging, Production, Archived."
        )
    return found


def registry_routes(calls: RegistryCalls) -> list[Route]:
    """The routes of registered models and versions."""
    read, write = "registry:read", "registry:write"
    return [
        route("POST", f"{_MODELS}/create", calls.create, write),
        route("POST", f"{_MODELS}/rename", calls.rename, write),
        route("PATCH", f"{_MODELS}/update", calls.describe, write),
        route("DELETE", f"{_MODELS}/delete", calls.delete, write),
        route("GET", f"{_MODELS}/get", calls.get, read),
        route("GET", f"{_MODELS}/search", calls.search, read),
        route("POST", f"{_MODELS}/get-latest-versions", calls.latest, read),
        route("GET", f"{_MODELS}/get-latest-versions", calls.latest, read),
        route("POST", f"{_MODELS}/set-tag", calls.set_tag, write),
        route("DELETE", f"{_MODELS}/delete-tag", calls.delete_tag, write),
        route("POST", f"{_MODELS}/alias", calls.set_alias, write),
        route("DELETE", f"{_MODELS}/alias", calls.delete_alias, write),
        route("GET", f"{_MODELS}/alias", calls.get_by_alias, read),
        route("POST", f"{_VERSIONS}/create", calls.create_version, write),
        route("PATCH", f"{_VERSIONS}/update", calls.update_version, write),
        route("POST", f"{_VERSIONS}/transition-stage", calls.transition, write),
        route("DELETE", f"{_VERSIONS}/delete", calls.delete_version, write),
        route("GET", f"{_VERSIONS}/get", calls.get_version, read),
        route("GET", f"{_VERSIONS}/search", calls.search_versions, read),
        route("GET", f"{_VERSIONS}/get-download-uri", calls.download_uri, read),
        route("POST", f"{_VERSIONS}/set-tag", calls.set_version_tag, write),
        route("DELETE", f"{_VERSIONS}/delete-tag", calls.delete_version_tag, write),
    ]
