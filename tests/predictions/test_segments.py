"""The segment format: what was written is read back; torn tails are passed over, damage is reported."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.kernel.errors import IntegrityError
from holdfast.predictions.segments import Batch, Failure, Record, Schema, SegmentHeader, encode_record, scan

HEADER = SegmentHeader(1, "e1", "r1", "b1", 1, 1_000)
SCHEMA = Schema(0, 3, ["x", "s"], ["double", "string"], "binary", ["0", "1"], "1")


def batch(number: int) -> Batch:
    return Batch(
        0, f"req-{number}", 2_000 + number, 150, ["1"], [[0.25], [0.75]], [[1.5], [None]], ["k"], [5]
    )


RECORDS: list[Record] = [
    SCHEMA,
    batch(0),
    batch(1),
    Failure("req-2", 2_002, 9, 400, 3, 2_002, "no"),
    batch(3),
]
FRAMES = [encode_record(HEADER), *map(encode_record, RECORDS)]
STARTS = [sum(map(len, FRAMES[:index])) for index in range(len(FRAMES) + 1)]
WHOLE = b"".join(FRAMES)


def test_reads_back_what_was_written() -> None:
    found = scan(WHOLE)
    assert found.header == HEADER
    assert found.records == RECORDS
    assert (found.damages, found.torn) == ([], 0)


@given(st.integers(min_value=STARTS[1], max_value=len(WHOLE)))
def test_every_truncation_keeps_the_whole_records(size: int) -> None:
    found = scan(WHOLE[:size])
    complete = sum(end <= size for end in STARTS[2:])
    assert found.records == RECORDS[:complete]
    assert found.damages == []
    assert found.torn == size - STARTS[complete + 1]


@given(st.integers(min_value=STARTS[1], max_value=STARTS[-2] - 1), st.integers(min_value=1, max_value=255))
@settings(max_examples=300)
def test_a_damaged_byte_costs_one_record_and_is_reported(position: int, flip: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[position] ^= flip
    found = scan(bytes(damaged))
    hit = next(index for index in range(len(RECORDS)) if position < STARTS[index + 2])
    assert found.records == RECORDS[:hit] + RECORDS[hit + 1 :]
    assert [(damage.offset, damage.length) for damage in found.damages] == [
        (STARTS[hit + 1], STARTS[hit + 2] - STARTS[hit + 1])
    ]


def test_a_damaged_last_record_is_reported_not_taken_for_torn() -> None:
    damaged = WHOLE[:-1] + bytes([WHOLE[-1] ^ 1])
    found = scan(damaged)
    assert found.torn == 0
    assert [damage.reason for damage in found.damages] == ["CRC mismatch"]


def test_without_a_header_the_segment_is_refused() -> None:
    with pytest.raises(IntegrityError, match="no readable header"):
        scan(WHOLE[STARTS[1] :])
    with pytest.raises(IntegrityError):
        scan(b"")
