"""Ed25519 checking against the vectors of RFC 8032 and against another implementation."""

from __future__ import annotations

import random

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from holdfast.kernel.ed25519 import is_signed

# RFC 8032, 7.1: TEST 1, 2 and 3.
VECTORS = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
]  # fmt: skip


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_vectors_of_the_standard(public: str, message: str, signature: str) -> None:
    assert is_signed(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))


def test_every_changed_bit_is_refused_as_another_implementation_does() -> None:
    chooser, key = random.Random(8032), Ed25519PrivateKey.generate()
    public, message = key.public_key().public_bytes_raw(), b"checkpoint"
    signature = key.sign(message)
    assert is_signed(public, message, signature)
    for bit in chooser.sample(range(512), 40):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        assert not is_signed(public, message, bytes(changed))
    for bit in chooser.sample(range(256), 20):
        other = bytearray(public)
        other[bit // 8] ^= 1 << bit % 8
        assert (
            is_signed(bytes(other), message, signature) is accepted(bytes(other), message, signature) is False
        )
    assert not is_signed(public, b"checkpoint.", signature)


def accepted(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.parametrize(("public", "signature"), [(b"", bytes(64)), (bytes(32), b""), (b"\xff" * 32, bytes(64)),
                                                   (bytes(31) + b"\x80", bytes(64))])  # fmt: skip
def test_what_is_no_key_or_signature_is_refused(public: bytes, signature: bytes) -> None:
    assert not is_signed(public, b"", signature)


def test_a_signature_has_one_form() -> None:
    """A scalar beyond the group's order would be a second form of the same signature."""
    public, message, signature = (bytes.fromhex(part) for part in VECTORS[0])
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(signature[32:], "little") + order
    assert not is_signed(public, message, signature[:32] + scalar.to_bytes(32, "little"))
