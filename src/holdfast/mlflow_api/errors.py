"""Our errors in MLflow's words: `{"error_code", "message"}` and the status that its clients expect."""

from __future__ import annotations

from typing import Any

from holdfast.kernel.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    HoldfastError,
    InvalidInput,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from holdfast.mlflow_api.wording import words_of

__all__ = ["MIRRORS", "PREFIXES", "NotImplementedHere", "error_answer"]

MIRRORS = {"/ajax-api/": "/api/", "//": "/"}
"""Where MLflow's own pages, and careless clients, ask for the same."""
PREFIXES = ("/api/2.0/", "/api/3.0/", "/ajax-api/", "/get-artifact", "/model-versions/", "/v1/", "//")
"""The addresses whose errors are MLflow's."""


class NotImplementedHere(HoldfastError):
    """A part of MLflow's protocol that this server leaves to a way that its clients take instead."""

    code = "not_implemented"
    status = 501


_CODES: tuple[tuple[type[HoldfastError], str, int], ...] = (
    (AlreadyExists, "RESOURCE_ALREADY_EXISTS", 400),
    (Conflict, "INVALID_PARAMETER_VALUE", 400),
    (NotFound, "RESOURCE_DOES_NOT_EXIST", 404),
    (Unauthenticated, "UNAUTHENTICATED", 401),
    (Forbidden, "PERMISSION_DENIED", 403),
    (TooManyRequests, "REQUEST_LIMIT_EXCEEDED", 429),
    (Unavailable, "TEMPORARILY_UNAVAILABLE", 503),
    (NotImplementedHere, "NOT_IMPLEMENTED", 501),
)


def error_answer(error: HoldfastError) -> tuple[int, dict[str, Any]]:
    """The status and the body. A conflict is 400: what is permanent must not be repeated by the client."""
    message = words_of(error) or str(error)
    if isinstance(error, InvalidInput):
        status = error.status if error.status in (405, 413, 415) else 400
        return status, {"error_code": "INVALID_PARAMETER_VALUE", "message": message}
    for kind, code, status in _CODES:
        if isinstance(error, kind):
            return status, {"error_code": code, "message": message}
    return error.status, {"error_code": "INTERNAL_ERROR", "message": message}
