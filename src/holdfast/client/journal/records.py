"""What the records of a journal hold: sets of metric keys, points of such a set, and operations.

The first byte is the kind. `K`: id (uint32) and the keys as JSON, valid within the segment. `P`: id, step, time and
one float64 for each key. `S`: id, time, one int64 step and one float64 for each key. `O`: an operation as JSON.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from holdfast.kernel.errors import IntegrityError

__all__ = [
    "POINT",
    "Operation",
    "PointSet",
    "key_record",
    "operation_record",
    "parse",
    "points_record",
    "stepped_record",
]

KEYS, POINTS, STEPPED, OPERATION = b"KPSO"
POINT = struct.Struct("<BxxxIqqd")
"""A point of a set of one key: kind, set, step, time, value."""
_SET = struct.Struct("<BxxxI")
_POINTS = struct.Struct("<BxxxIqq")
_STEPPED = struct.Struct("<BxxxIq")
_floats = [struct.Struct(f"<{count}d") for count in range(65)]


class Operation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is done to a run besides logging points, as its `op` says; the other fields are what it needs."""

    op: str
    """create, params, tags, artifact, model or finish."""
    values: dict[str, str] = {}
    experiment: str | None = None
    name: str | None = None
    user: str | None = None
    time: int | None = None
    recipe: dict[str, Any] | None = None
    path: str = ""
    file: str = ""
    """Where the bytes stand: within the journal's folder."""
    model_id: str = ""
    files: dict[str, str] = {}
    register: str | None = None
    status: str = ""
    exit_code: int | None = None


class PointSet(msgspec.Struct, frozen=True):
    """Points that were logged by one call: one for each key of the set `keys`."""

    keys: int
    steps: Sequence[int]
    time: int
    values: Sequence[float]


def key_record(number: int, keys: Sequence[str]) -> bytes:
    """The record that names the keys of set `number`."""
    return _SET.pack(KEYS, number) + msgspec.json.encode(keys)


def points_record(number: int, step: int, time: int, values: Sequence[float]) -> bytes:
    """The record of points at one step."""
    count = len(values)
    packed = _floats[count].pack(*values) if count < 65 else struct.pack(f"<{count}d", *values)
    return _POINTS.pack(POINTS, number, step, time) + packed


def stepped_record(number: int, steps: Sequence[int], time: int, values: Sequence[float]) -> bytes:
    """The record of points at a step each."""
    return _STEPPED.pack(STEPPED, number, time) + struct.pack(
        f"<{len(steps)}q{len(values)}d", *steps, *values
    )


def operation_record(operation: Operation) -> bytes:
    """The record of an operation."""
    return b"O" + msgspec.json.encode(operation)


def parse(payload: bytes) -> Operation | PointSet | tuple[int, list[str]]:
    """What a record holds; for a set of keys its number and the keys. Raises IntegrityError for what is none."""
    kind = payload[0]
    try:
        if kind == POINTS:
            _, number, step, time = _POINTS.unpack_from(payload)
            count = (len(payload) - _POINTS.size) // 8
            values = struct.unpack_from(f"<{count}d", payload, _POINTS.size)
            return PointSet(number, (step,) * count, time, values)
        if kind == STEPPED:
            _, number, time = _STEPPED.unpack_from(payload)
            count = (len(payload) - _STEPPED.size) // 16
            steps = struct.unpack_from(f"<{count}q", payload, _STEPPED.size)
            values = struct.unpack_from(f"<{count}d", payload, _STEPPED.size + 8 * count)
            return PointSet(number, steps, time, values)
        if kind == KEYS:
            _, number = _SET.unpack_from(payload)
            return number, msgspec.json.decode(payload[_SET.size :], type=list[str])
        if kind == OPERATION:
            return msgspec.json.decode(payload[1:], type=Operation)
    except (struct.error, msgspec.DecodeError) as error:
        raise IntegrityError(f"A record of a journal can't be read: {error}.") from error
    raise IntegrityError(f"A record of a journal is of the unknown kind {kind}: of a newer holdfast?")
