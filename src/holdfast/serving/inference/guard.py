"""Refuses requests that another site's page could send."""

from __future__ import annotations

from urllib.parse import urlsplit

from holdfast.kernel.errors import Forbidden, InvalidInput

__all__ = ["check_json", "check_origin"]


def check_origin(origin: str, netloc: str) -> None:
    """Raises Forbidden for a request that a page of another origin sends (CSRF)."""
    if urlsplit(origin).netloc != netloc:
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
