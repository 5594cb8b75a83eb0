"""Which distributions a process uses: the environment lock of a model, the package list of a run."""

from __future__ import annotations

import importlib.metadata
import sys

__all__ = ["imported_distributions", "installed_distributions"]


def imported_distributions() -> list[str]:
    """`name==version` of every installed distribution of which a module is imported now, in order of name.

    holdfast itself is left out: a model does not need its client to predict.
    """
    top = {name.partition(".")[0] for name, module in list(sys.modules.items()) if module is not None}
    found: set[str] = set()
    for item in importlib.metadata.distributions():
        name = item.metadata["Name"]
        if name and name != "holdfast" and not top.isdisjoint(_modules_of(item)):
            found.add(f"{name}=={item.version}")
    return sorted(found, key=str.lower)


def _modules_of(item: importlib.metadata.Distribution) -> set[str]:
    """The top-level modules of a distribution. (`packages_distributions` finds few of them before Python 3.11.)"""
    declared = (item.read_text("top_level.txt") or "").split()
    if declared:
        return set(declared)
    first = {path.parts[0] for path in item.files or [] if path.suffix in (".py", ".so", ".pyd")}
    return {
        part.partition(".")[0]
        for part in first
        if not part.endswith((".dist-info", ".data")) and part != ".."
    }


def installed_distributions() -> list[str]:
    """`name==version` of every distribution of this Python, in order of name."""
    found: set[str] = set()
    for item in importlib.metadata.distributions():
        name = item.metadata["Name"]
        if name:
            found.add(f"{name}=={item.version}")
    return sorted(found, key=str.lower)
