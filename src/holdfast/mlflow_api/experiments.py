"""MLflow's calls on experiments."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.mlflow_api.entities import experiment_entity
from holdfast.mlflow_api.grammars import EXPERIMENTS, read_filter, read_order
from holdfast.mlflow_api.wire import (
    Message,
    MissingParameter,
    answer,
    decode_offset,
    encode_offset,
    limit_of,
    route,
)
from holdfast.tracking.experiments import DEFAULT_NUMBER, Experiments
from holdfast.web import Call, Raw, Route

__all__ = ["VIEWS", "Pair", "check_number", "experiment_routes", "values_of"]

_BASE = "/api/2.0/mlflow/experiments"
_MOST = 50_000
VIEWS: dict[str | int, bool | None] = {
    "ACTIVE_ONLY": False,
    "DELETED_ONLY": True,
    "ALL": None,
    1: False,
    2: True,
    3: None,
}
"""ViewType -> whether only deleted, only others, or both."""


class Pair(msgspec.Struct):
    """A tag or param."""

    key: str
    value: str = ""


def values_of(given: list[Pair] | None, most: int | None = None) -> dict[str, str]:
    """Tags or params by key, the last of each; longer values than `most` are cut, as MLflow's servers do."""
    return {one.key: one.value if most is None else one.value[:most] for one in given or ()}


def view_of(value: str | int | None) -> bool | None:
    """What a ViewType asks for; active ones without it. Raises InvalidInput."""
    key = int(value) if isinstance(value, str) and value.isdigit() else value
    if key is None:
        return False
    if key not in VIEWS:
        raise InvalidInput(f"Invalid value {str(value)[:80]} for parameter 'view_type' supplied.")
    return VIEWS[key]


class _Create(msgspec.Struct):
    name: str | None = None
    artifact_location: str | None = None
    tags: list[Pair] | None = None


class _ByName(msgspec.Struct):
    experiment_name: str | None = None


class _ById(msgspec.Struct):
    experiment_id: str | None = None


class _Update(msgspec.Struct):
    experiment_id: str | None = None
    new_name: str | None = None


class _Tag(msgspec.Struct):
    experiment_id: str | None = None
    key: str | None = None
    value: str | None = None


class _Search(msgspec.Struct):
    max_results: int | None = None
    page_token: str = ""
    filter: str = ""
    order_by: list[str] | None = None
    view_type: str | int | None = None


_CREATE = Message(_Create, "name")
_BY_NAME = Message(_ByName, "experiment_name")
_BY_ID = Message(_ById, "experiment_id")
_UPDATE = Message(_Update, "experiment_id", "new_name")
_SET_TAG = Message(_Tag, "experiment_id", "key")
_DELETE_TAG = Message(_Tag, "experiment_id", "key")
_SEARCH = Message(_Search, "max_results")


class _Datasets(msgspec.Struct):
    experiment_ids: list[str] | None = None


_DATASETS = Message(_Datasets)


