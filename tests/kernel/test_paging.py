"""Page tokens and page sizes as they come from strangers."""

from __future__ import annotations

import base64

import pytest

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.paging import decode_number, decode_token, encode_token


@pytest.mark.parametrize("key", [0, 2**62, "flights", ["a", 1], {"after": "é"}, None])
def test_a_token_gives_its_key_back(key: object) -> None:
    token = encode_token(key)
    assert decode_token(token) == key
    assert not set(token) & set("+/= ")


@pytest.mark.parametrize("token", ["%", "é", "A", "bm9wZQ", "W1tb" * 1000, "////"])
def test_another_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidInput, match="page token"):
        decode_token(token)


def test_bottomless_nesting_in_a_token_is_refused() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 100_000 + b"]" * 100_000).decode()
    with pytest.raises(InvalidInput, match="page token"):
        decode_token(deep)


@pytest.mark.parametrize("key", ["7", None, True, 1.5, [1], 2**63])
def test_a_number_is_wanted_and_something_else_is_refused(key: object) -> None:
    assert decode_number(encode_token(41)) == 41
    with pytest.raises(InvalidInput, match="page token"):
        decode_number(encode_token(key))
