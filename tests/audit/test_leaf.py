"""Leaf v1 is final: its bytes are written down here."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.audit.leaf import commit_reason, details_bytes, make_leaf
from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.principal import Caller, Principal

CALLER = Caller(Principal("p-1", "Ada", "contributor", "open"), "default", "req-1", 1_760_000_000_000)
GOLDEN = (
    b'{"action":"alias.set","actor":"p-1",'
    b'"after":"9af23cea10a478f3bb916ff35c07a36debe444adf9b56814ab63861ec674ab8b","auth":"open",'
    b'"before":null,"digest":null,"object":"model:flights@production","reason":null,"request_id":"req-1",'
    b'"time_ms":1760000000000,"token_id":"","v":1,"workspace":"default"}'
)


def test_golden_leaf() -> None:
    leaf = make_leaf(
        CALLER, action="alias.set", object="model:flights@production", digest=None,
        before=None, after=b'{"version":3}', reason_commitment=None,
    )  # fmt: skip
    assert leaf == GOLDEN
    assert b"Ada" not in leaf  # the name may be erased, the pseudonym stays


def test_the_reason_is_bound_by_a_salt() -> None:
    salt = bytes(32)
    assert commit_reason("späte Flüge", salt) == hashlib.sha256(salt + "späte Flüge".encode()).hexdigest()
    assert commit_reason("a", salt) != commit_reason("a", b"\x01" * 32)


def test_details_are_canonical_with_floats_as_text() -> None:
    assert details_bytes({"b": 0.1, "a": [1, (2.5, None)]}) == b'{"a":[1,["2.5",null]],"b":"0.1"}'
    assert details_bytes(None) is None


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(deadline=None)
@given(WORDS, WORDS, st.none() | WORDS, st.none() | st.binary(max_size=9), st.integers(0, 2**53 - 1))
def test_a_leaf_is_canonical_json(
    action: str, name: str, digest: str | None, after: bytes | None, time_ms: int
) -> None:
    caller = Caller(Principal(name, "x", "admin", "open", token_id=action), name, action, time_ms)
    made = make_leaf(
        caller, action=action, object=name, digest=digest, before=None, after=after, reason_commitment=digest
    )
    assert made == canonical_json(json.loads(made))
    assert json.loads(made)["object"] == name


@pytest.mark.parametrize(("text", "time_ms"), [("\ud800", 1), ("x", -1), ("x", 2**53)])
def test_what_has_no_canonical_form_makes_no_leaf(text: str, time_ms: int) -> None:
    caller = Caller(CALLER.principal, text, "r", time_ms)
    with pytest.raises(InvalidInput):
        make_leaf(
            caller, action="a", object="o", digest=None, before=None, after=None, reason_commitment=None
        )