class ExperimentCalls:
    """The handlers."""

    def __init__(self, experiments: Experiments) -> None:
        self._experiments = experiments

    def create(self, call: Call) -> Raw:
        """createExperiment"""
        body = _CREATE.read(call)
        location = _checked_location(body.artifact_location or "")
        found = self._experiments.create_experiment(
            call.caller, str(body.name), location=location, tags=values_of(body.tags)
        )
        return answer({"experiment_id": str(found.experiment_id)})

    def get_by_name(self, call: Call) -> Raw:
        """getExperimentByName"""
        name = str(_BY_NAME.read(call).experiment_name)
        self._experiments.default_number(call.caller)
        try:
            found = self._experiments.get_by_name(call.caller, name)
        except NotFound:
            raise NotFound(f"Could not find experiment with name '{name[:500]}'") from None
        return answer({"experiment": experiment_entity(found)})

    def get(self, call: Call) -> Raw:
        """getExperiment"""
        number = self._number(call.caller, _BY_ID.read(call))
        found = self._experiments.get_experiment(call.caller, number)
        return answer({"experiment": experiment_entity(found)})

    def _number(self, caller: Caller, body: Any) -> int:
        return number_of_experiment(self._experiments, caller, body.experiment_id)

    def search(self, call: Call) -> Raw:
        """searchExperiments"""
        body = _SEARCH.read(call)
        limit = limit_of(body.max_results, default=1000, most=_MOST)
        where, order = read_filter(body.filter, EXPERIMENTS), read_order(body.order_by or (), EXPERIMENTS)
        deleted = view_of(body.view_type)
        bound = ("experiments", body.filter, body.order_by, deleted)
        offset = decode_offset(body.page_token, bound)
        self._experiments.default_number(call.caller)
        found = self._experiments.find_experiments(
            call.caller, where, order, deleted=deleted, offset=offset, limit=limit + 1
        )
        more = encode_offset(offset + limit, bound) if len(found) > limit else None
        return answer({"experiments": [*map(experiment_entity, found[:limit])], "next_page_token": more})

    def search_datasets(self, call: Call) -> Raw:
        """searchDatasets: what the runs of some experiments used, each with its context."""
        body = _DATASETS.read(call)
        if not body.experiment_ids:
            raise InvalidInput("SearchDatasets request must specify at least one experiment_id.")
        if len(body.experiment_ids) > 20:
            raise InvalidInput(
                "SearchDatasets request cannot specify more than 20 experiment_ids. "
                f"Received {len(body.experiment_ids)} experiment_ids."
            )
        numbers = self._experiments.numbers(call.caller, body.experiment_ids)
        found = [
            {"experiment_id": str(number), "name": name, "digest": digest, "context": context}
            for number, name, digest, context in self._experiments.datasets_of(call.caller, numbers)
        ]
        return answer({"dataset_summaries": found})

    def delete(self, call: Call) -> Raw:
        """deleteExperiment"""
        self._experiments.delete_experiment(call.caller, self._number(call.caller, _BY_ID.read(call)))
        return answer()

    def restore(self, call: Call) -> Raw:
        """restoreExperiment"""
        self._experiments.restore_experiment(call.caller, self._number(call.caller, _BY_ID.read(call)))
        return answer()

    def update(self, call: Call) -> Raw:
        """updateExperiment"""
        body = _UPDATE.read(call)
        self._experiments.rename_experiment(call.caller, self._number(call.caller, body), str(body.new_name))
        return answer()

    def set_tag(self, call: Call) -> Raw:
        """setExperimentTag"""
        body = _SET_TAG.read(call)
        if body.value is None:
            raise MissingParameter("value")
        tags = {str(body.key): body.value}
        self._experiments.set_tags(call.caller, self._number(call.caller, body), tags)
        return answer()

    def delete_tag(self, call: Call) -> Raw:
        """deleteExperimentTag"""
        body = _DELETE_TAG.read(call)
        self._experiments.delete_tag(call.caller, self._number(call.caller, body), str(body.key))
        return answer()


def number_of_experiment(experiments: Experiments, caller: Caller, text: str | None) -> int:
    """The id that a client names, whether or not there is such an experiment; `0` is the workspace's default one.

    Raises InvalidInput for what is no id, NotFound for one that none has.
    """
    text = str(text)
    if text == DEFAULT_NUMBER:
        return experiments.default_number(caller)
    check_number(text)
    if len(text) >= 18:
        raise NotFound(f"No Experiment with id={text[:80]} exists")
    return int(text)


def check_number(text: str) -> None:
    """Raises InvalidInput in MLflow's words for what is no id of an experiment."""
    if not text.isascii() or not text.isdigit():
        raise InvalidInput(f"Invalid experiment ID '{text[:80]}'. Experiment ID must be a valid integer.")


def _checked_location(location: str) -> str:
    """A location for artifacts elsewhere. Raises InvalidInput for one that leaves its folder or is this machine's."""
    if not location:
        return ""
    lowered = location.lower()
    if lowered.startswith(("file:", "/")):
        raise InvalidInput(
            f"Invalid artifact location {location[:120]!r}: a path of a machine is not allowed.",
            hint="Leave it out, so that this server keeps the artifacts, or name a bucket.",
        )
    if any(char in location for char in "#;?\\") or any(ord(char) < 32 for char in location):
        raise InvalidInput(
            f"Invalid artifact location {location[:120]!r}: '#', ';', '?' and backslashes are not allowed."
        )
    if "/.." in lowered or "%2e" in lowered or lowered.startswith(".."):
        raise InvalidInput(f"Invalid artifact location {location[:120]!r}: '..' is not allowed.")
    return location


def experiment_routes(experiments: Experiments) -> list[Route]:
    """The routes of experiments."""
    calls = ExperimentCalls(experiments)
    read, write = "tracking:read", "tracking:write"
    return [
        route("GET", f"{_BASE}/get-by-name", calls.get_by_name, read),
        route("POST", f"{_BASE}/create", calls.create, write),
        route("POST", f"{_BASE}/search", calls.search, read),
        route("GET", f"{_BASE}/search", calls.search, read),
        route("GET", f"{_BASE}/get", calls.get, read),
        route("POST", f"{_BASE}/delete", calls.delete, write),
        route("POST", f"{_BASE}/restore", calls.restore, write),
        route("POST", f"{_BASE}/update", calls.update, write),
        route("POST", f"{_BASE}/set-experiment-tag", calls.set_tag, write),
        route("POST", f"{_BASE}/delete-experiment-tag", calls.delete_tag, write),
        route("POST", f"{_BASE}/search-datasets", calls.search_datasets, read),
    ]
