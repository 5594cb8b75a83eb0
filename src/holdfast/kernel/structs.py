"""Structs made ready to be read by several threads at once.

msgspec looks at a Struct's fields when the type is first read. Two threads that do so at once for one type write the
same memory and crash the process (msgspec 0.22, a segmentation fault). So each process has its types looked at while
one thread runs: where it has imported what it is made of, and again after a module imported later.
"""

from __future__ import annotations

import contextlib
import threading

import msgspec

__all__ = ["prepare_structs", "unprepared_structs"]

_lock = threading.Lock()
_prepared: set[type[msgspec.Struct]] = set()


def prepare_structs() -> None:
    """Make every Struct of holdfast that is imported so far ready for reading by several threads at once."""
    with _lock:
        for struct in unprepared_structs():
            with contextlib.suppress(
                TypeError, NameError
            ):  # of a type that can't be read, which no thread reads
                msgspec.json.Decoder(struct)
            _prepared.add(struct)


def unprepared_structs() -> list[type[msgspec.Struct]]:
    """The imported Structs of holdfast that were not made ready yet."""
    found, waiting = [], [msgspec.Struct]
    while waiting:
        for struct in waiting.pop().__subclasses__():
            waiting.append(struct)
            if struct not in _prepared and struct.__module__.partition(".")[0] == "holdfast":
                found.append(struct)
    return found
