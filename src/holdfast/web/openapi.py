"""The native API's description (OpenAPI 3.1), from the declared routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from holdfast.version import __version__
from holdfast.web.routing import Form, Route, Upload

__all__ = ["describe_api"]

_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")


def describe_api(routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI document of every route under /api/v1."""
    declared = [route for route in routes if route.path.startswith("/api/v1")]
    types = [
        t for route in declared for t in (route.body, route.result) if t not in (None, Upload, Form, bytes)
    ]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in declared:
        paths.setdefault(_PARAMETER.sub(r"{\1}", route.path), {})[route.method.lower()] = _operation(
            route, by_type
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "holdfast", "version": __version__},
        "paths": paths,
        "components": {"schemas": {**components, "Error": _ERROR}},
    }


_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "hint": {"type": "string"},
                "details": {"type": "object"},
                "request_id": {"type": "string"},
            },
        }
    },
}


def _asked(query: Any) -> list[dict[str, Any]]:
    """The parameters of a route's query type, with types, defaults and bounds."""
    (_,), components = msgspec.json.schema_components([query])
    whole = components[query.__name__]
    required = whole.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": one}
        for name, one in whole["properties"].items()
    ]


def _operation(route: Route, by_type: dict[str, dict[str, Any]]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    parameters += _asked(route.query) if route.query is not None else []
    answer: dict[str, Any] = {"description": "Done."}
    if route.result is not None:
        answer["content"] = {"application/json": {"schema": by_type[repr(route.result)]}}
    error = {
        "description": "Refused or failed.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    operation: dict[str, Any] = {
        "summary": route.summary,
        "x-permission": route.permission,
        "parameters": parameters,
        "responses": {"200": answer, "default": error},
    }
    if route.body in (Upload, bytes):
        operation["requestBody"] = {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}
    elif route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": by_type[repr(route.body)]}},
        }
    return operation
