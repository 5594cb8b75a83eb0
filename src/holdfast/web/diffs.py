"""The one diff: lines that stayed, came or went, for two texts or two sets of fields."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

__all__ = ["DiffLine", "diff_fields", "read_diff"]


class DiffLine(msgspec.Struct, frozen=True):
    """One line and its kind: `same`, `add`, `del` or `at` (a place in a file)."""

    kind: str
    text: str


def diff_fields(before: Mapping[str, object], after: Mapping[str, object]) -> list[DiffLine]:
    """Fields that differ, one line per side, in the order of `before` and then of what is new."""
    lines: list[DiffLine] = []
    for name in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(name), after.get(name)
        if old == new and (name in before) == (name in after):
            continue
        if name in before:
            lines.append(DiffLine("del", f"{name}: {old}"))
        if name in after:
            lines.append(DiffLine("add", f"{name}: {new}"))
    return lines


def read_diff(text: str, limit: int) -> list[DiffLine]:
    """The lines of a unified diff, at most `limit`."""
    kinds = {"+": "add", "-": "del", "@": "at"}
    lines: list[DiffLine] = []
    for line in text.splitlines()[:limit]:
        is_header = line.startswith(("+++ ", "--- ", "diff ", "index "))
        kind = "at" if is_header else kinds.get(line[:1], "same")
        lines.append(DiffLine(kind, line if kind == "at" else line[1:]))
    return lines
