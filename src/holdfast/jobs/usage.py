"""How much memory a process and its descendants use, and how many they are. Linux only."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

__all__ = ["Usage", "measure"]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Usage(msgspec.Struct, frozen=True):
    """A process tree at one moment. `memory_bytes` counts a page that several of them share once for each of
    them unless `measure(..., exact=True)`, which counts it in shares (PSS) and costs more.
    """

    processes: int
    memory_bytes: int


def measure(pid: int, *, exact: bool = False, most: int = 10_000) -> Usage:
    """The usage of `pid` and its descendants, the first `most` of them; one that ends meanwhile counts 0."""
    pending, seen, memory = [pid], 0, 0
    while pending and seen < most:
        each = pending.pop()
        seen += 1
        memory += (_proportional(each) if exact else None) or _resident(each)
        pending += _children(each)
    return Usage(seen, memory)


def _children(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        found += map(int, _read(thread / "children").split())
    return found


def _resident(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else 0


def _proportional(pid: int) -> int | None:
    for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None


def _read(path: Path) -> str:
    """The text of a file of /proc; empty when the process has ended or may not be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
