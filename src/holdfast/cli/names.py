"""How models are named on the command line: NAME, NAME/VERSION or NAME@ALIAS."""

from __future__ import annotations

from holdfast.kernel.errors import InvalidInput

__all__ = ["parse_reference"]


def parse_reference(text: str) -> tuple[str, int | None, str | None]:
    """(name, version, alias) of which the last two are None where not given. Raises InvalidInput."""
    name, slash, version = text.partition("/")
    if slash:
        if not name or not version.isascii() or not version.isdigit() or int(version) < 1:
            raise InvalidInput(f"{text!r} is not a model's version.", hint="Write it like flights/3.")
        return name, int(version), None
    name, at, alias = text.partition("@")
    if not name or (at and not alias):
        raise InvalidInput(
            f"{text!r} is not a model.", hint="Write it like flights, flights/3 or flights@production."
        )
    return name, None, alias or None
