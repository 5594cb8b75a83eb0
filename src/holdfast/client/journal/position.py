"""How far a journal is delivered: a small file of two places that are written in turn, each with its checksum."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from holdfast.client.journal.segment import FIRST

__all__ = ["Place", "Position", "PositionFile"]

_SLOT = struct.Struct("<QIQIQI")
_STRIDE = 64


class Place(NamedTuple):
    """A place in a journal: segment, counted from 1, and byte."""

    segment: int
    byte: int


class Position(NamedTuple):
    """All before `done` has arrived. `end` is beyond it while a request for what lies between may be under way: it
    has to be repeated with the same bounds, so that its bytes are the same and the server counts it once."""

    done: Place = Place(1, FIRST)
    end: Place = Place(1, FIRST)
    is_finished: bool = False
    """The end of the run has arrived."""


class PositionFile:
    """Reads and writes a position. A write that is cut off leaves the one before."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open("r+b", buffering=0)
        self._turn, self.position = 0, Position()
        for slot in range(2):
            self._file.seek(slot * _STRIDE)
            data = self._file.read(_SLOT.size + 4)
            if len(data) < _SLOT.size + 4 or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
                continue
            turn, *places, flags = _SLOT.unpack(data[:-4])
            if turn > self._turn:
                done, end = Place(*places[:2]), Place(*places[2:])
                self._turn, self.position = turn, Position(done, end, bool(flags))

    def write(self, position: Position) -> None:
        """Keep a position; it survives the end of the process."""
        self._turn += 1
        data = _SLOT.pack(self._turn, *position.done, *position.end, int(position.is_finished))
        self._file.seek(self._turn % 2 * _STRIDE)
        self._file.write(data + zlib.crc32(data).to_bytes(4, "little"))
        self.position = position

    def close(self) -> None:
        """Close the file."""
        self._file.close()
