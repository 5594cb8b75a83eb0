"""Which distributions a process uses: the environment lock of a model, the package list of a run."""

from __future__ import annotations

import importlib.metadata
import sys

__all__ = ["imported_distributions", "installed_distributions"]


def imported_distributions() -> list[str]:
    """`name==version` of every installed distribution of which a module is imported now, in order of name.

    holdfast itself is left out: a model does not need its client to predict.
    """
    owners = importlib.metadata.packages_distributions()
    top = {name.partition(".")[0] for name, module in list(sys.modules.items()) if module is not None}
    names = {owner for module in top for owner in owners.get(module, ())} - {"holdfast"}
    return sorted({f"{name}=={importlib.metadata.version(name)}" for name in names}, key=str.lower)


def installed_distributions() -> list[str]:
    """`name==version` of every distribution of this Python, in order of name."""
    found: set[str] = set()
    for item in importlib.metadata.distributions():
        name = item.metadata["Name"]
        if name:
            found.add(f"{name}=={item.version}")
    return sorted(found, key=str.lower)
