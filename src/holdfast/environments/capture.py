"""The lock of the environment that this process runs in. Standard library alone."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions

from holdfast.environments.lock import normal_name

__all__ = ["capture"]


def capture(modules: Iterable[str] | None = None) -> str:
    """The lock text: a comment `# python==3.11.7`, then `name==version` per line, sorted by name, of every
    installed distribution that a module of `modules` comes from (default: all that are imported now).

    A distribution that was installed from a folder, and so can't be had from an index, is a comment that says
    where it came from. holdfast itself is left out.
    """
    wanted = {name.partition(".")[0] for name in (list(sys.modules) if modules is None else modules)}
    lines: dict[str, str] = {}
    for distribution in distributions():
        name = normal_name(distribution.metadata["Name"] or "")
        if not name or name == "holdfast" or name in lines or wanted.isdisjoint(_modules(distribution)):
            continue
        folder = _local_folder(distribution)
        pinned = f"{name}=={distribution.version}"
        lines[name] = f"# not from an index: {pinned} from {folder}" if folder else pinned
    return (
        "\n".join([f"# python=={platform.python_version()}", *(lines[name] for name in sorted(lines))]) + "\n"
    )


def _modules(distribution: Distribution) -> set[str]:
    """The top-level modules that the distribution installs."""
    listed = (distribution.read_text("top_level.txt") or "").split()
    recorded = (distribution.read_text("RECORD") or "").splitlines()
    first_parts = {line.partition(",")[0].partition("/")[0] for line in recorded}
    return {part.partition(".")[0] for part in first_parts if not part.endswith(".dist-info")}.union(listed)


def _local_folder(distribution: Distribution) -> str:
    """The folder URL that the distribution was installed from, empty when it came from an index."""
    text = distribution.read_text("direct_url.json")
    direct = json.loads(text) if text else {}
    return str(direct.get("url", "")) if "dir_info" in direct else ""
