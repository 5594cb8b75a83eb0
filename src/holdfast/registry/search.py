"""Models, versions and aliases by words: `flights`, `flights 7`, `flights/7`, `flights@champion`."""

from __future__ import annotations

import re

from holdfast.audit.words import object_address
from holdfast.kernel.matching import Found, Hit, Wanted, best, fit
from holdfast.registry import store
from holdfast.storage import Tx

__all__ = ["search_registry"]

_CANDIDATES = 4
_NUMBER = re.compile(r"v?([0-9]{1,9})")
_NOUNS = ("model", "version")


def search_registry(tx: Tx, workspace: str, wanted: Wanted, limit: int) -> Found:
    """The best models, and versions by their number or by an alias, so many of each."""
    most = limit * _CANDIDATES
    models = [
        Hit(
            "model",
            row.name,
            object_address(f"model:{row.name}"),
            f"{row.last_version} version{'' if row.last_version == 1 else 's'}",
            fit(wanted, row.name),
            row.created_at,
        )
        for row in store.search_models(tx, workspace, wanted, most)
    ]
    words = tuple(word for word in re.split(r"[\s/@]+", wanted.text.lower()) if word and word not in _NOUNS)
    versions = [*_numbered(tx, workspace, words, most), *_pointed_at(tx, workspace, words, most)]
    return Found([*best(models, limit), *best(versions, limit)])


def _numbered(tx: Tx, workspace: str, words: tuple[str, ...], most: int) -> list[Hit]:
    """Versions where the last of several words is a number."""
    number = _NUMBER.fullmatch(words[-1]) if len(words) > 1 else None
    if number is None:
        return []
    names = Wanted(" ".join(words[:-1]), words[:-1])
    return [
        Hit(
            "version",
            f"{row.name}/{row.version}",
            object_address(f"model:{row.name}/{row.version}"),
            row.status,
            fit(names, row.name),
            row.created_at,
        )
        for row in store.search_versions(tx, workspace, names.words, int(number[1]), most)
    ]


def _pointed_at(tx: Tx, workspace: str, words: tuple[str, ...], most: int) -> list[Hit]:
    if not words:
        return []
    wanted = Wanted("@".join(words), words)
    return [
        Hit(
            "version",
            f"{row.name}@{row.alias}",
            object_address(f"model:{row.name}/{row.version}"),
            f"version {row.version}",
            max(fit(wanted, f"{row.name}@{row.alias}"), fit(wanted, row.alias)),
            row.since,
        )
        for row in store.search_aliases(tx, workspace, words, most)
    ]
