"""Names: which ones may be given, and one for a run that was given none."""

from __future__ import annotations

import random
import re

from holdfast.kernel.errors import InvalidInput

__all__ = ["check_given_id", "check_name", "invent_name"]

_ID = re.compile(r"[0-9a-f]{32}")

_ADJECTIVES = """
    able amber bold brave brisk calm clear crisp deft eager early fair firm fleet fresh glad keen
    kind light lively lucid merry neat noble plain proud quick quiet rapid sharp sleek smart solid
    stark steady sunny swift tidy vivid warm wise
"""
_NOUNS = """
    anchor arch beacon birch brook cedar cliff cloud coast comet crane delta dune ember falcon fern
    field finch fjord gull harbor hawk heron hill inlet lark ledge maple marsh meadow oak orbit
    otter pine plover raven reef ridge river robin shore spruce stone swan tern tide vale wave
    willow wren
"""


def invent_name() -> str:
    """A name that people can say and tell from others: `calm-heron-417`."""
    chooser = random.SystemRandom()
    return f"{chooser.choice(_ADJECTIVES.split())}-{chooser.choice(_NOUNS.split())}-{chooser.randrange(1000)}"


def check_given_id(kind: str, given: str, prefix: str = "") -> None:
    """Raises InvalidInput unless a client may have chosen this id: 32 hex digits behind `prefix`."""
    if not given.startswith(prefix) or not _ID.fullmatch(given[len(prefix) :]):
        raise InvalidInput(
            f"{given[:80]!r} is not an id for a {kind}.",
            hint=f"Choose {prefix + ' and ' if prefix else ''}32 hex digits in lower case, as of a UUID of version 7.",
        )


def check_name(kind: str, name: str, most: int) -> None:
    """Raises InvalidInput unless `name` may name a thing of this kind."""
    if not name.strip() or len(name) > most or any(ord(char) < 32 for char in name):
        article = "an" if kind[0] in "aeiou" else "a"
        raise InvalidInput(
            f"{name[:80]!r} is not a name for {article} {kind}.",
            hint=f"Use 1 to {most} characters, no control characters.",
            details={"longer_than": most} if len(name) > most else None,
        )
