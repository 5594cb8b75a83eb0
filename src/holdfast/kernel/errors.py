"""The error tree. Each class has a stable code, an HTTP status and a sentence that names the offending value.

HoldfastError
├── InvalidInput          400  a value is not acceptable
│   └── PayloadTooLarge   413  a body is over its limit
├── Unauthenticated       401  no or a wrong credential
├── Forbidden             403  the principal lacks the permission
│   └── PolicyRefused     403  a policy has unmet rules
├── NotFound              404  no such thing
├── Conflict              409  the thing is in another state than needed
│   └── AlreadyExists     409  the name is taken
├── IntegrityError        500  stored bytes do not match their digest; never retried
└── Unavailable           503  try again later
    └── TooManyRequests   429  the caller asks too often; try again later

The client raises the same class from the code on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

__all__ = [
    "AlreadyExists",
    "Conflict",
    "Forbidden",
    "HoldfastError",
    "IntegrityError",
    "InvalidInput",
    "NotFound",
    "PayloadTooLarge",
    "PolicyRefused",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "error_classes",
    "error_from_wire",
]


class HoldfastError(Exception):
    """An error that a user can act on: `message` names the value, `hint` says what to do next."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})
        self.request_id = ""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def to_wire(self, request_id: str = "") -> dict[str, Any]:
        """The JSON form of the error: `{"error": {code, message, hint, details, request_id}}`."""
        body: dict[str, Any] = {"code": self.code, "message": self.message, "request_id": request_id}
        if self.hint:
            body["hint"] = self.hint
        if self.details:
            body["details"] = self.details
        return {"error": body}


class InvalidInput(HoldfastError):
    """A value is not acceptable; sending it again unchanged will fail again."""

    code = "invalid_input"
    status = 400


class PayloadTooLarge(InvalidInput):
    """A body is over the limit that the message names."""

    code = "payload_too_large"
    status = 413


class Unauthenticated(HoldfastError):
    """There is no credential, or it is wrong or expired."""

    code = "unauthenticated"
    status = 401


class Forbidden(HoldfastError):
    """The principal is known and lacks the permission that the message names."""

    code = "forbidden"
    status = 403


class PolicyRefused(Forbidden):
    """A policy refused the change; `details["unmet"]` lists the unmet rules."""

    code = "policy_refused"

    def __init__(self, message: str, *, unmet: Sequence[str], hint: str = "") -> None:
        super().__init__(message, hint=hint, details={"unmet": list(unmet)})


class NotFound(HoldfastError):
    """The named thing does not exist in this workspace."""

    code = "not_found"
    status = 404


class Conflict(HoldfastError):
    """The thing is in a state that does not allow the change, or the name is taken."""

    code = "conflict"
    status = 409


class AlreadyExists(Conflict):
    """The name is taken by a thing of the same kind."""

    code = "already_exists"


class IntegrityError(HoldfastError):
    """Stored bytes do not match their digest. Never retried: the store needs attention."""

    code = "integrity_error"
    status = 500


class Unavailable(HoldfastError):
    """The service cannot answer now; `retry_after_s` says when to try again."""

    code = "unavailable"
    status = 503

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        details: Mapping[str, Any] | None = None,
        retry_after_s: float = 1.0,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.retry_after_s = retry_after_s


class TooManyRequests(Unavailable):
    """The caller asks more often than it may; nothing was done, and `retry_after_s` says when to try again."""

    code = "too_many_requests"
    status = 429


def error_classes() -> list[type[HoldfastError]]:
    """Every class of the tree that can travel, in the order of the drawing above."""
    return [
        InvalidInput,
        PayloadTooLarge,
        Unauthenticated,
        Forbidden,
        PolicyRefused,
        NotFound,
        Conflict,
        AlreadyExists,
        IntegrityError,
        Unavailable,
        TooManyRequests,
    ]


def error_from_wire(body: Mapping[str, Any], status: int = 500) -> HoldfastError:
    """The error that a server's answer stands for; an unknown code becomes a plain HoldfastError.

    The inference server's answers have the text alone under `error` and the other parts beside it; those below MLflow's
    addresses have an `error_code` of MLflow's, and their class follows from the status.
    """
    if "error_code" in body and "error" not in body:
        by_status = {
            cls.status: cls
            for cls in (InvalidInput, Unauthenticated, Forbidden, NotFound, Conflict, Unavailable)
        }
        return by_status.get(status, HoldfastError)(str(body.get("message", "")))
    inner = body if isinstance(body.get("error"), str) and "message" in body else body.get("error")
    if not isinstance(inner, Mapping):
        return HoldfastError(f"The server answered {status} without an error body.")
    message, hint = str(inner.get("message", "")), str(inner.get("hint", ""))
    details = inner.get("details")
    details = details if isinstance(details, Mapping) else {}
    by_code = {cls.code: cls for cls in error_classes()}
    cls = by_code.get(str(inner.get("code")), HoldfastError)
    error = (
        PolicyRefused(message, unmet=_rules(details.get("unmet")), hint=hint)
        if cls is PolicyRefused
        else cls(message, hint=hint, details=details)
    )
    error.request_id = str(inner.get("request_id", ""))
    return error


def _rules(unmet: object) -> list[str]:
    return [str(rule) for rule in unmet] if isinstance(unmet, (list, tuple)) else []
