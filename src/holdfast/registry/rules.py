"""What names, tags, descriptions and version numbers of the registry may be."""

from __future__ import annotations

import re
from collections.abc import Mapping

from holdfast.kernel.errors import InvalidInput
from holdfast.tracking.batches import check_value

__all__ = ["check_alias", "check_name", "check_note", "check_tags", "parse_version"]

_ALIAS = re.compile(r"[\w\-]{1,255}")
_TAG_LIMIT, _NOTE_LIMIT = 100_000, 100_000
_NAME_HINT = "Use 1 to 250 characters without '/', ':', '@' and control characters."


def parse_version(text: str) -> int:
    """A version number from text. Raises InvalidInput."""
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise InvalidInput(f"{text[:40]!r} is not a version number.", hint="Versions count from 1.")
    return int(text)


def check_name(name: str) -> None:
    clean = name.strip() and len(name) <= 250 and not any(char in "/:@" or ord(char) < 32 for char in name)
    if not clean or name in (".", "..") or name != name.strip():
        raise InvalidInput(
            f"{name[:80]!r} is not a name for a registered model.",
            hint=_NAME_HINT,
            details={"model_name": name[:80]},
        )


def check_tags(tags: Mapping[str, str]) -> None:
    """Raises InvalidInput unless tags of a model or version may be so."""
    for key, value in tags.items():
        check_value("tag", key, value, _TAG_LIMIT)


def check_note(note: str) -> None:
    if len(note) > _NOTE_LIMIT or "\0" in note:
        raise InvalidInput(f"A description has {len(note)} characters or a NUL; the limit is {_NOTE_LIMIT}.")


def check_alias(alias: str) -> None:
    if not _ALIAS.fullmatch(alias) or alias == "latest" or re.fullmatch(r"v\d+", alias):
        raise InvalidInput(
            f"{alias[:80]!r} is not an alias.",
            hint="Use 1 to 255 letters, digits, '_' or '-'; not 'latest', not 'v' and a number.",
            details={"alias": alias[:300]},
        )
