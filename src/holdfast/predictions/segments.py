"""The prediction log's segment format: an append-only file of framed, checksummed records.

    segment := record*          record := marker "HFR1" | length u32 | CRC-32 u32 | payload

Integers are little-endian; the CRC is over the payload, which is one MessagePack array: a SegmentHeader (first,
once), a Schema (before the first batch that uses it), a Batch or a Failure. A record is written by one `write`
before the answer that acknowledges it. So a process kill leaves at most one truncated record at the end, which
nobody was promised: `scan` passes over it. Any other unreadable bytes are damage and are reported.

Pure, and light enough for the inference server's hot path.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import msgspec

from holdfast.kernel.errors import IntegrityError

__all__ = [
    "Batch",
    "Damage",
    "Failure",
    "Record",
    "Scan",
    "Schema",
    "SegmentHeader",
    "encode_record",
    "scan",
    "scan_header",
]

_MARKER = b"HFR1"
_FRAME = struct.Struct("<4sII")


class SegmentHeader(msgspec.Struct, frozen=True, array_like=True, tag="segment"):
    """Which segment this is. `format` is 1; `created_at` ms UTC."""

    format: int
    endpoint_id: str
    replica: str
    boot: str
    seq: int
    created_at: int


class Schema(msgspec.Struct, frozen=True, array_like=True, tag="schema"):
    """The columns of the batches that name it: features with their signature types, classes as canonical text."""

    schema_id: int
    version: int
    features: list[str]
    types: list[str]
    task: str
    classes: list[str]
    positive: str | None


class Batch(msgspec.Struct, frozen=True, array_like=True, tag="batch"):
    """The rows of one answered request, by column.

    The prediction id of row i is `{request_id}.{i}`. `columns` has one list per feature of the schema, None =
    missing. `labels` is canonical text; `scores` has one list per class (regression: one list, the value).
    `keys` and `event_times` (ms UTC) are None where the caller gave none.
    """

    schema_id: int
    request_id: str
    logged_at: int
    latency_us: int
    labels: list[str]
    scores: list[list[float | None]]
    columns: list[list[Any]]
    keys: list[str | None] | None = None
    event_times: list[int | None] | None = None


class Failure(msgspec.Struct, frozen=True, array_like=True, tag="failure"):
    """A request that got no prediction: HTTP status and the reason. It counts as one row without a prediction."""

    request_id: str
    logged_at: int
    latency_us: int
    status: int
    version: int | None
    event_time: int
    reason: str


Record = SegmentHeader | Schema | Batch | Failure

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


class Damage(msgspec.Struct, frozen=True):
    """Bytes of a segment that hold no readable record."""

    offset: int
    length: int
    reason: str


class Scan(msgspec.Struct, frozen=True):
    """What a segment holds. `torn` is the size of the truncated record at its end, 0 as a rule."""

    header: SegmentHeader
    records: list[Record]
    """Schemas, batches and failures in the order written."""
    damages: list[Damage]
    torn: int


def encode_record(record: Record) -> bytes:
    """The framed bytes of one record."""
    payload = _encoder.encode(record)
    return _FRAME.pack(_MARKER, len(payload), zlib.crc32(payload)) + payload


def scan(data: bytes) -> Scan:
    """Every readable record of a segment, what is damaged and what is torn.

    Raises IntegrityError when the header can't be read: then nothing says whose bytes these are.
    """
    records: list[Record] = []
    damages: list[Damage] = []
    offset, torn = 0, 0
    while offset < len(data):
        record, end, problem = _read_record(data, offset)
        if record is not None:
            records.append(record)
        else:
            resumed = _resume(data, offset, end)
            if end is None and resumed is None:
                torn = len(data) - offset
                break
            end = len(data) if resumed is None else resumed
            damages.append(Damage(offset, end - offset, problem))
        assert end is not None
        offset = end
    if not records or not isinstance(records[0], SegmentHeader):
        raise IntegrityError(
            "The segment has no readable header.", hint="Its first record is damaged or missing."
        )
    return Scan(records[0], records[1:], damages, torn)


def scan_header(data: bytes) -> SegmentHeader:
    """The segment's first record. Raises IntegrityError when it can't be read."""
    record, _, problem = _read_record(data, 0)
    if not isinstance(record, SegmentHeader):
        raise IntegrityError(f"The segment has no readable header: {problem or 'another record is first'}.")
    return record


def _read_record(data: bytes, offset: int) -> tuple[Record | None, int | None, str]:
    """(record, where the next begins, why there is none); the end is None when the record's length can't be known."""
    if offset + _FRAME.size > len(data):
        return None, None, "truncated frame"
    marker, length, crc = _FRAME.unpack_from(data, offset)
    begin = offset + _FRAME.size
    if marker != _MARKER:
        return None, None, "no record marker"
    if begin + length > len(data):
        return None, None, "record longer than the file"
    payload = memoryview(data)[begin : begin + length]
    if zlib.crc32(payload) != crc:
        return None, begin + length, "CRC mismatch"
    try:
        return _decoder.decode(payload), begin + length, ""
    except msgspec.DecodeError as error:
        return None, begin + length, f"unknown record: {error}"


def _resume(data: bytes, offset: int, end: int | None) -> int | None:
    """Where reading goes on after the unreadable record at `offset`; None when nothing intact follows."""
    if end is not None and (end == len(data) or data.startswith(_MARKER, end)):
        return end
    return _next_record(data, offset + 1)


def _next_record(data: bytes, start: int) -> int | None:
    """Where the next intact record begins at or after `start`; None when there is none."""
    at = data.find(_MARKER, start)
    while at >= 0:
        record, _, _ = _read_record(data, at)
        if record is not None:
            return at
        at = data.find(_MARKER, at + 1)
    return None
