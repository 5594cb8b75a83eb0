"""Listing the files of a tree one level at a time, as MLflow's clients walk them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.chunks import TreeFile

__all__ = ["one_level"]


def one_level(files: Sequence[TreeFile], folder: str, *, is_basename: bool = False) -> list[dict[str, Any]]:
    """FileInfo of what stands directly in a folder (empty: the root); `is_basename`: names instead of whole paths."""
    prefix = f"{folder}/" if folder else ""
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        if not file.path.startswith(prefix):
            continue
        name, slash, _ = file.path[len(prefix) :].partition("/")
        shown = name if is_basename else prefix + name
        if slash:
            found[name] = {"path": shown, "is_dir": True}
        else:
            found[name] = {"path": shown, "is_dir": False, "file_size": file.size}
    return [found[name] for name in sorted(found)]
