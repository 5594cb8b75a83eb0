"""What a Python interpreter needs to see of the disk in order to start."""

from __future__ import annotations

from pathlib import Path

__all__ = ["interpreter_paths"]

_SYSTEM = (Path("/usr"), Path("/bin"))
_MOST_LINKS = 16


def interpreter_paths(executable: Path) -> list[Path]:
    """The folders (and links) that `executable` needs besides the system's: its virtual environment, the
    installation behind it and each link on the way. Empty for a program of the system.
    """
    found: list[Path] = []
    pending = [executable]
    for _ in range(_MOST_LINKS):
        if not pending:
            break
        path = pending.pop()
        if any(path.is_relative_to(system) for system in _SYSTEM) or not path.is_absolute():
            continue
        root = _installation(path)
        found.append(root if root is not None else path)
        pending += [path.parent / path.readlink()] if path.is_symlink() else []
        pending += [home / path.name for home in _home_of_environment(root)]
    return _with_real_paths(found)


def _installation(executable: Path) -> Path | None:
    """The virtual environment or the Python installation that the executable belongs to."""
    prefix = executable.parent.parent
    if (prefix / "pyvenv.cfg").is_file() or any(prefix.glob("lib/python3*/os.py")):
        return prefix
    return None


def _home_of_environment(prefix: Path | None) -> list[Path]:
    """The folder of the base interpreter that a virtual environment names in its `pyvenv.cfg`."""
    if prefix is None or not (prefix / "pyvenv.cfg").is_file():
        return []
    for line in (prefix / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "home":
            return [Path(value.strip())]
    return []


def _with_real_paths(paths: list[Path]) -> list[Path]:
    """The paths and what they resolve to, normalised, each once."""
    both = [Path(*path.parts) for path in paths] + [path.resolve() for path in paths]
    return [path for path in dict.fromkeys(both) if ".." not in path.parts and path.exists()]
