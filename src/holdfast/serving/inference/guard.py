"""Refuses requests that another site's page could send to a server without a login on this machine."""

from __future__ import annotations

from urllib.parse import urlsplit

from holdfast.kernel.errors import Forbidden, InvalidInput

__all__ = ["check_host", "check_json", "check_origin", "is_loopback"]

_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether a host name or address stands for this machine alone."""
    return host in _NAMES or (host.startswith("127.") and host.replace(".", "").isdigit())


def _host_of(netloc: str) -> str:
    try:
        return (urlsplit(f"//{netloc}").hostname or "").lower()
    except ValueError:
        return ""


def check_host(netloc: str) -> None:
    """Raises Forbidden unless the Host header names loopback (DNS rebinding)."""
    if not is_loopback(_host_of(netloc)):
        raise Forbidden(
            f"The Host header {netloc[:80]!r} does not name this machine's loopback address.",
            hint="Use http://127.0.0.1 or http://localhost with the server's port.",
        )


def check_origin(origin: str, netloc: str) -> None:
    """Raises Forbidden for a request that a page of another origin sends (CSRF)."""
    if origin != f"http://{netloc}":
        raise Forbidden(
            f"The Origin {origin[:80]!r} is not this server's.", hint="Send the request from a program."
        )


def check_json(media_type: str, *, has_binary_tensors: bool = False) -> None:
    """Raises InvalidInput for a body that says that it is something else than JSON.

    Clients of the protocol leave the type out; a page can't do that without an Origin (`check_origin`).
    """
    if has_binary_tensors:
        raise InvalidInput(
            "The request has binary tensors (Inference-Header-Content-Length); this server reads JSON tensors.",
            hint="Send the data as JSON; tritonclient: set_data_from_numpy(..., binary_data=False).",
        )
    media = media_type.partition(";")[0].strip().lower()
    if media not in ("", "application/json"):
        raise InvalidInput(
            f"The content type {media[:80]!r} is not application/json.",
            hint="Send JSON with that Content-Type.",
        )
