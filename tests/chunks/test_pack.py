"""Cutting by content and packing: whatever goes in comes out, and damage is found from the pack alone."""

from __future__ import annotations

import io
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.chunks.cut import MOST, chunk_id, cut, cut_stream
from holdfast.chunks.pack import PACK_LIMIT, PackBuilder, read_index, unpack_chunk, verify_pack
from holdfast.kernel.errors import IntegrityError

seeds = st.integers(0, 2**32)
sizes = st.integers(0, 2_000_000)


def some(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def pack_of(chunks: list[bytes]) -> bytes:
    builder = PackBuilder()
    for chunk in chunks:
        builder.add(chunk_id(chunk), chunk)
    return b"".join(builder.parts())


@settings(max_examples=40, deadline=None)
@given(seeds, sizes)
def test_chunks_make_the_whole_however_they_are_read(seed: int, size: int) -> None:
    data = some(seed, size)
    chunks = [bytes(chunk) for chunk in cut(data)]
    assert b"".join(chunks) == data
    assert all(0 < len(chunk) <= MOST for chunk in chunks)
    assert [bytes(chunk) for chunk in cut_stream(io.BytesIO(data))] == chunks


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(0, 3_000_000), st.binary(min_size=0, max_size=5000), st.integers(0, 5000))
def test_an_edit_changes_the_chunks_around_it_alone(seed: int, at: int, put: bytes, cut_out: int) -> None:
    data = some(seed, 4_000_000)
    edited = data[:at] + put + data[at + cut_out :]
    before = {chunk_id(chunk) for chunk in cut(data)}
    changed = sum(len(chunk) for chunk in cut(edited) if chunk_id(chunk) not in before)
    assert changed <= 4 * MOST


def test_the_cuts_are_part_of_the_stored_format() -> None:
    chunks = [chunk_id(chunk) for chunk in cut(some(1, 1_000_000))]
    assert (len(chunks), chunk_id(b"".join(chunks)).hex()) == CUTS


CUTS = (13, "fe3b28107ebd30b144c263998ca11959daba5cb42103b03d041dd5c96dc989f8")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=6000), st.text(max_size=3000).map(lambda text: (text * 9).encode()))
    )
)
def test_a_pack_gives_back_its_chunks(chunks: list[bytes]) -> None:
    pack = pack_of(chunks)
    entries = read_index(pack)
    assert [entry.chunk_id for entry in entries] == [chunk_id(chunk) for chunk in chunks]
    assert [bytes(unpack_chunk(e, pack[e.offset : e.offset + e.stored])) for e in entries] == chunks
    assert list(verify_pack(pack)) == []


@settings(max_examples=200, deadline=None)
@given(seeds)
@example(849)  # a bit of zstd's frame header that stands for nothing
def test_every_changed_bit_of_a_pack_that_matters_is_found(seed: int) -> None:
    chance = random.Random(seed)
    chunks = [chance.randbytes(chance.randrange(300)), b"text " * 100, b"", b"x"]
    pack = bytearray(pack_of(chunks))
    pack[chance.randrange(len(pack))] ^= 1 << chance.randrange(8)
    try:
        if list(verify_pack(pack)) == []:
            entries = read_index(pack)
            assert [bytes(unpack_chunk(e, pack[e.offset : e.offset + e.stored])) for e in entries] == chunks
    except IntegrityError as error:
        assert "damaged" in str(error)


@pytest.mark.parametrize("keep", [0, 1, 8, 40, 51, -1])
def test_a_pack_cut_short_is_damaged(keep: int) -> None:
    with pytest.raises(IntegrityError, match="damaged"):
        read_index(pack_of([b"one", b"two"])[:keep])


def test_what_pays_is_compressed_and_what_does_not_is_not() -> None:
    builder = PackBuilder()
    text, noise = b"a line of a log, and another\n" * 5000, some(2, 100_000)
    assert builder.add(chunk_id(text), text).stored < len(text) / 10
    assert builder.add(chunk_id(noise), noise).stored == len(noise)
    assert not builder.has_room(PACK_LIMIT)
