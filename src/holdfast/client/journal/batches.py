"""A journal cut into requests. The bytes of a request follow from where it begins and ends alone, so that a request
that was under way when a process ended can be made again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from holdfast.client.api import non_finite_text
from holdfast.client.journal.folder import MOST_AT_ONCE
from holdfast.client.journal.position import Place
from holdfast.client.journal.records import Operation, PointSet, parse
from holdfast.client.journal.segment import FIRST, SegmentReader, segment_path

__all__ = ["JournalReader", "Piece", "encode_batch"]


class Point(msgspec.Struct, frozen=True):
    """The wire form of one metric point."""

    key: str
    value: float | str
    step: int
    time: int


class Piece(msgspec.Struct):
    """What one request says: points, params and tags together, or an operation."""

    end: Place
    points: list[Point] = []
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    operation: Operation | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to say."""
        return not (self.points or self.params or self.tags or self.operation)


def encode_batch(**parts: Any) -> bytes:
    """The body of a request of points, params and tags."""
    return msgspec.json.encode(parts)


class JournalReader:
    """Reads a journal on from one place to the next. Not thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader: SegmentReader | None = None
        self._number = 0
        self._sets: dict[int, list[str]] = {}

    def next_piece(self, start: Place, end: Place | None = None) -> Piece:
        """The next request from `start` on: up to `end`, or as much as goes into one. Empty where nothing follows yet.

        Raises IntegrityError at a damaged record.
        """
        while True:
            # Looked for before the records are read: when there is a next segment, nothing is added to this one.
            has_next = segment_path(self._folder, start.segment + 1).exists()
            self._open(start)
            piece = self._collect(start, end)
            if not piece.is_empty or not has_next or start == end:
                return piece
            start = Place(start.segment + 1, FIRST)

    def close(self) -> None:
        """Give the memory back."""
        if self._reader is not None:
            self._reader.close()
        self._reader, self._number = None, 0

    def _open(self, place: Place) -> None:
        if self._number == place.segment:
            return
        self.close()
        self._reader, self._sets = SegmentReader(segment_path(self._folder, place.segment)), {}
        self._number = place.segment
        for payload, at in self._reader.read() if place.byte > FIRST else ():
            record = parse(payload)
            if isinstance(record, tuple):
                self._sets[record[0]] = record[1]
            if at >= place.byte:
                break

    def _collect(self, start: Place, end: Place | None) -> Piece:
        assert self._reader is not None
        piece = Piece(start, [], {}, {})
        for payload, at in self._reader.read(start.byte):
            if end is not None and end.segment == start.segment and at > end.byte:
                break
            record = parse(payload)
            if not self._take(piece, record):
                break
            piece.end = Place(start.segment, at)
            if piece.operation is not None:
                break
        return piece

    def _take(self, piece: Piece, record: Operation | PointSet | tuple[int, list[str]]) -> bool:
        """Add a record to a request; False when it has to go into the next."""
        if isinstance(record, tuple):
            self._sets[record[0]] = record[1]
            return True
        if isinstance(record, PointSet):
            if piece.points and len(piece.points) + len(record.values) > MOST_AT_ONCE:
                return False
            keys = self._sets[record.keys]
            piece.points += [
                Point(key, value if math.isfinite(value) else non_finite_text(value), step, record.time)
                for key, step, value in zip(keys, record.steps, record.values, strict=True)
            ]
            return True
        if record.op not in ("params", "tags"):
            if not piece.is_empty:
                return False
            piece.operation = record
            return True
        into = piece.params if record.op == "params" else piece.tags
        if into and len(into) + len(record.values) > MOST_AT_ONCE:
            return False
        into.update(record.values)
        return True
