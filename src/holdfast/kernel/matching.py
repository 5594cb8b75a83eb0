"""Finding things by words that a person types: the words, how well a name fits them, and what is found."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from holdfast.kernel.errors import InvalidInput

__all__ = ["Found", "Hit", "Wanted", "best", "fit", "parse_wanted"]

MOST_TEXT, MOST_WORDS = 200, 8
_START = r"(?:^|[\s\-_./:@#=])"


class Wanted(msgspec.Struct, frozen=True):
    """What somebody looks for: the text with single spaces, and its words in lower case."""

    text: str
    words: tuple[str, ...]

    def number(self, *nouns: str) -> int | None:
        """The number that the text names, alone, as `#7`, or after one of the nouns; else None."""
        rest = [word for word in self.words if word not in nouns]
        digits = rest[0].removeprefix("#") if len(rest) == 1 else ""
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else None

    def without(self, *nouns: str) -> Wanted:
        """The same without some words."""
        rest = tuple(word for word in self.words if word not in nouns)
        return self if rest == self.words else Wanted(" ".join(rest), rest)


class Hit(msgspec.Struct, frozen=True):
    """One thing that was found. `fit` is 4 for the very name, 3 for its beginning, 2 for beginnings of words in it,
    1 for parts of words, 0 when something else about the thing has the words.
    """

    kind: str
    name: str
    address: str
    """Where its page stands on this server."""
    context: str = ""
    """What else to know it by, in a line."""
    fit: int = 0
    time: int | None = None
    """When it was made or last changed (ms, UTC)."""


class Found(msgspec.Struct, frozen=True):
    """The hits of one room; `note` tells what was not looked at."""

    hits: list[Hit]
    note: str = ""


def parse_wanted(text: str) -> Wanted:
    """The words of a text. Raises InvalidInput for one that nobody types."""
    clean = "".join(char if char.isprintable() else " " for char in text)
    words = clean.lower().split()
    if len(text) > MOST_TEXT or len(words) > MOST_WORDS:
        raise InvalidInput(
            f"The search text has {len(text)} characters and {len(words)} words.",
            hint=f"Search for up to {MOST_WORDS} words, {MOST_TEXT} characters in sum.",
        )
    return Wanted(" ".join(clean.split()), tuple(words))


def fit(wanted: Wanted, name: str) -> int:
    """How well a name fits: see `Hit.fit`."""
    text, whole = name.lower(), wanted.text.lower()
    if text == whole:
        return 4
    if text.startswith(whole):
        return 3
    if all(re.search(_START + re.escape(word), text) for word in wanted.words):
        return 2
    return 1 if all(word in text for word in wanted.words) else 0


def best(hits: Iterable[Hit], limit: int) -> list[Hit]:
    """The best hits, of equal ones the newest first; what has no time stands before what has."""
    return sorted(hits, key=lambda hit: (-hit.fit, hit.time is not None, -(hit.time or 0), hit.name))[:limit]
