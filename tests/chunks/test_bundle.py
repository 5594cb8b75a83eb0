"""Bundles: many files in one body."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.chunks import bundle_head, read_bundle
from holdfast.kernel.errors import InvalidInput


def bundle(files: dict[str, bytes]) -> bytes:
    head = bundle_head([(path, len(data)) for path, data in files.items()])
    return head + b"".join(files.values())


@given(
    st.dictionaries(
        st.from_regex(r"[a-zé]{1,8}(/[a-z0-9]{1,8}){0,2}", fullmatch=True), st.binary(max_size=99)
    )
)
def test_files_come_out_as_they_went_in(files: dict[str, bytes]) -> None:
    files = {path: data for path, data in files.items() if path == path.strip()}
    assert {path: bytes(data) for path, data in read_bundle([bundle(files)])} == files


@given(st.lists(st.binary(max_size=40), max_size=9), st.lists(st.integers(0, 50), max_size=40))
def test_it_does_not_matter_where_blocks_end(contents: list[bytes], lengths: list[int]) -> None:
    files = {f"{number}": data for number, data in enumerate(contents)}
    left, blocks = bundle(files), []
    for length in lengths:
        blocks.append(left[:length])
        left = left[length:]
    assert {path: bytes(data) for path, data in read_bundle([*blocks, left])} == files
    with pytest.raises(InvalidInput, match="1 bytes that belong to no file"):
        list(read_bundle([*blocks, left, b"", b"x"]))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not a bundle"),
        (b"HFBUNDLE1\n\0\0", "not a bundle"),
        (b"HFBUNDLE1\n\0\0\0\x03{}x", "list of paths and sizes"),
        (bundle_head([("a", 3)]) + b"ab", "ends before the 3 bytes of 'a'"),
        (bundle_head([("a", -1)]), "ends before"),
        (bundle_head([("a", 1), ("a", 1)]) + b"xy", "twice"),
        (bundle_head([("a", 1)]) + b"xy", "1 bytes that belong to no file"),
        (bundle_head([("../a", 1)]) + b"x", "'..' part"),
        (bundle_head([("/a", 1)]) + b"x", "not a relative path"),
    ],
)
def test_what_is_no_bundle_is_refused(body: bytes, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        list(read_bundle([body]))
