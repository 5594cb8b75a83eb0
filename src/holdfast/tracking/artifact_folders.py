"""The folders that the paths of artifacts make."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from holdfast.chunks import TreeFile
from holdfast.tracking.artifact_kinds import KIND_WORDS, kind_by_name

__all__ = ["Entry", "list_folder"]

_NUMBERS = re.compile(r"([0-9]{1,18})")


class Entry(msgspec.Struct, frozen=True):
    """A file or folder of a folder; a folder counts the files below it and sums their sizes."""

    name: str
    path: str
    kind: str
    size: int
    sha256: str = ""
    files: int = 0


def list_folder(files: Iterable[TreeFile], folder: str) -> list[Entry]:
    """What stands in a folder (empty for the root): its folders, then its files, numbers in names by their value."""
    start = len(folder) + 1 if folder else 0
    below: dict[str, list[int]] = {}
    found: list[Entry] = []
    for file in files:
        if folder and not file.path.startswith(folder + "/"):
            continue
        name, slash, _ = file.path[start:].partition("/")
        if slash:
            sizes = below.setdefault(name, [0, 0])
            sizes[0] += 1
            sizes[1] += file.size
        else:
            found.append(Entry(name, file.path, KIND_WORDS[kind_by_name(name)], file.size, file.sha256))
    folders = [
        Entry(name, f"{folder}/{name}" if folder else name, "Folder", size, files=count)
        for name, (count, size) in below.items()
    ]
    return [
        *sorted(folders, key=lambda one: _natural(one.name)),
        *sorted(found, key=lambda one: _natural(one.name)),
    ]


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = _NUMBERS.split(name.casefold())
    return [(0, int(part), "") if at % 2 else (1, 0, part) for at, part in enumerate(parts)]
