"""MLflow's calls on logged models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.principal import Caller
from holdfast.mlflow_api.entities import logged_model_entity, model_root
from holdfast.mlflow_api.experiments import Pair, number_of_experiment, values_of
from holdfast.mlflow_api.files import one_level
from holdfast.mlflow_api.grammars import LOGGED_MODELS, read_filter, read_order
from holdfast.mlflow_api.wire import (
    Message,
    answer,
    decode_offset,
    encode_offset,
    limit_of,
    route,
)
from holdfast.registry.service import Registry
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.models import LoggedModels
from holdfast.tracking.names import invent_name
from holdfast.tracking.query import Order
from holdfast.tracking.records import LoggedModel
from holdfast.web import Call, Raw, Route

__all__ = ["ModelCalls", "model_routes"]

_BASE = "/api/2.0/mlflow/logged-models"
_MOST = 50_000


class _Create(msgspec.Struct):
    experiment_id: str | None = None
    name: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    params: list[Pair] | None = None
    tags: list[Pair] | None = None


class _OfModel(msgspec.Struct):
    model_id: str | None = None


class _Finalize(_OfModel):
    status: str | int | None = None


class _Tags(_OfModel):
    tags: list[Pair] | None = None


class _Params(_OfModel):
    params: list[Pair] | None = None


class _Listing(_OfModel):
    artifact_directory_path: str = ""
    page_token: str = ""


class _Dataset(msgspec.Struct):
    dataset_name: str
    dataset_digest: str = ""


class _OrderBy(msgspec.Struct):
    field_name: str
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class _Search(msgspec.Struct):
    experiment_ids: list[str] | None = None
    filter: str = ""
    datasets: list[_Dataset] | None = None
    max_results: int | None = None
    order_by: list[_OrderBy] | None = None
    page_token: str = ""


_CREATE, _FINALIZE = Message(_Create, "experiment_id"), Message(_Finalize, "model_id", "status")
_OF_MODEL, _TAGS, _PARAMS = (
    Message(_OfModel, "model_id"),
    Message(_Tags, "model_id"),
    Message(_Params, "model_id"),
)
_SEARCH, _LISTING = Message(_Search), Message(_Listing, "model_id")
_READY, _FAILED = ("LOGGED_MODEL_READY", "2", 2), ("LOGGED_MODEL_UPLOAD_FAILED", "3", 3)


class ModelCalls:
    """The handlers."""

    def __init__(self, experiments: Experiments, models: LoggedModels, registry: Registry) -> None:
        self._experiments = experiments
        self._models = models
        self._registry = registry

    def create(self, call: Call) -> Raw:
        """createLoggedModel"""
        body = _CREATE.read(call)
        found = self._models.create_model(
            call.caller,
            name=body.name or invent_name(),
            run_id=body.source_run_id or None,
            experiment=number_of_experiment(self._experiments, call.caller, body.experiment_id),
            type=body.model_type or "",
            params=values_of(body.params),
            tags=values_of(body.tags),
        )
        return self._answer(call.caller, found)

    def _answer(self, caller: Caller, found: LoggedModel) -> Raw:
        return answer({"model": self._entities(caller, [found])[0]})

    def _entities(self, caller: Caller, found: Sequence[LoggedModel]) -> list[dict[str, Any]]:
        locations = self._experiments.locations(caller, {one.experiment_id or 0 for one in found})
        registered = self._registry.registrations(caller, [one.model_id for one in found])
        return [
            logged_model_entity(
                one, locations.get(one.experiment_id or 0, ""), registered.get(one.model_id, ())
            )
            for one in found
        ]

    def get(self, call: Call) -> Raw:
        """getLoggedModel"""
        return self._answer(call.caller, self._models.get_model(call.caller, call.path["model_id"]))

    def finalize(self, call: Call) -> Raw:
        """finalizeLoggedModel"""
        body = _FINALIZE.read(call, call.path)
        if body.status not in _READY + _FAILED:
            raise InvalidInput(
                f"Invalid model status: {str(body.status)[:80]}. Expected statuses are LOGGED_MODEL_READY and "
                "LOGGED_MODEL_UPLOAD_FAILED."
            )
        found = self._models.finalize_model(
            call.caller, str(body.model_id), failed=body.status in _FAILED, may_be_empty=True
        )
        return self._answer(call.caller, found)

    def delete(self, call: Call) -> Raw:
        """deleteLoggedModel"""
        self._models.delete_model(call.caller, call.path["model_id"])
        return answer()

    def search(self, call: Call) -> Raw:
        """searchLoggedModels"""
        body = _SEARCH.read(call)
        if not body.experiment_ids:
            raise InvalidInput("At least one experiment id must be given in experiment_ids.")
        limit = limit_of(body.max_results, default=100, most=_MOST)
        where = read_filter(body.filter, LOGGED_MODELS)
        order = [(_order(one), one.dataset_name, one.dataset_digest) for one in body.order_by or ()]
        data = [(one.dataset_name, one.dataset_digest) for one in body.datasets or ()]
        bound = ("logged-models", body.experiment_ids, body.filter, order, data)
        offset = decode_offset(body.page_token, bound)
        numbers = self._experiments.numbers(call.caller, body.experiment_ids)
        found = self._models.find_models(
            call.caller, numbers, where, order, data=data, offset=offset, limit=limit + 1
        )
        more = encode_offset(offset + limit, bound) if len(found) > limit else None
        return answer({"models": self._entities(call.caller, found[:limit]) or None, "next_page_token": more})

    def set_tags(self, call: Call) -> Raw:
        """setLoggedModelTags"""
        body = _TAGS.read(call, call.path)
        found = self._models.set_tags(call.caller, str(body.model_id), values_of(body.tags))
        return self._answer(call.caller, found)

    def delete_tag(self, call: Call) -> Raw:
        """deleteLoggedModelTag"""
        self._models.delete_tag(call.caller, call.path["model_id"], call.path["tag_key"])
        return answer()

    def add_params(self, call: Call) -> Raw:
        """LogLoggedModelParams"""
        body = _PARAMS.read(call, call.path)
        self._models.add_params(call.caller, str(body.model_id), values_of(body.params))
        return answer()

    def list_files(self, call: Call) -> Raw:
        """listLoggedModelArtifacts"""
        body = _LISTING.read(call, call.path)
        model = self._models.get_model(call.caller, str(body.model_id))
        files = self._models.list_files(call.caller, model.model_id).items
        location = self._experiments.locations(call.caller, [model.experiment_id or 0])
        listed = one_level(files, body.artifact_directory_path.strip("/"))
        return answer(
            {"root_uri": model_root(model, location.get(model.experiment_id or 0, "")), "files": listed}
        )


def _order(one: _OrderBy) -> Order:
    order = read_order([one.field_name], LOGGED_MODELS)[0]
    return Order(order.entity, order.key, not one.ascending)


def model_routes(calls: ModelCalls) -> list[Route]:
    """The routes of logged models."""
    read, write = "tracking:read", "tracking:write"
    one = _BASE + "/{model_id}"
    return [
        route("POST", _BASE, calls.create, write),
        route("POST", f"{_BASE}/search", calls.search, read),
        route("PATCH", one, calls.finalize, write),
        route("GET", one, calls.get, read, None),
        route("DELETE", one, calls.delete, write),
        route("PATCH", f"{one}/tags", calls.set_tags, write),
        route("DELETE", one + "/tags/{tag_key:path}", calls.delete_tag, write),
        route("GET", f"{one}/artifacts/directories", calls.list_files, read),
        route("POST", f"{one}/params", calls.add_params, write),
    ]
