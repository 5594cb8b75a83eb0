"""The registry over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.chunks import TreeFile
from holdfast.kernel.paging import Items
from holdfast.kernel.times import parse_time
from holdfast.registry.records import AliasChange, AliasState, ModelVersion, RegisteredModel
from holdfast.registry.rules import parse_version
from holdfast.registry.service import Registry
from holdfast.storage import Objects
from holdfast.web import Call, Route
from holdfast.web.files import DownloadQuery, send_file

__all__ = ["routes"]


class CreateModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /models."""

    name: str


class RegisterVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /models/{name}/versions."""

    model_id: str


class SetAlias(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of PUT /models/{name}/aliases/{alias}."""

    version: int
    reason: str = ""


class HistoryQuery(msgspec.Struct, frozen=True):
    """The moves of one alias, without one of all; or what they named at a time (ISO 8601, or ms since the epoch)."""

    alias: str = ""
    at: str = ""


def routes(registry: Registry, objects: Objects) -> list[Route]:
    """The routes of models, versions and aliases."""
    return [*_models(registry), *_versions(registry, objects), *_aliases(registry)]


def _models(registry: Registry) -> list[Route]:
    def create(call: Call) -> RegisteredModel:
        return registry.create_model(call.caller, call.body.name)

    def listing(call: Call) -> Items[RegisteredModel]:
        return registry.list_models(call.caller)

    def get(call: Call) -> RegisteredModel:
        return registry.get_model(call.caller, call.path["name"])

    base = "/api/v1/models"
    return [
        Route("POST", base, create, "registry:write", CreateModel, "Create a model", result=RegisteredModel),
        Route("GET", base, listing, "registry:read", summary="List models", result=Items[RegisteredModel]),
        Route("GET", base + "/{name}", get, "registry:read", summary="Read a model", result=RegisteredModel),
    ]


def _versions(registry: Registry, objects: Objects) -> list[Route]:
    def register(call: Call) -> ModelVersion:
        return registry.register_version(call.caller, call.path["name"], call.body.model_id)

    def get(call: Call) -> ModelVersion:
        return registry.get_version(call.caller, call.path["name"], parse_version(call.path["version"]))

    def listing(call: Call) -> Items[TreeFile]:
        return registry.list_files(call.caller, call.path["name"], parse_version(call.path["version"]))

    def download(call: Call) -> Any:
        version = parse_version(call.path["version"])
        asked: DownloadQuery = call.params
        return send_file(
            objects,
            registry.find_file(call.caller, call.path["name"], version, call.path["path"]),
            presigned=asked.presigned,
            byte_range=call.headers.get("range", ""),
            shown=asked.show,
        )

    base = "/api/v1/models/{name}/versions"
    one = base + "/{version}"
    read, write = "registry:read", "registry:write"
    return [
        Route("POST", base, register, write, RegisterVersion, "Register a version", result=ModelVersion),
        Route("GET", one, get, read, summary="Read a version", result=ModelVersion),
        Route("GET", one + "/files", listing, read, summary="List a version's files", result=Items[TreeFile]),
        Route(
            "GET",
            one + "/files/{path:path}",
            download,
            read,
            summary="Download a version's file",
            query=DownloadQuery,
        ),
    ]


def _aliases(registry: Registry) -> list[Route]:
    def put(call: Call) -> AliasState:
        body: SetAlias = call.body
        return registry.set_alias(
            call.caller, call.path["name"], call.path["alias"], body.version, body.reason
        )

    def delete(call: Call) -> dict[str, Any]:
        registry.delete_alias(call.caller, call.path["name"], call.path["alias"])
        return {}

    def history(call: Call) -> Items[AliasChange]:
        asked: HistoryQuery = call.params
        at = parse_time(asked.at, "at") if asked.at else None
        return registry.alias_history(call.caller, call.path["name"], alias=asked.alias or None, at=at)

    base = "/api/v1/models/{name}"
    one = base + "/aliases/{alias}"
    return [
        Route("PUT", one, put, "registry:write", SetAlias, "Point an alias at a version", result=AliasState),
        Route("DELETE", one, delete, "registry:write", summary="Delete an alias"),
        Route(
            "GET", base + "/history", history, "registry:read",
            summary="The moves of a model's aliases, or what they named at a time", result=Items[AliasChange],
            query=HistoryQuery,
        ),
    ]  # fmt: skip
